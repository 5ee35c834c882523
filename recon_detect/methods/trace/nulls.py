"""What photographs give: the deviates of contrasts, and the Bayes factor of a whole search."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri, ndtri_exp

from recon_detect.errors import UsageError
from recon_detect.methods.trace.effort import kind_of
from recon_detect.methods.grid.families import read_families, read_whitening
from recon_detect.models.registry import family_of

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.methods.grid.families import Family
    from recon_detect.methods.grid.whitening import Whitening

FILE = Path(__file__).parent / "nulls.json"
# Shares of photographs, whose quantiles are known.
LEVELS = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Nulls:
    """Distributions over photographs for the search by some models.

    Attributes:
        of_models: The family of decoders of each model.
        families: Whose grid is looked for.
        whitening: Of their tables.
        contrast: By family, mean and deviation of the t of a tile.
        common: Variance that the tiles of one photograph share, in that of a tile.
        searches: Quantiles of the logarithm of the Bayes factor of photographs, by effort, at `LEVELS`.
    """

    of_models: tuple[str, ...]
    families: tuple[Family, ...]
    whitening: Whitening
    contrast: Mapping[str, tuple[float, float]]
    common: float
    searches: Mapping[str, Sequence[float]]
    stored: Tensor | None = None

    def deviate(self, family: str, t: float) -> float:
        """The t of a tile as a deviate of photographs."""
        mean, deviation = self.contrast[family]
        return (t - mean) / deviation

    def deviate_of_search(self, log_factor: float, effort: str | float) -> float:
        """The logarithm of a Bayes factor as a deviate of photographs.

        Between the quantiles of photographs it is interpolated. Beyond them the share of photographs falls as the Bayes
        factor rises, which is the slowest that it can.
        """
        values, levels = self.searches[kind_of(effort)], ndtri(LEVELS)
        if log_factor <= values[-1]:
            slope = (levels[1] - levels[0]) / (values[1] - values[0])
            below = min(log_factor - values[0], 0.0) * slope
            return float(np.interp(log_factor, values, levels) + below)
        return float(-ndtri_exp(np.log1p(-LEVELS[-1]) - (log_factor - values[-1])))


@cache
def _read() -> dict[str, object]:
    content: dict[str, object] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


def find_nulls(models: tuple[str, ...]) -> Nulls:
    """The distributions for some models.

    Raises:
        UsageError: None is known for one of the models.
    """
    content = _read()
    of_models = tuple(map(family_of, models))
    if missing := [model for model, family in zip(models, of_models, strict=True) if family not in content["contrast"]]:
        raise UsageError(f"no null distribution for {', '.join(missing)}; known families: {', '.join(content['contrast'])}")
    contrast = {name: (row["mean"], row["deviation"]) for name, row in content["contrast"].items()}
    return Nulls(of_models, read_families(), read_whitening(), contrast, content["common"], content["searches"])
