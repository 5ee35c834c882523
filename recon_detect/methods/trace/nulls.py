"""Distributions over photographs of the contrasts of tiles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from recon_detect.errors import UsageError
from recon_detect.evidence.distances import FEATURES
from recon_detect.methods.grid.families import read_families, read_whitening
from recon_detect.methods.trace.effort import find_effort
from recon_detect.models.registry import family_of

if TYPE_CHECKING:
    from recon_detect.methods.grid.families import Family
    from recon_detect.methods.grid.whitening import Whitening
    from recon_detect.methods.trace.effort import Effort

FILE = Path(__file__).parent / "nulls.json"
# Templates of pictures that were reduced and compressed, by family.
COMPRESSED = FILE.with_name("compressed.safetensors")


@dataclass(frozen=True, slots=True, eq=False)
class Nulls:
    """Distributions over photographs for the search by some models.

    Attributes:
        of_models: The family of decoders of each model.
        families: Whose grid is looked for.
        whitening: Of their tables.
        contrast: By family, mean and deviation of the t of a tile.
        common: Variance that the tiles of one photograph share, in that of a tile.
        effort: Of the search.
        setting: Its name, which decides the score too.
        compressed: (K, F, 8, 8), templates of the families' pictures that were reduced, then compressed.
    """

    of_models: tuple[str, ...]
    families: tuple[Family, ...]
    whitening: Whitening
    contrast: Mapping[str, tuple[float, float]]
    common: float
    effort: Effort
    setting: str
    compressed: Tensor

    @property
    def distances(self) -> tuple[tuple[str, ...], ...]:
        """The distance of each model."""
        return ((FEATURES,),) * len(self.of_models)

    def deviate(self, family: str, t: float) -> float:
        """The t of a tile as a deviate of photographs."""
        mean, deviation = self.contrast[family]
        return (t - mean) / deviation


@cache
def _read() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


@cache
def _compressed() -> Tensor:
    stored = load_file(COMPRESSED)
    return torch.stack([stored[family.name].float() for family in read_families()])


def find_nulls(models: tuple[str, ...], effort: str | float) -> Nulls:
    """The distributions for some models and an effort.

    Raises:
        UnknownName: No such effort.
        UsageError: None is known for one of the models, or seconds that are not positive.
    """
    content, bounds = _read(), find_effort(effort)
    of_models = tuple(map(family_of, models))
    if missing := [model for model, family in zip(models, of_models, strict=True) if family not in content["contrast"]]:
        raise UsageError(
            f"no null distribution for {', '.join(missing)}; known families: {', '.join(content['contrast'])}"
        )
    contrast = {name: (row["mean"], row["deviation"]) for name, row in content["contrast"].items()}
    return Nulls(
        of_models, read_families(), read_whitening(), contrast, content["common"], bounds, str(effort), _compressed()
    )
