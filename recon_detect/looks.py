"""Looks: the places and scales at which an image is examined for the grain of a decoder."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

    # left, top, right, bottom in pixels
    Box = tuple[int, int, int, int]

# A block is told textured or flat as a whole. A multiple of every decoder's grid.
BLOCK = 32
# The grid in pixels on which decoders write, and JPEG too. A look has whole periods of it: so, mirrored, it lies on the
# grid of JPEG if it does upright.
GRID = 8
# Looks begin at multiples of this many pixels, which stay on the decoder's grid at each of SCALES.
STEP = 96
# By what an image is scaled to undo the resizing that is most often met: none, to three quarters, to a half, by a half
# more. A decoder's grain is seen only within half a percent of its own scale.
SCALES = (1.0, 4 / 3, 2.0, 2 / 3)
# Side of what is looked at, after scaling. More area tells more, and costs in proportion.
SIDE = 320
# Rows whose differences are taken at a time.
_BAND = 512
# Below one grey level of mean second difference a block carries no evidence: its error is that of rounding.
_FLAT = 1 / 127.5


def texture(x: Tensor) -> Tensor:
    """Mean absolute second difference of each block of (B, 3, H, W): (B, rows, columns), in the units of [-1, 1]."""
    height = x.shape[2]
    bands = []
    for top in range(0, height, _BAND):  # of a large image the differences take several times its memory
        bottom = min(top + _BAND, height)
        above, below = int(top > 0), int(bottom < height)
        across = F.pad(x[:, :, top:bottom].diff(n=2, dim=3).abs(), (1, 1))
        rows = x[:, :, top - above : bottom + below]
        down = F.pad(rows.diff(n=2, dim=2).abs(), (0, 0, 1 - above, 1 - below))
        bands.append((across + down).mean(dim=1, keepdim=True) / 2)
    return block_means(torch.cat(bands, dim=2), x)


def block_means(values: Tensor, x: Tensor) -> Tensor:
    """Means of a map (B, 1, h, w) over the blocks of its images x (B, 3, H, W): (B, rows, columns), at least one."""
    rows, columns = (max(side // BLOCK, 1) for side in x.shape[-2:])
    return F.adaptive_avg_pool2d(values, (rows, columns))[:, 0]


def textured_blocks(x: Tensor) -> Tensor:
    """Number of blocks with texture: (B,)."""
    return (texture(x) > _FLAT).sum(dim=(1, 2))


def textured_share(x: Tensor) -> Tensor:
    """Share of the blocks that have texture: (B,)."""
    return (texture(x) > _FLAT).float().mean(dim=(1, 2))


def look(x: Tensor, scale: float, side: int = SIDE) -> tuple[Tensor, list[Box]]:
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
    tall, wide = (min(length, side) // GRID * GRID for length in (height, width))
    # A hard edge tells no more than fine texture does.
    blocks = texture(x).clamp_(max=8 * _FLAT)
    # As many whole blocks as the box touches, so that it ends inside the image wherever it begins.
    rows, columns = blocks.shape[1:]
    window = (min(math.ceil(tall / BLOCK), rows), min(math.ceil(wide / BLOCK), columns))
    sums = F.avg_pool2d(blocks[:, None], window, stride=STEP // BLOCK)[:, 0]
    boxes = []
    for total in sums:
        row, column = divmod(int(total.argmax()), total.shape[1])
        left, top = column * STEP, row * STEP
        boxes.append((left, top, left + wide, top + tall))
    return boxes
