"""Views of an image: the same picture turned, mirrored, moved or blurred, of which methods compare the errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING

import torch

from recon_detect.errors import UnknownName
from recon_detect.filters import gaussian_blur

if TYPE_CHECKING:
    from torch import Tensor

# (B, 3, H, W) in [-1, 1] to (B, 3, H', W') in [-1, 1]. The first eight are the symmetries of the square.
VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "rot90": lambda x: torch.rot90(x, 1, (2, 3)),
    "rot180": lambda x: torch.rot90(x, 2, (2, 3)),
    "rot270": lambda x: torch.rot90(x, 3, (2, 3)),
    "hflip": lambda x: x.flip(3),
    "vflip": lambda x: x.flip(2),
    "transpose": lambda x: x.transpose(2, 3),
    "transverse": lambda x: torch.rot90(x, 2, (2, 3)).transpose(2, 3),
    # The low-pass filter of HFI (arXiv:2412.20704): 3x3 Gaussian, sigma 0.8.
    "blur": lambda x: gaussian_blur(x, sigma=0.8, radius=1),
    # Gaussian noise of one grey level, the same for every image of a size.
    "noise": lambda x: x + torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(0)).to(x) / 127.5,
    "bgr": lambda x: x.flip(1),
}

# ``shift4,0``: without the first four columns and no row, so that the decoder's grid lies elsewhere.
_SHIFT = re.compile(r"shift(\d+),(\d+)")


def _find_part(name: str) -> Callable[[Tensor], Tensor]:
    if match := _SHIFT.fullmatch(name):
        left, top = int(match[1]), int(match[2])
        return lambda x: x[..., top:, left:]
    if name not in VIEWS:
        raise UnknownName("view", name, [*VIEWS, "shiftX,Y"])
    return VIEWS[name]


def find_view(name: str) -> Callable[[Tensor], Tensor]:
    """The view of a name, or of several joined by ``+``: ``"rot90+blur"`` turns and then blurs.

    Raises:
        UnknownName: No such view.
    """
    parts = [_find_part(part) for part in name.split("+")]
    return lambda x: reduce(lambda image, part: part(image), parts, x)
