"""Inverts a picture to noise and samples it back, step by step, with a converted diffusion model of pixels.

recon-detect convert guided-diffusion 256x256_diffusion_uncond.pt adm256/
python docs/examples/inversion.py picture.png adm256/
"""

import sys

import torch

from recon_detect import open_picture
from recon_detect.evidence.views import find_view
from recon_detect.models.inversion import dire_inversion, dire_sampling
from recon_detect.models.pixel_diffusion import PixelDiffusion

picture, folder = sys.argv[1:]
model = PixelDiffusion.from_pretrained(folder).eval()
with torch.inference_mode():
    # The middle square at the size of the model, as the authors of DIRE prepare it.
    x = find_view(f"dire{model.config['sample_size']}")(open_picture(picture).tensor()[None])
    print(picture, tuple(x.shape))
    noise = dire_inversion(model.predict, x, model.schedule, callback=lambda i, z: print("in", i, f"{z.std():.3f}"))
    again = dire_sampling(model.predict, noise, model.schedule, callback=lambda i, z: print("out", i, f"{z.std():.3f}"))
print("DIRE:", (x - again).abs().mean().item())
