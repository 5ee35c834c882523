"""Similarity of photographs to a template, at the phase where it is highest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.special import ndtri

from recon_detect.methods.deviates import of_student

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

# Cosines below this one are told apart no more.
SMALL = 1e-3
# Below this energy a picture is too smooth for its table to be more than chance; so were 5 of 200 photographs.
LEAST_ENERGY = -1.5
# Kinds of fewer photographs are taken together.
LEAST_OF_A_KIND = 10
# Quantiles of photographs that no normal tail may understate.
_TAIL = (0.9, 0.95, 0.98)
# Coefficients of a parabola.
_COEFFICIENTS = 3


@dataclass(frozen=True, slots=True)
class Null:
    """Distribution over photographs of the log of the best cosine of 64, Student's t about a parabola of the energy.

    Photographs of several kinds (lossless, as cameras write them, stored as JPEG again) have one each, and the one in
    which a picture is least unusual counts: that a picture has the grid of JPEG is no evidence. The fewer photographs
    of a kind, the heavier its tail.

    Attributes:
        trend: (L, 3), the median of each kind as a polynomial of the energy (see `whitening.energy`), constant first.
        bounds: (L, 2), least and greatest energy of the photographs; others are taken for these.
        spread: (L,), deviation of the upper tail about the median.
        freedom: (L,), degrees of freedom: photographs less one.
    """

    trend: tuple[tuple[float, ...], ...]
    bounds: tuple[tuple[float, float], ...]
    spread: tuple[float, ...]
    freedom: tuple[int, ...]

    @classmethod
    def fit(cls, cosines: ArrayLike, energies: ArrayLike, kinds: Sequence[str]) -> Self:
        """Fits best cosines (N,) and energies (N,) of photographs, each of a kind; smooth ones are left out."""
        textured = np.asarray(energies) >= LEAST_ENERGY
        values = _logs(cosines)[textured]
        energies = np.asarray(energies, dtype=np.float64)[textured]
        labels = _joined(np.array(kinds)[textured])
        fits = [_fit_kind(values[labels == kind], energies[labels == kind]) for kind in np.unique(labels[labels != ""])]
        trend, bounds, spread, freedom = zip(*fits, strict=True)
        return cls(trend, bounds, spread, freedom)

    def deviates(self, cosines: ArrayLike, energies: ArrayLike) -> NDArray[np.float64]:
        """Best cosines (N,) of pictures with these energies (N,) as deviates of photographs (N,); 0 of smooth ones."""
        values, energies = _logs(cosines), np.asarray(energies, dtype=np.float64)
        kinds = []
        for trend, bounds, spread, freedom in zip(self.trend, self.bounds, self.spread, self.freedom, strict=True):
            rest = (values - _powers(energies, bounds) @ np.array(trend)) / spread
            kinds.append(of_student(rest, freedom))
        result: NDArray[np.float64] = np.min(kinds, axis=0)
        return np.where(energies >= LEAST_ENERGY, result, 0.0)


def _fit_kind(
    values: NDArray[np.float64], energies: NDArray[np.float64]
) -> tuple[tuple[float, ...], tuple[float, float], float, int]:
    """Trend, bounds, spread and degrees of freedom of the logs (N,) of one kind of photographs."""
    low, high = np.quantile(energies, (0.01, 0.99)).tolist()
    powers = _powers(energies, (low, high))
    trend = np.linalg.lstsq(powers, values)[0]
    trend[0] += np.median(values - powers @ trend)
    rest = values - powers @ trend
    return tuple(trend.tolist()), (low, high), _spread(rest), max(len(values) - 1, 1)


def _joined(kinds: NDArray[np.str_]) -> NDArray[np.str_]:
    """Labels (N,) in which small kinds are one; empty where even that is too small and there are others."""
    names, counts = np.unique(kinds, return_counts=True)
    small = np.isin(kinds, names[counts < LEAST_OF_A_KIND])
    enough = small.sum() >= LEAST_OF_A_KIND or bool(small.all())
    return np.where(small, "few" if enough else "", kinds)


def _logs(cosines: ArrayLike) -> NDArray[np.float64]:
    result: NDArray[np.float64] = np.log(np.maximum(np.asarray(cosines, dtype=np.float64), SMALL))
    return result


def _powers(energies: NDArray[np.float64], bounds: tuple[float, float]) -> NDArray[np.float64]:
    return np.vander(np.clip(energies, *bounds), _COEFFICIENTS, increasing=True)


def _spread(rest: NDArray[np.float64]) -> float:
    """The deviation of the normal distribution whose upper tail is nowhere below that of values about 0."""
    return float(max(rest.std(), *(np.quantile(rest, _TAIL) / ndtri(_TAIL)), 1e-3))
