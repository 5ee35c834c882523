"""How a contrast is distributed over photographs, measured once per model and shipped with the package."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon_detect.errors import UsageError
from recon_detect.models.registry import family_of

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("recon_detect")

FILE = Path(__file__).parent / "nulls.json"


@dataclass(frozen=True, slots=True)
class Nulls:
    """Normal distributions, one per model, scale and pose, narrower the larger the area that carries the error.

    The variance of a contrast is ``variance / blocks ** area``.

    Attributes:
        distances: For each model those whose log errors are averaged before they are contrasted.
        scales: S, at which images were looked at; photographs are smoother where they are enlarged.
        mean: (K, S, P) of the contrasts over photographs; close to 0, because they are quotients of like quantities.
        variance: (K, S, P), of one block.
        area: (K, S); 1 if blocks of 32 px were independent of each other.
    """

    distances: tuple[tuple[str, ...], ...]
    scales: tuple[float, ...]
    mean: tuple[tuple[tuple[float, ...], ...], ...]
    variance: tuple[tuple[tuple[float, ...], ...], ...]
    area: tuple[tuple[float, ...], ...]

    def standardise(self, contrasts: Tensor, blocks: Tensor, scale: float) -> Tensor:
        """Contrasts (B, K, P) in standard deviations of photographs whose error spreads over `blocks` (B, K).

        P may be smaller than that of the nulls: the first poses. The nearest known scale is taken.
        """
        at = min(range(len(self.scales)), key=lambda number: abs(self.scales[number] - scale))
        mean, variance = (
            contrasts.new_tensor([row[at][: contrasts.shape[2]] for row in values])
            for values in (self.mean, self.variance)
        )
        area = contrasts.new_tensor([row[at] for row in self.area])
        return (contrasts - mean) * ((blocks**area)[..., None] / variance).sqrt()

    def of(self, model: int) -> Nulls:
        """That of one model."""
        return Nulls(
            (self.distances[model],), self.scales, (self.mean[model],), (self.variance[model],), (self.area[model],)
        )


@cache
def _read() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def find_nulls(method: str, models: tuple[str, ...]) -> Nulls:
    """The nulls of a method, in the order of the models.

    Raises:
        UsageError: None is known for one of the models.
    """
    table = _read().get(method, {})
    # A model whose null was not measured takes that of its family, for what it is worth.
    of_family = {family_of(model): model for model in table}
    lender = {model: model if model in table else of_family.get(family_of(model)) for model in models}
    for model, other in lender.items():
        if other and other != model:
            log.warning("%s: no null distribution was measured; taking that of %s, unconfirmed", model, other)
    if missing := [model for model, other in lender.items() if other is None]:
        raise UsageError(
            f"no null distribution of {method!r} for {', '.join(missing)}; known for: {', '.join(table) or 'none'}. "
            "Without one, models cannot be compared: use --method contrast, or add one with python -m benchmarks.nulls"
        )
    rows = [table[lender[model]] for model in models]
    scales = tuple(rows[0]["scales"])
    mean, variance = (
        tuple(tuple(tuple(row["scales"][scale][name].values()) for scale in scales) for row in rows)
        for name in ("mean", "variance")
    )
    area = tuple(tuple(row["scales"][scale]["area"] for scale in scales) for row in rows)
    return Nulls(tuple(tuple(row["distances"]) for row in rows), tuple(map(float, scales)), mean, variance, area)


def digest() -> str:
    """Twelve hexadecimal digits of the shipped nulls."""
    return hashlib.sha256(FILE.read_bytes()).hexdigest()[:12]
