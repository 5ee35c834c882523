"""Distributions over photographs: of the contrasts of tiles, and of the Bayes factors of whole searches."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from recon_detect.evidence.distances import FEATURES
from recon_detect.methods.grid.families import SHIPPED, read_families, read_whitening
from recon_detect.methods.trace.effort import find_effort, kind_of
from recon_detect.methods.trace.factors import OfPhotographs
from recon_detect.methods.trace.fit import read_fitted
from recon_detect.models.registry import TINY, family_of

if TYPE_CHECKING:
    from recon_detect.methods.grid.families import Family
    from recon_detect.methods.grid.whitening import Whitening
    from recon_detect.methods.trace.effort import Effort

log = logging.getLogger("recon_detect")

FILE = Path(__file__).parent / "nulls.json"
# Templates of pictures that were reduced and compressed, by family.
COMPRESSED = FILE.with_name("compressed.safetensors")

# Efforts whose searches of photographs were not measured, and those whose distribution they take.
SEARCHED_AS = {"thorough": "normal"}


@dataclass(frozen=True, slots=True, eq=False)
class Nulls:
    """Distributions over photographs for the search by some models.

    Attributes:
        models: Names of the models.
        of_models: The family of decoders of each.
        families: Whose grid is looked for.
        whitening: Of their tables.
        contrast: Mean and deviation of the t of a tile by each model.
        common: Variance that the tiles of one photograph share, in that of a tile.
        effort: Of the search.
        setting: Its name, which decides the score too.
        searches: What searches of that effort give on photographs.
        compressed: (K, F, 8, 8), templates of the families' pictures that were reduced, then compressed.
        distances: Of each model: by the features of its encoder, or where it has none of half the size, LPIPS.
    """

    models: tuple[str, ...]
    of_models: tuple[str, ...]
    families: tuple[Family, ...]
    whitening: Whitening
    contrast: tuple[tuple[float, float], ...]
    common: float
    effort: Effort
    setting: str
    searches: OfPhotographs
    compressed: Tensor
    distances: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the families: first those whose grid is looked for, then those that only a model knows."""
        return tuple(dict.fromkeys([*(family.name for family in self.families), *self.of_models]))

    def deviate(self, model: int, t: float) -> float:
        """The t of a tile by a model as a deviate of photographs."""
        mean, deviation = self.contrast[model]
        return (t - mean) / deviation


@cache
def _read() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


def find_nulls(
    models: tuple[str, ...],
    effort: str | float,
    fitted: Path | None = None,
    *,
    grid: Path = SHIPPED,
    compressed: Path = COMPRESSED,
) -> Nulls:
    """The distributions for some models and an effort.

    A model whose tiles were not measured takes the distribution of its family or, of another family, of all: the t of
    photographs differs little between autoencoders.

    Args:
        models: Names of autoencoders.
        effort: See `find_effort`.
        fitted: File of ``recon-detect nulls fit`` for some of the models.
        grid: File of the families whose grid is looked for, and of the whitening.
        compressed: File of the templates of the same families that were reduced, then compressed.

    Raises:
        UnknownName: No such effort.
        UsageError: Seconds that are not positive, or a file that is none of these models'.
        CalibrationError: A file that holds something else.
    """
    measured, families, templates = _read(), read_families(grid), load_file(compressed)
    of_user = read_fitted(fitted) if fitted else None
    rows = of_user.of_models(models) if of_user else {}
    return Nulls(
        models,
        tuple(rows.get(model, {}).get("family") or family_of(model) for model in models),
        families,
        read_whitening(grid),
        tuple(_contrast(model, rows if model in rows else measured["contrast"]) for model in models),
        max(measured["common"], of_user.common if of_user else 0.0),
        find_effort(effort),
        f"{effort}:{of_user.digest}" if of_user else str(effort),
        OfPhotographs(tuple(measured["searches"][SEARCHED_AS.get(kind_of(effort), kind_of(effort))])),
        torch.stack([templates[family.name].float() for family in families]),
        tuple((rows[model]["distance"] if model in rows else _distance(model),) for model in models),
    )


def _distance(model: str) -> str:
    """The distance of a model whose contrasts a file of the package knows."""
    return FEATURES if model in TINY else "lpips_vgg_2"


def _contrast(model: str, measured: Mapping[str, Mapping[str, Any]]) -> tuple[float, float]:
    """Mean and deviation of the t of a tile by a model."""
    rows = [measured[model]] if model in measured else []
    rows = rows or [row for name, row in measured.items() if family_of(name) == family_of(model)]
    rows = rows or list(measured.values())
    if model not in measured:
        log.warning("%s: no null distribution was measured; taking that of other autoencoders, unconfirmed", model)
    return fmean(row["mean"] for row in rows), max(row["deviation"] for row in rows)
