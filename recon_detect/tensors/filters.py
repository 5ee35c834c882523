"""Separable filters and padding that work at any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor


def reflect_pad(x: Tensor, *, left: int = 0, right: int = 0, top: int = 0, bottom: int = 0) -> Tensor:
    """Pads (B, C, H, W) by reflection without repeating the edge; any amount, as ``numpy.pad(mode="reflect")``.

    torch's own reflection stops at the size of the image, which small images need more than once.
    """
    if not (left or right or top or bottom):
        return x
    height, width = x.shape[-2:]
    if max(left, right) < width and max(top, bottom) < height:
        return F.pad(x, (left, right, top, bottom), mode="reflect")
    rows = torch.from_numpy(np.pad(np.arange(height), (top, bottom), mode="reflect")).to(x.device)
    columns = torch.from_numpy(np.pad(np.arange(width), (left, right), mode="reflect")).to(x.device)
    return x[:, :, rows][:, :, :, columns]


def gaussian_kernel(sigma: float, radius: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Sampled Gaussian of 2 * radius + 1 taps that sum to 1."""
    positions = np.arange(-radius, radius + 1, dtype=np.float64)
    weights = np.exp(-0.5 * (positions / sigma) ** 2)
    normalised: np.ndarray[tuple[int], np.dtype[np.float64]] = weights / weights.sum()
    return normalised


def gaussian_blur(x: Tensor, *, sigma: float, radius: int) -> Tensor:
    """Gaussian blur of (B, C, H, W) with reflected edges, channel by channel."""
    channels = x.shape[1]
    taps = torch.from_numpy(gaussian_kernel(sigma, radius)).to(x)
    x = reflect_pad(x, left=radius, right=radius, top=radius, bottom=radius)
    x = F.conv2d(x, taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(x, taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)


def unit_difference(x: Tensor, y: Tensor) -> Tensor:
    """(B, 1, h, w), the squared difference of features (B, C, h, w) whose positions have length 1, as in LPIPS."""
    x, y = (F.normalize(features.float(), dim=1, eps=1e-10) for features in (x, y))
    return (x - y).square().sum(dim=1, keepdim=True)
