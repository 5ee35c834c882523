"""Views of an image: the same picture, turned, mirrored or blurred, of which methods compare the errors."""

from __future__ import annotations

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
}


def find_view(name: str) -> Callable[[Tensor], Tensor]:
    """The view of a name, or of several joined by ``+``: ``"rot90+blur"`` turns and then blurs.

    Raises:
        UnknownName: No such view.
    """
    for part in name.split("+"):
        if part not in VIEWS:
            raise UnknownName("view", part, VIEWS)
    return lambda x: reduce(lambda image, part: VIEWS[part](image), name.split("+"), x)
