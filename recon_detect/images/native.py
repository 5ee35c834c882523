"""Native sizes: at which sizes a generator may have written a picture, from its width and height alone.

Generators write few sizes, and a resize keeps the aspect ratio, so a picture has a dozen or two sizes at which the
grain of a decoder could be seen. It is seen only within half a percent of the true one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]

MEGAPIXEL = 1024**2


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes that some families of generators write, in both orientations.

    Attributes:
        families: Short names as of `models.registry.family_of`; "gpt" has no public decoder.
        usual: Sizes (width, height) that are offered or recommended, landscape or square, the default first.
        step: Other sizes are multiples of it; None where there are none.
        sides: Least and greatest side of the other sizes, in pixels.
        area: Least and greatest area of the other sizes, in pixels.
        share: Of the pictures of these families.
    """

    families: tuple[str, ...]
    usual: tuple[Size, ...]
    step: int | None = None
    sides: tuple[int, int] = (0, 0)
    area: tuple[float, float] = (0, 0)
    share: float = 1.0

    def shares(self) -> dict[Size, float]:
        """The share of each size in the pictures of each family: most have a usual size, half of them the first."""
        first = {size for width, height in self.usual[:1] for size in ((width, height), (height, width))}
        usual = {size for width, height in self.usual for size in ((width, height), (height, width))}
        sides = range(self.sides[0], self.sides[1] + 1, self.step) if self.step else range(0)
        others = {(w, h) for w in sides for h in sides if self.area[0] <= w * h <= self.area[1]} - usual
        of_usual = self.share * (USUAL if others else 1.0)
        shares = dict.fromkeys(usual, of_usual / 2 / len(usual)) | dict.fromkeys(
            others, (self.share - of_usual) / max(len(others), 1)
        )
        return shares | {size: shares[size] + of_usual / 2 / len(first) for size in first}


# SD: squares and 3:2, or any multiples of 64. SDXL: all multiples of 64 with 0.9 to 1 megapixel and an aspect ratio of
# up to 4 (arXiv:2307.01952, appendix I); SD3, Sana and Stable Cascade recommend the same. FLUX takes any multiples of
# 16; its APIs offer those of SDXL, Kontext has buckets of its own, and FLUX.1 pro and FLUX.2 also write 2 megapixels.
# Qwen-Image: its model card, before and after a misprint of 1104 was corrected.
_OFFERED = ((1024, 1024), (1152, 896), (1216, 832), (1344, 768), (1536, 640))
SIZES = (
    Sizes(("sd", "kandinsky"), ((512, 512), (768, 512), (768, 768)), 64, (384, 1024), (0, MEGAPIXEL)),
    Sizes(("sdxl", "sd3", "sana", "cascade"), _OFFERED, 64, (512, 2048), (0.9 * MEGAPIXEL, MEGAPIXEL)),
    Sizes(("flux1", "flux2"), _OFFERED, 16, (512, 2048), (0.9 * MEGAPIXEL, 1.1 * MEGAPIXEL), share=0.6),
    Sizes(
        ("flux1", "flux2"),
        ((1104, 944), (1184, 880), (1248, 832), (1328, 800), (1392, 752), (1456, 720), (1504, 688), (1568, 672)),
        share=0.2,
    ),
    Sizes(
        ("flux1", "flux2"), ((1440, 1440), (1920, 1088)),
        16, (768, 2560), (1.9 * MEGAPIXEL, 2.1 * MEGAPIXEL), share=0.2,
    ),
    Sizes(("qwen",), ((1328, 1328), (1472, 1104), (1472, 1140), (1584, 1056), (1664, 928))),
    Sizes(("gpt",), ((1024, 1024), (1536, 1024))),
)  # fmt: skip
FAMILIES = tuple(dict.fromkeys(family for sizes in SIZES for family in sizes.families))

# Share of pictures that have one of the usual sizes.
USUAL = 0.8
# Prior of what happened to a picture: few are cropped without scaling; a native size is seldom met by chance. Of the
# others, a quarter were cropped to another aspect ratio and scaled.
UNCHANGED, NATIVE = 0.12, 0.6
CROPPED = 0.25
# The least part of a picture that a crop leaves.
LEAST_LEFT = 0.5
# Pictures are enlarged more rarely than reduced: by this factor.
ENLARGED = 0.25
# Scales that differ by a smaller ratio are one: grain is seen within five times that.
SAME_SCALE = 0.001

# The prior of families by what is left of a native size, and if all of it is left.
_Prior = defaultdict[tuple[Size, bool], defaultdict[str, float]]


@dataclass(frozen=True, slots=True)
class NativeSize:
    """A size to bring a picture to, at which it may have been written.

    Attributes:
        width: In pixels, of what is left of the native size.
        height: The same.
        scale: What the longer side is multiplied with.
        whole: True where its size does not say that a side was cropped: the decoder's grid begins at the origin, unless
            both sides were cropped.
        families: The prior of each family at this size; over all sizes and families they sum to 1.
    """

    width: int
    height: int
    scale: float
    whole: bool
    families: Mapping[str, float]

    @property
    def weight(self) -> float:
        """The prior of this size over all families."""
        return sum(self.families.values())


