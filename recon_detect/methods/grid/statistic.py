"""Second-order statistics of a picture by phase of a grid: what the upsampling of a decoder makes periodic.

A decoder doubles its latents three times, so its pictures are cyclostationary with a period of 8 pixels (Gardner,
doi:10.1109/79.81007). High-pass residuals divided by their local RMS, which cancels what the picture shows, and
multiplied with themselves at small lags are averaged over all pixels of one phase (row and column modulo 8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

PERIOD = 8
# Widths of the box means whose residuals are taken, in pixels; differences and lags are in units of them.
WIDTHS = (1, 2, 4)
# (down, across) of what each normalised residual is multiplied with.
LAGS = ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0))
# Y, B - Y, R - Y by BT.601.
CHANNELS = ((0.299, 0.587, 0.114), (-0.299, -0.587, 0.886), (0.701, -0.587, -0.114))
# Of each width, channel and direction: the residual itself, then its products.
FEATURES = len(WIDTHS) * len(CHANNELS) * 3 * (1 + len(LAGS))
# Added to the local mean square, in squared grey levels: rounding to 8 bits is no texture.
FLOOR = 0.3
# Normalised residuals are cut here, so that single edges do not decide.
CUT = 2.5
# Side of the square over which the mean square is taken: twice the period, so that it is the same at every phase.
WINDOW = 16
# What the pixels at the left and top, and at the right and bottom, are needed for: the neighbourhoods of others.
BEFORE, AFTER = 16, 24
# Sides of the pieces that are computed at a time, so that they stay in the cache.
TILE = (64, 512)


def tables(x: Tensor, period: int = PERIOD) -> Tensor:
    """Means of every feature by phase, less their mean over the phases: (FEATURES, period, period).

    Args:
        x: Picture (3, H, W) in [-1, 1]; sides of at least `least_side(period)`.
        period: Of the grid, in pixels; other than 8 as a control.

    Returns:
        Row and column modulo `period` of the picture are the last two dimensions. All zero for a flat picture.
    """
    origin = BEFORE // period * period + (period if BEFORE % period else 0)
    height, width = ((side - origin - AFTER) // period * period for side in x.shape[-2:])
    x = torch.tensordot(x.new_tensor(CHANNELS) * 127.5, x, 1)
    sums = x.new_zeros(FEATURES, period, period)
    rows, columns = (side // period * period for side in TILE)
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            h, w = min(rows, height - top), min(columns, width - left)
            y0, x0 = top + origin - BEFORE, left + origin - BEFORE
            piece = x[:, y0 : y0 + h + BEFORE + AFTER, x0 : x0 + w + BEFORE + AFTER]
            for number, maps in enumerate(_products(piece, h, w)):
                sums[9 * number : 9 * number + 9] += _fold(maps, period)
    means = sums / (height // period * (width // period))
    return means - means.mean((1, 2), keepdim=True)


def cell_tables(x: Tensor, side: int, step: int | None = None) -> Tensor:
    """The tables of each cell of a picture (3, H, W), in one pass: (rows, columns, FEATURES, 8, 8).

    The cells are squares of a `side` that begin every `step` pixels, both multiples of 8; None lays them side by side.
    The first begins at `BEFORE` pixels from the left and top, and a picture has at least one.
    """
    step = step or side
    rows, columns = (max((length - BEFORE - AFTER - side) // step + 1, 1) for length in x.shape[-2:])
    at_once = (TILE[1] - side) // step + 1
    x = torch.tensordot(x.new_tensor(CHANNELS) * 127.5, x, 1)
    means = x.new_empty(rows, columns, FEATURES, PERIOD, PERIOD)
    for row in range(rows):
        for first in range(0, columns, at_once):
            count = min(columns - first, at_once)
            top, left, width = row * step, first * step, (count - 1) * step + side
            piece = x[:, top : top + side + BEFORE + AFTER, left : left + width + BEFORE + AFTER]
            for number, maps in enumerate(_products(piece, side, width)):
                folded = torch.stack([_fold(maps[..., x0 : x0 + side], PERIOD) for x0 in range(0, count * step, step)])
                means[row, first : first + count, 9 * number : 9 * number + 9] = folded / (side // PERIOD) ** 2
    return means - means.mean((-2, -1), keepdim=True)


def least_side(period: int = PERIOD) -> int:
    """The side of the smallest picture that has a table."""
    return BEFORE + AFTER + 2 * period


def _products(x: Tensor, h: int, w: int) -> Iterator[Tensor]:
    """The maps of a piece, 9 at a time: (channel and direction, h, w). One is overwritten by the next."""
    buffer = x.new_empty(9, h, w)
    for d in WIDTHS:
        normal = _normalised(x, d, h, w)
        here = normal[:, :h, d : d + w]
        yield here
        for i, j in LAGS:
            there = normal[:, i * d : i * d + h, (1 + j) * d : (1 + j) * d + w]
            yield torch.mul(here, there, out=buffer)


def _normalised(x: Tensor, d: int, h: int, w: int) -> Tensor:
    """Residuals over their local RMS (9, h + 2 d, d + w + 2 d), with what the lags need around the piece."""
    # The lags want d more columns on the left and 2 d on the right and below; around these lies the window.
    half = WINDOW // 2
    top, left, after = half + d, half + 2 * d, half + 4 * d - 2
    x = x[:, BEFORE - top : BEFORE + h + after, BEFORE - left : BEFORE + w + after]
    b = _box(x, d) if d > 1 else x
    dx = b[..., d:-d] - 0.5 * (b[..., 2 * d :] + b[..., : -2 * d])
    dy = b[:, d:-d, d:-d] - 0.5 * (b[:, 2 * d :, d:-d] + b[:, : -2 * d, d:-d])
    dxy = dx[:, d:-d] - 0.5 * (dx[:, 2 * d :] + dx[:, : -2 * d])
    residual = torch.cat([dx[:, d:-d], dy, dxy])
    power = _box(residual * residual, WINDOW).add_(FLOOR).rsqrt_()
    inner = residual[:, half : half + power.shape[1], half : half + power.shape[2]]
    return power.mul_(inner).clamp_(-CUT, CUT)


def _box(x: Tensor, side: int) -> Tensor:
    """Means over squares of a side that is a power of two, each where it begins: sides shrink by ``side - 1``."""
    step = 1
    while step < side:
        x = x[..., step:] + x[..., :-step]
        x = x[..., step:, :] + x[..., :-step, :]
        step *= 2
    return x.mul_(1 / side**2)


def _fold(maps: Tensor, period: int) -> Tensor:
    """Sums by phase of (C, h, w)."""
    channels, h, w = maps.shape
    rows = maps.reshape(channels, h // period, period, w).sum(1)
    return rows.view(channels, period, w // period, period).sum(2)
