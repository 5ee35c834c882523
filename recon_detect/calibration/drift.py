"""Whether the images in question are like those of the calibration: a bound holds for no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from recon_detect.calibration.calibration import Calibration
from recon_detect.calibration.strata import ALL, UNLIKE

# Fewer images tell nothing about drift.
ENOUGH = 20
# So rare must a difference be before it is worth a warning: runs are many.
LEVEL = 0.001
# So many images of kinds that the calibration does not know are.
UNKNOWN = 0.1


@dataclass(frozen=True, slots=True)
class Drift:
    """How images in use differ from the photographs of a calibration.

    Generated images among them raise scores and are no drift: what is tested is the lower half, p-values above one
    half, which photographs fill evenly whatever is above.

    Attributes:
        images: How many were judged.
        photographs: Estimated share of photographs, twice that of p-values above one half (Storey, 2002).
        ks: P-value of the Kolmogorov-Smirnov test of the lower half against that of the photographs.
        shift: P-value of the Mann-Whitney test of the same: whether they lie higher or lower.
        lower: P-value of the share of photographs being above one, which is so where scores are lower throughout.
        unlike: Share of images of a kind that no photograph of the calibration had.
    """

    images: int
    photographs: float
    ks: float
    shift: float
    lower: float
    unlike: float

    @property
    def warnings(self) -> tuple[str, ...]:
        """In words; none where nothing is known against the calibration."""
        found = []
        if self.unlike > UNKNOWN:
            found.append(f"{self.unlike:.0%} of the images are of a kind that the calibration has no photographs of")
        if min(self.ks, self.shift) < LEVEL:
            found.append(
                f"the low scores are not those of the calibration's photographs (Kolmogorov-Smirnov p = {self.ks:.1g}, "
                f"Mann-Whitney p = {self.shift:.1g})"
            )
        if self.lower < LEVEL:
            found.append("scores are lower than those of the calibration's photographs")
        return tuple(f"{text}: its bound may not hold; calibrate on photographs like these" for text in found)


def drift(calibration: Calibration, rows: Sequence[Mapping[str, Any]]) -> Drift | None:
    """Compares rows in use, as `Row.to_dict` gives them; None of fewer than `ENOUGH` with a score."""
    scores = calibration.scores(rows)
    kept = np.isfinite(scores)
    names = [calibration.stratum_of(row) for row, good in zip(rows, kept, strict=True) if good]
    scores = scores[kept]
    if len(scores) < ENOUGH:
        return None
    used, known = [], []
    for name in dict.fromkeys(names):
        # Each stratum on its own scale: its place among the photographs of that stratum.
        photographs = np.array(calibration.held_against(name).scores)
        middle = np.median(photographs)
        own = scores[np.array(names) == name]
        used.append(_places(photographs, own[own <= middle]))
        known.append(_places(photographs, photographs[photographs <= middle]))
    low, reference = np.concatenate(used), np.concatenate(known)
    unlike = float(np.mean([name == UNLIKE for name in names]))
    if not len(low):
        return Drift(len(scores), 0.0, 1.0, 1.0, 1.0, unlike)
    share = len(low) / len(scores)
    spread = np.sqrt(0.25 / len(scores) + 0.25 / len(calibration.strata[ALL].scores))
    return Drift(
        len(scores),
        2 * share,
        float(stats.ks_2samp(low, reference).pvalue),
        float(stats.mannwhitneyu(low, reference).pvalue),
        float(stats.norm.sf((share - 0.5) / spread)),
        unlike,
    )


def _places(photographs: np.ndarray[Any, Any], scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Shares of photographs that lie below, smoothed between them so that no two are tied."""
    below = (np.arange(len(photographs)) + 0.5) / len(photographs)
    return np.asarray(np.interp(scores, photographs, below, left=0.0))
