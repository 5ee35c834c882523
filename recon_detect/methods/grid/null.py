"""How similar photographs are to a template, at the phase where they are most so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

# Cosines below this one are told apart no more.
SMALL = 1e-3
# Below this energy a picture is too smooth for its table to be more than chance; so were 5 of 200 photographs.
LEAST_ENERGY = -1.5
# Quantiles of photographs that no normal tail may understate.
_TAIL = (0.9, 0.95, 0.98)


@dataclass(frozen=True, slots=True)
class Null:
    """Distribution over photographs of the log of the best cosine of 64, normal about a parabola of the energy.

    Photographs of several kinds (lossless, as cameras write them, stored as JPEG again) have one each, and the one in
    which a picture is least unusual counts: that a picture has the grid of JPEG is no evidence.

    Attributes:
        trend: (3,), the mean as a polynomial of the energy (see `whitening.energy`), constant first.
        bounds: Least and greatest energy of the photographs; others are taken for these.
        shift: (L,), median of each kind about that.
        spread: (L,), deviation of its upper tail.
    """

    trend: tuple[float, ...]
    bounds: tuple[float, float]
    shift: tuple[float, ...]
    spread: tuple[float, ...]

    @classmethod
    def fit(cls, cosines: ArrayLike, energies: ArrayLike, kinds: Sequence[str]) -> Self:
        """From the best cosines (N,) and energies (N,) of photographs, each of a kind; smooth ones are left out."""
        textured = np.asarray(energies) >= LEAST_ENERGY
        values = np.log(np.maximum(np.asarray(cosines, dtype=np.float64)[textured], SMALL))
        energies = np.asarray(energies, dtype=np.float64)[textured]
        kinds = [kind for kind, used in zip(kinds, textured, strict=True) if used]
        low, high = np.quantile(energies, (0.01, 0.99)).tolist()
        powers = np.vander(np.clip(energies, low, high), 3, increasing=True)
        trend = np.linalg.lstsq(powers, values)[0]
        rest = values - powers @ trend
        groups = [rest[np.array(kinds) == kind] for kind in sorted(set(kinds))]
        medians = [float(np.median(group)) for group in groups]
        return cls(
            tuple(trend.tolist()),
            (low, high),
            tuple(medians),
            tuple(_spread(group - median) for group, median in zip(groups, medians, strict=True)),
        )

    def deviates(self, cosines: ArrayLike, energies: ArrayLike) -> NDArray[np.float64]:
        """Best cosines (N,) of pictures with these energies (N,) as deviates of photographs (N,); 0 of smooth ones."""
        values = np.log(np.maximum(np.asarray(cosines, dtype=np.float64), SMALL))
        expected = np.vander(np.clip(np.asarray(energies, dtype=np.float64), *self.bounds), 3, increasing=True)
        rest = values - expected @ np.array(self.trend)
        result: NDArray[np.float64] = ((rest[:, None] - np.array(self.shift)) / np.array(self.spread)).min(axis=1)
        return np.where(np.asarray(energies) >= LEAST_ENERGY, result, 0.0)


def _spread(rest: NDArray[np.float64]) -> float:
    """The deviation of the normal distribution whose upper tail is nowhere below that of values about 0."""
    return float(max(rest.std(), *(np.quantile(rest, _TAIL) / ndtri(_TAIL)), 1e-3))
