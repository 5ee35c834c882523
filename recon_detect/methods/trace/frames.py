"""Frames: the sizes and symmetries in which a decoder may have written a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from recon_detect.evidence.texture import most_textured
from recon_detect.evidence.views import find_view
from recon_detect.images.blocking import with_blocking
from recon_detect.images.native import native_sizes
from recon_detect.methods.grid.jpeg import jpeg_origin
from recon_detect.methods.grid.statistic import PERIOD

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.methods.trace.effort import Effort

# Families whose sizes have another name.
SIZES_OF = {"images:gpt-4o": "gpt"}
# Share of pictures that were scaled from a size that fits no native one, such as a crop, and by what.
BLIND = 0.1
BLIND_SCALES = (4 / 3, 2.0, 1.5, 5 / 3, 2 / 3)
# Share of each symmetry of the square among pictures.
SYMMETRIES = {"identity": 0.9, "hflip": 0.06, "rot90": 0.015, "rot180": 0.01, "rot270": 0.015}
# Share of pictures whose grid does not begin where it is expected: at the origin of a frame that is whole, or not.
ELSEWHERE = {True: 0.2, False: 0.8}
# The least share of pictures that were not scaled, whatever their size: what was cut out of one is often shown.
AS_IT_IS = 0.3
# Frames with a shorter side carry too little.
LEAST_SIDE = 96
# Beyond these scales too little of a decoder is left: it is averaged away, or drowned by what enlarged the picture.
LEAST_SCALE, LARGEST_SCALE = 0.2, 2.5
# Frames of longer sides are cut: nothing looks at more.
LARGEST = 2048


@dataclass(frozen=True, slots=True)
class Frame:
    """A size to bring a picture to, and how to turn it.

    Attributes:
        width: In pixels, before it is turned.
        height: Likewise.
        scale: What the picture is multiplied with.
        whole: True where the decoder's grid is expected to begin at the origin.
        families: The prior of each family.
        symmetry: View in which the picture is upright, of `SYMMETRIES`.
        native: Whether its size is one that generators write, or that of the picture itself; not a guess.
    """

    width: int
    height: int
    scale: float
    whole: bool
    families: Mapping[str, float]
    symmetry: str = "identity"
    native: bool = True

    def show(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """A picture (3, H, W) in this frame, and where in the picture it begins (left, top).

        Bicubic, antialiased, in floats. Of a frame with a side above `LARGEST`, the most textured part.
        """
        size, corner = (self.height, self.width), (0, 0)
        if max(size) > LARGEST:
            ((left, top, right, bottom),) = most_textured(x[None], round(LARGEST / self.scale))
            x, corner = x[:, top:bottom, left:right], (left, top)
            size = (round((bottom - top) * self.scale), round((right - left) * self.scale))
        if tuple(x.shape[-2:]) != size:
            x = F.interpolate(x[None], size=size, mode="bicubic", antialias=True, align_corners=False)[0].clamp_(-1, 1)
        if self.symmetry != "identity":  # whole periods, so that a turned picture has them at its origin too
            x = x[:, : size[0] // PERIOD * PERIOD, : size[1] // PERIOD * PERIOD]
        return find_view(self.symmetry)(x[None])[0], corner

    @property
    def prior(self) -> float:
        """Prior of all families together."""
        return sum(self.families.values())


def places_of(frame: Frame, jpeg: tuple[int, int] | None) -> dict[tuple[int, int], float]:
    """Shares of the pictures whose grid begins at the origin of a frame, or where that of a JPEG does.

    Args:
        frame: Upright or not; of one that is turned, only the origin is taken.
        jpeg: Where the grid of a JPEG begins in the picture: (left, top).
    """
    elsewhere, places = ELSEWHERE[frame.whole], {(0, 0): 1.0}
    if jpeg and frame.symmetry == "identity":
        places.setdefault((round(jpeg[0] * frame.scale) % PERIOD, round(jpeg[1] * frame.scale) % PERIOD), elsewhere / 2)
    return places | {(0, 0): 1 - elsewhere}


def frames_of(x: Tensor, families: Sequence[str], effort: Effort) -> tuple[list[Frame], tuple[int, int] | None]:
    """The frames of a picture (3, H, W), the likeliest first, and where the grid of a JPEG begins in it."""
    height, width = x.shape[-2:]
    names = {SIZES_OF.get(family, family): family for family in families}
    # One channel at a time: of a large picture, what lies between takes several times its memory.
    pixels = torch.stack([(channel + 1).mul_(127.5).round_().byte() for channel in x], dim=-1).cpu().numpy()
    proposals = with_blocking(native_sizes(width, height, list(names)), pixels)
    natives = [n for n in proposals if LEAST_SCALE <= n.scale <= LARGEST_SCALE][: effort.frames]
    frames = _with_share_as_it_is([
        Frame(n.width, n.height, n.scale, n.whole, {names[name]: prior for name, prior in n.families.items()})
        for n in natives
    ])  # fmt: skip
    if effort.blind:
        frames = [_weighted(frame, 1 - BLIND) for frame in frames]
        share = dict.fromkeys(families, BLIND / len(BLIND_SCALES) / len(families))
        frames += [Frame(round(width * s), round(height * s), s, True, share, native=False) for s in BLIND_SCALES]
        turned = [frame for frame in frames if frame.scale == 1]
        frames = [_weighted(frame, SYMMETRIES["identity"]) if frame.scale == 1 else frame for frame in frames]
        for symmetry, weight in list(SYMMETRIES.items())[1:]:
            frames += [replace(_weighted(frame, weight), symmetry=symmetry, native=False) for frame in turned]
    first, *others = frames
    return [first, *(each for each in others if min(each.width, each.height) >= LEAST_SIDE)], jpeg_origin(pixels)


def _with_share_as_it_is(frames: list[Frame]) -> list[Frame]:
    """Frames in which the picture as it is has `AS_IT_IS` at least; others in proportion."""
    total = sum(frame.prior for frame in frames)
    share = sum(frame.prior for frame in frames if frame.scale == 1) / total
    if share >= AS_IT_IS or not share:
        return frames
    weights = {True: AS_IT_IS / share, False: (1 - AS_IT_IS) / (1 - share)}
    return sorted((_weighted(frame, weights[frame.scale == 1]) for frame in frames), key=lambda frame: -frame.prior)


def _weighted(frame: Frame, weight: float) -> Frame:
    return replace(frame, families={name: prior * weight for name, prior in frame.families.items()})
