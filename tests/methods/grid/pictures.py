"""Pictures with and without a grid of 8 pixels."""

import numpy as np
import torch
import torch.nn.functional as F


def photograph(seed, side=160):
    """(3, H, W) in [-1, 1]: smoothed noise of all scales, and grain."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.zeros(1, 3, side, side)
    for width in (1, 2, 5, 16):
        noise = torch.randn(1, 3, side // width + 2, side // width + 2, generator=generator)
        x += 0.12 * F.interpolate(noise, size=(side + 8, side + 8), mode="bicubic")[..., 4 : side + 4, 4 : side + 4]
    return to_8_bits(x[0])


def generated(seed, side=160, offset=(0, 0)):
    """The same, sharpened on one pixel in 8, as an upsampling may leave it; `offset` rows and columns are cropped."""
    x = photograph(seed, side + 8)
    rows, columns = np.meshgrid(np.arange(side + 8), np.arange(side + 8), indexing="ij")
    gain = torch.from_numpy(1 + 0.9 * ((rows % 8 < 2) & (columns % 8 < 3))).float()
    mean = F.avg_pool2d(x[None], 3, 1, 1)[0]
    x = mean + (x - mean) * gain
    return to_8_bits(x[:, offset[0] : offset[0] + side, offset[1] : offset[1] + side])


def to_8_bits(x):
    return (x.clamp(-1, 1) * 127.5 + 127.5).round() / 127.5 - 1
