"""A method of one's own: a formula over evidence. In the package it would be a file in methods/ and a line in METHODS.

python docs/examples/new_method.py picture.png
"""

import sys

import torch

from recon_detect import load_detector, open_picture

# Error of the second pass over error of the first, in MSE: AEDR (arXiv:2507.18988) turned round.
detector = load_detector("aeroblade", models="taesd", distance="l2")
for path in sys.argv[1:]:
    with torch.inference_mode():
        evidence = detector.evidence(open_picture(path).tensor()[None].to(detector.device))
        ratio = evidence.error("l2", passes=2) / evidence.error("l2", passes=1)
    print(path, ratio.tolist())
