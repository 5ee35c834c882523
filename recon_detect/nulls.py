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
    """Normal distributions, one per model and pose, that are narrower the larger the area that carries the error.

    The variance of a contrast is ``variance / blocks ** area``.

    Attributes:
        mean: (K, P) of the contrasts over photographs; close to 0, because they are quotients of like quantities.
        variance: (K, P), of one block.
        area: (K,); 1 if blocks of 32 px were independent of each other.
    """

    mean: tuple[tuple[float, ...], ...]
    variance: tuple[tuple[float, ...], ...]
    area: tuple[float, ...]

    def standardise(self, contrasts: Tensor, blocks: Tensor) -> Tensor:
        """Contrasts (B, K, P) in standard deviations of photographs whose error spreads over `blocks` (B, K)."""
        mean, variance, area = (contrasts.new_tensor(values) for values in (self.mean, self.variance, self.area))
        return (contrasts - mean) * ((blocks**area)[..., None] / variance).sqrt()


@cache
def _read() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def find_nulls(method: str, distance: str, models: tuple[str, ...]) -> Nulls:
    """The nulls of a method, in the order of the models.

    Raises:
        UsageError: None is known for this distance or for one of the models.
    """
    table = _read().get(method, {}).get(distance, {})
    # A model whose null was not measured takes that of its family, for what it is worth.
    of_family = {family_of(model): model for model in table}
    lender = {model: model if model in table else of_family.get(family_of(model)) for model in models}
    for model, other in lender.items():
        if other and other != model:
            log.warning("%s: no null distribution was measured; taking that of %s, unconfirmed", model, other)
    if missing := [model for model, other in lender.items() if other is None]:
        raise UsageError(
            f"no null distribution of {method!r} with {distance} for {', '.join(missing)}; known for: "
            f"{', '.join(table) or 'none'}. Without one, models cannot be compared: use --method contrast, or add one "
            "with python -m benchmarks.nulls"
        )
    rows = [table[lender[model]] for model in models]
    mean, variance = (tuple(tuple(row[name].values()) for row in rows) for name in ("mean", "variance"))
    return Nulls(mean, variance, tuple(row["area"] for row in rows))


def digest() -> str:
    """Twelve hexadecimal digits of the shipped nulls."""
    return hashlib.sha256(FILE.read_bytes()).hexdigest()[:12]
