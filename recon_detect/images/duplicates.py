"""Copies among pictures: equal pixels, and near copies by a small perceptual hash."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from recon_detect.images.colour import to_bytes

# 97 of 100 copies through JPEG 75, WebP 80 or half the size differ in at most 3 of 64 bits, other photographs in 10 or
# more (docs/guide/images.md).
NEAR = 3
_BITS = 64
_BANDS = NEAR + 1  # hashes that differ in 3 bits agree in one of four bands
# Flat pictures have hardly a bit: they look alike to the hash and are not.
_FEWEST_BITS = 8


def difference_hash(pixels: np.ndarray[Any, Any]) -> str:
    """The difference hash of (H, W, 3): which of 8 x 8 neighbours from left to right is brighter, 16 hex digits.

    dHash, N. Krawetz, hackerfactor.com, 2013.
    """
    grey = np.asarray(Image.fromarray(to_bytes(pixels)).resize((9, 8), Image.Resampling.BOX).convert("L"))
    return np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes().hex()


def distance(first: str, second: str) -> int:
    """Counts the bits, of 64, in which two difference hashes differ."""
    return (int(first, 16) ^ int(second, 16)).bit_count()


def copy_groups(pictures: Iterable[tuple[str | None, str | None]]) -> list[int]:
    """The place of the first copy of each picture, itself where it is the first.

    Args:
        pictures: Sum of the pixels and difference hash of each, as in `Provenance`; None where there is none.
    """
    firsts: list[int] = []
    by_sum: dict[str, int] = {}
    by_band: dict[tuple[int, int], list[tuple[int, str]]] = {}
    for place, (pixels, phash) in enumerate(pictures):
        bands = _bands(phash) if phash and _FEWEST_BITS <= int(phash, 16).bit_count() <= _BITS - _FEWEST_BITS else []
        candidates = (entry for band in bands for entry in by_band.get(band, ()))
        near = [other for other, seen in candidates if phash and distance(phash, seen) <= NEAR]
        equal = [by_sum[pixels]] if pixels in by_sum else []
        first = min((firsts[other] for other in equal or near), default=place)
        firsts.append(first)
        if pixels:
            by_sum.setdefault(pixels, place)
        if phash and first == place:
            for band in bands:
                by_band.setdefault(band, []).append((place, phash))
    return firsts


def _bands(phash: str) -> list[tuple[int, int]]:
    width = _BITS // _BANDS
    value = int(phash, 16)
    return [(band, value >> band * width & (1 << width) - 1) for band in range(_BANDS)]
