"""Texture: how much of an image carries evidence, by blocks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import torch
import torch.nn.functional as F

from recon_detect.errors import ImageTooSmall

if TYPE_CHECKING:
    from torch import Tensor

# A block is textured or flat as a whole. A multiple of every decoder's grid.
BLOCK = 32
# Below one grey level of mean second difference a block carries no evidence: its error is that of rounding.
FLAT = 1 / 127.5
# An image with fewer textured blocks tells nothing, unless it has no others.
ENOUGH = 4
# The grid in pixels on which decoders write, and JPEG too. A box has whole periods of it: so, mirrored, it lies on the
# grid of JPEG if it does upright.
DECODER_GRID = 8
# Boxes begin at multiples of this many pixels, which stay on the decoder's grid when scaled by simple ratios, as 4 / 3.
STEP = 96
# Left, top, right, bottom in pixels.
Box: TypeAlias = tuple[int, int, int, int]
# Rows whose differences are taken at a time.
_BAND = 128


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
    return F.adaptive_avg_pool2d(values, _blocks(x))[:, 0]


def _blocks(x: Tensor) -> tuple[int, int]:
    height, width = x.shape[-2:]
    return max(height // BLOCK, 1), max(width // BLOCK, 1)


def enough_texture(share: float, x: Tensor) -> bool:
    """True where an image of the size of x (B, 3, H, W) carries evidence, by its share of textured blocks."""
    rows, columns = _blocks(x)
    return round(share * rows * columns) >= min(ENOUGH, rows * columns)


def textured_blocks(x: Tensor) -> Tensor:
    """Number of blocks with texture: (B,)."""
    return (texture(x) > FLAT).sum(dim=(1, 2))


def textured_share(x: Tensor) -> Tensor:
    """Share of the blocks that have texture: (B,)."""
    return (texture(x) > FLAT).float().mean(dim=(1, 2))


def most_textured(x: Tensor, side: int) -> list[Box]:
    """The box of at most `side` squared with the most texture in each image, on the grid of `STEP`.

    Raises:
        ImageTooSmall: A side has no period of the grid.
    """
    height, width = x.shape[-2:]
    if min(height, width) < DECODER_GRID:
        raise ImageTooSmall(f"{width}x{height} is too small; expected {DECODER_GRID} pixels at each side, or more")
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
