"""Views of an image: the same picture turned, mirrored, moved, resized or blurred, which methods compare."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from recon_detect.errors import UnknownName
from recon_detect.images.picture import middle_square
from recon_detect.tensors.filters import gaussian_blur

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


def _shift(x: Tensor, left: float, top: float) -> Tensor:
    """Without the first columns and rows, so that the decoder's grid lies elsewhere."""
    return x[..., int(top) :, int(left) :]


def _noise(x: Tensor, deviation: float) -> Tensor:
    """Adds the same Gaussian noise to every image of a size; its deviation is that of pixels in [0, 1]."""
    noise = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(0)).to(x)
    return (x + 2 * deviation * noise).clamp(-1, 1)


def _squash(x: Tensor, side: float) -> Tensor:
    """Resized to a square, bicubic and antialiased, whatever the aspect."""
    return _resized(x, (int(side), int(side)))


def _thumbnail(x: Tensor, side: float) -> Tensor:
    """The middle square of the image whose shorter side was brought to 8 / 7 of `side`, as DINOv2 was evaluated."""
    height, width = x.shape[-2:]
    factor = round(int(side) * 8 / 7) / min(height, width)
    x = _resized(x, (max(round(height * factor), int(side)), max(round(width * factor), int(side))))
    top, left = ((length - int(side)) // 2 for length in x.shape[-2:])
    return x[..., top : top + int(side), left : left + int(side)]


def _dire(x: Tensor, side: float) -> Tensor:
    """The middle square, brought to a size in 8 bits as DIRE does."""
    pixels = ((x + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    squares = np.stack([middle_square(image, int(side)) for image in pixels])
    return torch.from_numpy(squares).permute(0, 3, 1, 2).to(x).div(127.5) - 1


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)


def _without_detail(x: Tensor, share: float) -> Tensor:
    """Less a share of what two levels of the Haar transform call detail: of the difference to 4x4 means."""
    means = F.avg_pool2d(x, 4).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    return x - share * (x - means)


# Views with numbers: ``shift4,0``, ``noise0.05``, ``squash896``, ``thumbnail224``, ``smooth0.1``, ``dire256``.
_WITH_NUMBERS: dict[str, tuple[int, Callable[..., Tensor]]] = {
    "shift": (2, _shift),
    "noise": (1, _noise),
    "squash": (1, _squash),
    "thumbnail": (1, _thumbnail),
    "smooth": (1, _without_detail),
    "dire": (1, _dire),
}
_NUMBERED = re.compile(r"([a-z]+)(\d+(?:\.\d+)?(?:,\d+)*)")


def _find_part(name: str) -> Callable[[Tensor], Tensor]:
    if name in VIEWS:
        return VIEWS[name]
    if (match := _NUMBERED.fullmatch(name)) and match[1] in _WITH_NUMBERS:
        count, function = _WITH_NUMBERS[match[1]]
        numbers = [float(number) for number in match[2].split(",")]
        if len(numbers) == count:
            return lambda x: function(x, *numbers)
    raise UnknownName("view", name, [*VIEWS, "shiftX,Y", *(f"{n}N" for n, (c, _) in _WITH_NUMBERS.items() if c == 1)])


def find_view(name: str) -> Callable[[Tensor], Tensor]:
    """The view of a name, or of several joined by ``+``: ``"rot90+blur"`` turns and then blurs.

    Raises:
        UnknownName: No such view.
    """
    parts = [_find_part(part) for part in name.split("+")]
    return lambda x: reduce(lambda image, part: part(image), parts, x)
