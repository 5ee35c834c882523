"""Blocking: at which size a picture was stored as JPEG before it was scaled, from the period of its blocks.

The blocks of 8 px of a JPEG have 8 s px once it is scaled by s. Their edges show in second differences, whose mean over
each row and column is periodic; so do the pixels that were interpolated (Gallagher, CRV 2005,
doi:10.1109/CRV.2005.33), and the blocks of 8 px that a decoder writes itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recon_detect.images.native import NativeSize

BLOCK = 8
# Side of the middle part that is looked at, in pixels.
SIDE = 2048
# Differences are divided by their mean over a square of this side, and cut at so many times it: edges decide nothing.
WINDOW, CUT = 17, 3.0
# The grid of the file itself is taken out, in pieces of this length, as it may differ along the picture; its period is
# that of subsampled chroma.
PIECE, PERIOD = 128, 16
# Multiples of the frequency of the blocks that are looked at, and the most that one of them counts, in means of noise.
HARMONICS, MOST = 4, 30.0
# Lower frequencies, in cycles per pixel, are of what the picture shows.
LOWEST = 0.04
# Length of the transform, and distance of the bins that the level of noise is taken from.
LENGTH, STEP = 2**14, 8
# The logarithm of a prior that one standard deviation of strength is worth (`benchmarks.native`).
WORTH = 0.5


def with_blocking(proposals: Sequence[NativeSize], pixels: NDArray[np.uint8]) -> list[NativeSize]:
    """Native sizes, of which those are likelier at which a picture was stored as JPEG, as its blocks show.

    Half of the prior stays where it was: a picture may have been stored at any size on its way.

    Args:
        proposals: Native sizes of the picture; weights that sum to 1.
        pixels: (H, W, 3), RGB.

    Returns:
        The likeliest first; weights that sum to 1.
    """
    strengths = block_strengths(pixels, [(proposal.width, proposal.height) for proposal in proposals])
    odds = np.array([proposal.weight for proposal in proposals]) * np.exp(WORTH * strengths)
    weighted = []
    for proposal, posterior in zip(proposals, (odds / odds.sum()).tolist(), strict=True):
        factor = (1 + posterior / proposal.weight) / 2
        families = {name: weight * factor for name, weight in proposal.families.items()}
        weighted.append(replace(proposal, families=families))
    return sorted(weighted, key=lambda proposal: -proposal.weight)


def block_strengths(pixels: NDArray[np.uint8], sizes: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """The strength of blocks of 8 px at each of some sizes that a picture may have been scaled from.

    Args:
        pixels: (H, W, 3), RGB.
        sizes: (width, height).

    Returns:
        (N,): the power at the multiples of the frequency of the blocks less that of noise, in standard deviations of
        noise. 0 where all multiples fall on the grid of a JPEG of the size of the picture, or are too high or low.
    """
    top, left = (max(side - SIDE, 0) // 2 for side in pixels.shape[:2])
    grey = pixels[top : top + SIDE, left : left + SIDE].astype(np.float32) @ np.array(_LUMA, np.float32)
    power, used = np.zeros(len(sizes)), np.zeros(len(sizes))
    if min(grey.shape) < 2 * PIECE:
        return power
    for axis in (0, 1):
        profile = _without_grid(_profile(grey, axis))
        spectrum = _spectrum(profile)
        native = np.array([size[1 - axis] for size in sizes])
        frequencies = np.arange(1, HARMONICS + 1)[:, None] * native / pixels.shape[axis] / BLOCK
        usable = (frequencies > LOWEST) & (frequencies < 0.5)
        usable &= np.abs(frequencies - np.rint(frequencies * PERIOD) / PERIOD) > 2 / len(profile)
        bins = np.rint(frequencies * LENGTH).astype(int).clip(0, len(spectrum) - 1)
        power += np.where(usable, np.minimum(spectrum[bins], MOST) - 1, 0).sum(0)
        used += usable.sum(0)
    strengths: NDArray[np.float64] = power / np.sqrt(np.maximum(used, 1))
    return strengths


# ITU-R BT.601, as in JPEG.
_LUMA = (0.299, 0.587, 0.114)


def _profile(grey: NDArray[np.float32], axis: int) -> NDArray[np.float64]:
    """Mean second difference along an axis, relative to its neighbourhood, of each row or column: (side - 2,)."""
    difference = np.abs(np.diff(grey, 2, axis=axis))
    relative = difference / (ndimage.uniform_filter(difference, WINDOW) + 0.5)
    profile: NDArray[np.float64] = np.minimum(relative, CUT).mean(1 - axis, dtype=np.float64)
    return profile


def _without_grid(profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """A profile less its mean at each phase of the file's own grid, in whole pieces."""
    pieces = profile[: len(profile) // PIECE * PIECE].reshape(-1, PIECE // PERIOD, PERIOD)
    without: NDArray[np.float64] = (pieces - pieces.mean(1, keepdims=True)).ravel()
    return without


def _spectrum(profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """The power of a profile in means of noise, by cycles per pixel times `LENGTH`."""
    power: NDArray[np.float64] = np.abs(fft.rfft(profile * np.hanning(len(profile)), LENGTH)) ** 2
    # The median of noise is ln 2 of its mean; of 80 independent bins.
    median = ndimage.median_filter(power[::STEP], 80 * LENGTH // len(profile) // STEP + 1, mode="reflect")
    noise = np.interp(np.arange(len(power)), np.arange(0, len(power), STEP), median) / np.log(2)
    relative: NDArray[np.float64] = power / np.maximum(noise, 1e-12)
    return relative
