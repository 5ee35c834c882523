"""AEDR: the first reconstruction's error over the second's (AAAI 2026, arXiv:2507.18988)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon_detect.errors import ImageTooSmall
from recon_detect.methods.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence


def double_reconstruction_ratio(e: Evidence) -> Tensor:
    """T = MSE(x, x') / MSE(x', x''), x' = AE(x), x'' = AE(x'). Low means generated."""
    return e.error() / e.error(passes=2)


def homogeneous_ratio(e: Evidence) -> Tensor:
    """T' = t H with the homogeneity H of the grey-level co-occurrence matrix, Eq. 4 of the paper."""
    return double_reconstruction_ratio(e) * homogeneity(e.image())[:, None]


def homogeneity(x: Tensor) -> Tensor:
    """Homogeneity (B,) of the co-occurrence matrix: 32 grey levels, horizontal neighbours, symmetric, normalised.

    The sum of p(i, j) / (1 + |i - j|) is the mean of 1 / (1 + |i - j|) over all pairs of neighbours. (The authors' code
    squares the difference; their paper does not.) Grey is ITU-R 601 luma rounded to 8 bits, as OpenCV's.

    Raises:
        ImageTooSmall: No pixel has a neighbour.
    """
    if x.shape[-1] < 2:
        raise ImageTooSmall(f"{x.shape[-1]}x{x.shape[-2]} is too small; expected a width of 2 pixels, or more")
    red, green, blue = ((x + 1) * 127.5).unbind(dim=1)
    level = ((0.299 * red + 0.587 * green + 0.114 * blue).round() / 8).floor()
    return (1 / (1 + (level[..., 1:] - level[..., :-1]).abs())).mean(dim=(1, 2))


AEDR = Method(
    name="aedr",
    title="error of the first pass over the error of the second",
    statistic=double_reconstruction_ratio,
    higher_is_generated=False,
    distance="l2",
    models=("taesd",),
    paper="arXiv:2507.18988",
    cost="2 reconstructions",
)

AEDR_HOMOGENEITY = Method(
    name="aedr-homogeneity",
    title="AEDR weighted by the homogeneity of the image",
    statistic=homogeneous_ratio,
    higher_is_generated=False,
    distance="l2",
    models=("taesd",),
    paper="arXiv:2507.18988",
    cost="2 reconstructions",
)
