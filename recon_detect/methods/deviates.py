"""Deviates: scores in standard deviations of photographs, and their correction for how much was tested."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtri, ndtri_exp, stdtr

# One photograph in a hundred exceeds it: a score above it is worth a remark.
REMARKABLE = 2.33
# A search ends where its best result exceeds it: one photograph in seven hundred.
DECISIVE = 3.0


def of_student(t: ArrayLike, freedom: float) -> NDArray[np.float64]:
    """Student's t with some degrees of freedom as normal deviates.

    Through the lower tail, which keeps its digits; scipy has that of the normal only there.
    """
    values = np.asarray(t, dtype=np.float64)
    result: NDArray[np.float64] = -np.sign(values) * ndtri(
        np.maximum(stdtr(freedom, -np.abs(values)), np.finfo(float).tiny)
    )
    return result


def corrected(z: NDArray[np.float64], share: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Corrects z for 1 / `share` tests like it (Sidak, 1967): Phi(result) = Phi(z) ** (1 / share).

    Written in whichever tail is small, so that nothing is rounded to infinity.
    """
    log_p = log_ndtr(-z)
    with np.errstate(divide="ignore", invalid="ignore"):
        small = np.where(log_p < -30, log_p - np.log(share), np.log(-np.expm1(np.log1p(-np.exp(log_p)) / share)))
    result: NDArray[np.float64] = np.where(z > 0, -ndtri_exp(small), ndtri_exp(log_ndtr(z) / share))
    return result


def pooled(per_model: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best of (B, K) models, corrected for their number: (B,)."""
    return corrected(per_model.max(axis=1), 1 / per_model.shape[1])
