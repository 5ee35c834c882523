"""Scores an image with an autoencoder of your own: any encoder and decoder that are modules of torch.

python docs/examples/own_autoencoder.py picture.png
recon-detect score picture.png --method aeroblade --distance l2 --models docs/examples/own_autoencoder.py:MINE
"""

import sys

import torch

from recon_detect import EncoderDecoder, load_detector

# Put yours here: from images (B, 3, H, W) in [-1, 1] to latents, and back.
MINE = EncoderDecoder("mine", torch.nn.AvgPool2d(2), torch.nn.Upsample(scale_factor=2), factor=2)

if __name__ == "__main__":
    row = load_detector("aeroblade", models=[MINE], distance="l2").score(sys.argv[1])[0]
    print(row.path, row.score)
