"""Crops: the places and scales at which an image is examined for the grain of a decoder."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from recon_detect.evidence.texture import BLOCK, FLAT, texture

if TYPE_CHECKING:
    from torch import Tensor

    # left, top, right, bottom in pixels
    Box = tuple[int, int, int, int]

# The grid in pixels on which decoders write, and JPEG too. A crop has whole periods of it: so, mirrored, it lies on the
# grid of JPEG if it does upright.
DECODER_GRID = 8
# Crops begin at multiples of this many pixels, which stay on the decoder's grid at each of SCALES.
STEP = 96
# By what an image is scaled to undo the resizing that is most often met: none, to three quarters, to a half, by a half
# more. A decoder's grain is seen only within half a percent of its own scale.
SCALES = (1.0, 4 / 3, 2.0, 2 / 3)
# Side of a crop after scaling. More area is more evidence, and costs in proportion.
CROP_SIDE = 320


def crop(x: Tensor, scale: float, side: int = CROP_SIDE) -> tuple[Tensor, list[Box]]:
    """The most textured part of each image, scaled: (B, 3, h, w) with h and w of at most `side`, and where it lies.

    The part begins on the grid that the decoder's would be. Scaling is bicubic and antialiased, in floats: nothing is
    rounded to 8 bits.
    """
    boxes = most_textured(x, round(side / scale))
    part = torch.stack([image[:, y0:y1, x0:x1] for image, (x0, y0, x1, y1) in zip(x, boxes, strict=True)])
    if scale == 1:
        return part, boxes
    size = [max(round(side * scale), 1) for side in part.shape[-2:]]
    resized = F.interpolate(part, size=size, mode="bicubic", antialias=True, align_corners=False)
    return resized.clamp_(-1, 1), boxes


def most_textured(x: Tensor, side: int) -> list[Box]:
    """The box of at most `side` squared with the most texture in each image (8 px or larger), on the grid of `STEP`."""
    height, width = x.shape[-2:]
    tall, wide = (min(length, side) // DECODER_GRID * DECODER_GRID for length in (height, width))
    # A hard edge counts no more than fine texture.
    blocks = texture(x).clamp_(max=8 * FLAT)
    # Whole blocks that the box touches, so that it ends inside the image wherever it begins.
    rows, columns = blocks.shape[1:]
    window = (min(math.ceil(tall / BLOCK), rows), min(math.ceil(wide / BLOCK), columns))
    sums = F.avg_pool2d(blocks[:, None], window, stride=STEP // BLOCK)[:, 0]
    boxes = []
    for total in sums:
        row, column = divmod(int(total.argmax()), total.shape[1])
        left, top = column * STEP, row * STEP
        boxes.append((left, top, left + wide, top + tall))
    return boxes
