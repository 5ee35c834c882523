"""Drift: differences of scored images from those of the calibration, for whose likes alone its bounds hold."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon_detect.calibration.calibration import Calibration
from recon_detect.calibration.strata import ALL, UNLIKE
from recon_detect.results import Drift, Row

# Drift is not estimated from fewer images.
FEWEST = 20
# A longer run is represented by this many of its rows.
SAMPLE = 5000


class Sample:
    """Random sample of the rows of a run that may be longer than memory: reservoir sampling, the same every time."""

    def __init__(self, size: int = SAMPLE) -> None:
        self.rows: list[Row] = []
        self._size = size
        self._seen = 0
        self._generator = random.Random(0)

    def add(self, row: Row) -> None:
        """Takes a row, without its map, perhaps in place of another."""
        row = replace(row, map=None)
        self._seen += 1
        if len(self.rows) < self._size:
            self.rows.append(row)
        elif (place := self._generator.randrange(self._seen)) < self._size:
            self.rows[place] = row


def drift(calibration: Calibration, rows: Sequence[Row]) -> Drift | None:
    """Compares images in use with the photographs of a calibration; None of fewer than `FEWEST` with a score."""
    scores = calibration.scores(rows)
    judged = np.isfinite(scores) & ~np.array([row.undecidable for row in rows], dtype=bool)
    names = [calibration.stratum_of(row) for row, finite in zip(rows, judged, strict=True) if finite]
    scores = scores[judged]
    if len(scores) < FEWEST:
        return None
    used, expected = [], []
    for name in dict.fromkeys(names):
        # Each stratum on its own scale: its place among the photographs of that stratum.
        photographs = np.array(calibration.held_against(name).scores)
        middle = np.median(photographs)
        of_stratum = scores[np.array(names) == name]
        used.append(_places(photographs, of_stratum[of_stratum <= middle]))
        expected.append(_places(photographs, photographs[photographs <= middle]))
    low, reference = np.concatenate(used), np.concatenate(expected)
    unlike = float(np.mean([name == UNLIKE for name in names]))
    if not len(low):
        return Drift(len(scores), 0.0, 1.0, 1.0, 1.0, unlike)
    from scipy import stats  # a second to import

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


def _places(photographs: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of photographs that lie below, smoothed between them so that no two are tied."""
    below = (np.arange(len(photographs)) + 0.5) / len(photographs)
    return np.asarray(np.interp(scores, photographs, below, left=0.0))
