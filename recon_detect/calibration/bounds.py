"""Thresholds with a bound and p-values from n photographs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr


def needed(rate: float, confidence: float) -> int:
    """Number of images that a threshold at a rate needs: the smallest n with (1 - rate)^n <= 1 - confidence."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - rate))


def smallest_rate(n: int, confidence: float) -> float:
    """Lowest rate that n images give a threshold for, the inverse of `needed`: 1 - (1 - confidence)^(1 / n)."""
    return float(1 - (1 - confidence) ** (1 / n))


def upper_threshold(scores: NDArray[np.float64], rate: float, confidence: float) -> float | None:
    """Lowest score that at most a share `rate` of such images exceeds, with `confidence`; None of too few images.

    The k-th largest of n scores is exceeded by a share that is Beta(k, n - k + 1) distributed, whatever the scores'
    distribution. Taken is the largest k whose share is below `rate` with `confidence`: P(Bin(n, rate) < k) <=
    1 - confidence, the exact binomial bound (Clopper and Pearson, 1934; used so in Learn then Test, arXiv:2110.01052).
    """
    allowed = bdtr(np.arange(len(scores)), len(scores), rate) <= 1 - confidence
    k = int(allowed.sum())
    return float(np.sort(scores)[-k]) if k else None


def predictive_t(
    values: NDArray[np.float64] | float,
    mean: NDArray[np.float64] | float,
    deviation: NDArray[np.float64] | float,
    n: int,
) -> NDArray[np.float64]:
    """(x - mean) / (s sqrt(1 + 1/n)): Student's t with n - 1 degrees of freedom, of one more like n normal ones."""
    return np.asarray((values - mean) / (deviation * np.sqrt(1 + 1 / n)))


def conformal_p_value(photographs: Sequence[float] | NDArray[np.float64], score: float) -> float:
    """(1 + number of photographs that score as high) / (1 + n), of ascending scores (Vovk et al., 2005)."""
    as_high = len(photographs) - int(np.searchsorted(photographs, score, side="left"))
    return (1 + as_high) / (1 + len(photographs))