def native_sizes(width: int, height: int, families: Collection[str] = FAMILIES) -> list[NativeSize]:
    """The sizes at which a picture may have been written, the likeliest first.

    The picture is as it was written, or cropped without scaling; or all of it was scaled; or it was cropped to another
    aspect ratio, which leaves one side whole, and scaled. The first is always among them.

    Args:
        width: Of the picture, in pixels, 1 or more.
        height: The same.
        families: Those that are looked for, each as likely as the others before the size is known. Those that have no
            `SIZES` get the picture as it is.
    """
    size = (width, height)
    native = {name: share for name, share in _shares().get(size, {}).items() if name in families}
    unchanged = UNCHANGED + NATIVE if native else UNCHANGED
    prior: _Prior = defaultdict(lambda: defaultdict(float))
    _add(prior, {(size, True): dict.fromkeys(families, 1.0)}, UNCHANGED)
    _add(prior, {(size, True): native}, NATIVE)
    scaled, cropped = _changed(size, families)
    _add(prior, scaled, (1 - unchanged) * (1 - CROPPED))
    _add(prior, cropped, (1 - unchanged) * CROPPED)
    total = sum(sum(weights.values()) for weights in prior.values())
    proposals = [
        NativeSize(*left, max(left) / max(size), whole, {name: weight / total for name, weight in weights.items()})
        for (left, whole), weights in prior.items()
    ]
    return _by_weight(_merged(_by_weight(proposals)))


def fits(native: NDArray[np.int64], size: Size) -> NDArray[np.bool_]:
    """Tells which native sizes (N, 2) one factor takes to a size (width, height), sides rounded or cut to pixels."""
    sides = np.array(size)
    # A side that is cut loses less than a pixel.
    fitting: NDArray[np.bool_] = ((sides - 0.5) / native).max(1) <= ((sides + 1) / native).min(1)
    return fitting


def _changed(size: Size, families: Collection[str]) -> tuple[_Prior, _Prior]:
    """Shares of what is left of other native sizes in a picture that was scaled, and cropped and scaled."""
    native = np.array(list(_shares()))
    # Of a crop, the side that fills the native size is whole.
    scales = (native / size).min(1)
    left = np.rint(scales[:, None] * size).astype(int)
    area = left.prod(1) / native.prod(1)
    whole = fits(native, size)
    possible = (whole | (area >= LEAST_LEFT)) & (native != size).any(1)
    scaled: _Prior = defaultdict(lambda: defaultdict(float))
    cropped: _Prior = defaultdict(lambda: defaultdict(float))
    for number in np.flatnonzero(possible).tolist():
        written = (int(native[number, 0]), int(native[number, 1]))
        part = (int(left[number, 0]), int(left[number, 1]))
        entry = scaled[written, True] if whole[number] else cropped[part, False]
        share_left = 1.0 if whole[number] else float(area[number])
        for name, share in _shares()[written].items():
            if name in families:
                entry[name] += share * share_left * (ENLARGED if scales[number] < 1 else 1.0)
    return scaled, cropped


def _add(prior: _Prior, shares: Mapping[tuple[Size, bool], Mapping[str, float]], weight: float) -> None:
    """Adds shares to a prior, so that they add a weight in all."""
    total = sum(sum(of_families.values()) for of_families in shares.values())
    for key, of_families in shares.items():
        for name, share in of_families.items():
            prior[key][name] += weight * share / total


def _by_weight(proposals: list[NativeSize]) -> list[NativeSize]:
    # Sums differ in their last digits by the order of their parts, which a turned picture has otherwise.
    return sorted(proposals, key=lambda proposal: (-round(proposal.weight, 12), proposal.scale))


def _merged(proposals: list[NativeSize]) -> list[NativeSize]:
    """Proposals in order, each with the weights of later ones of the same scale."""
    distinct: list[NativeSize] = []
    for proposal in proposals:
        for number, first in enumerate(distinct):
            if first.whole == proposal.whole and abs(first.scale / proposal.scale - 1) < SAME_SCALE:
                sums = Counter(first.families) + Counter(proposal.families)
                distinct[number] = replace(first, families=dict(sums))
                break
        else:
            distinct.append(proposal)
    return distinct


@cache
def _shares() -> dict[Size, dict[str, float]]:
    """The share of each native size in the pictures of each family."""
    shares: defaultdict[Size, dict[str, float]] = defaultdict(dict)
    for sizes in SIZES:
        for size, share in sizes.shares().items():
            for family in sizes.families:
                shares[size][family] = shares[size].get(family, 0.0) + share
    return dict(shares)
