"""The grid of JPEG at any place, so that a JPEG that was cropped and stored losslessly is seen as one.

The statistic is that of the method `grid`, with a template of photographs stored as JPEG. The decoder of a latent
diffusion model has a period of 8 pixels too, but another table: it is not taken for JPEG.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import torch

from recon_detect.methods.grid.families import read_whitening
from recon_detect.methods.grid.statistic import PERIOD, least_side, tables
from recon_detect.methods.grid.whitening import Whitening, similarities

if TYPE_CHECKING:
    from torch import Tensor

TEMPLATE = Path(__file__).parent / "jpeg.safetensors"
# Side of the middle part that is looked at.
_SIDE = 512
# Photographs that were never compressed, and images as decoders write them, stay below this cosine, but for one in 200
# (docs/guide/audit.md).
NO_JPEG = 0.1


def jpeg_origin(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> tuple[int, int] | None:
    """Place where the grid of a JPEG begins in a picture (H, W, 3) that was not scaled: (left, top), 0 to 7.

    A crop after compression moved the grid of a decoder as far. None of a picture that was not stored as JPEG.
    """
    match = jpeg_match(pixels)
    if match is None or match[0] < NO_JPEG:
        return None
    left, top = ((-cropped) % PERIOD for cropped in match[1])
    return left, top


def jpeg_match(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> tuple[float, tuple[int, int]] | None:
    """Cosine of the table of a picture (H, W, 3) with that of JPEG, where its grid fits best, and where that is.

    The place is how many columns and rows were cropped off the grid, modulo 8. None if the picture is too small.
    """
    top, left = (max(side - _SIDE, 0) // 2 // PERIOD * PERIOD for side in pixels.shape[:2])
    middle = pixels[top : top + _SIDE, left : left + _SIDE]
    if min(middle.shape[:2]) < least_side():
        return None
    x = torch.from_numpy(np.array(middle)).permute(2, 0, 1).float() / 127.5 - 1
    whitening, template = _data()
    cosine, phase = similarities(whitening(tables(x))[None], template[None]).flatten().max(0)
    down, across = ((-place) % PERIOD for place in divmod(int(phase), PERIOD))
    return float(cosine), (across, down)


@cache
def _data() -> tuple[Whitening, Tensor]:
    with safetensors.safe_open(TEMPLATE, framework="pt") as file:
        return read_whitening(), file.get_tensor("template").float()
