"""Distributions of contrasts over photographs, measured once per model and shipped with the package."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import ndtri_exp, stdtr

from recon_detect.errors import UsageError
from recon_detect.models.registry import family_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

log = logging.getLogger("recon_detect")


def file_of(method: str) -> Path:
    """The file of a method's distributions."""
    return Path(__file__).parent / f"nulls-{method}.json"


class Contrasts(NamedTuple):
    """Log errors of other poses, less that of the pose in question.

    Attributes:
        value: (..., P), the mean of the other poses less the pose itself.
        variance: (..., P), of the other poses among themselves; 0 of a single one.
        freedom: One less than the number of other poses: degrees of freedom of `variance`.
    """

    value: Tensor
    variance: Tensor
    freedom: int


@dataclass(frozen=True, slots=True)
class Null:
    """Distribution over photographs of the contrasts of one model at one scale.

    A contrast is normal, and its variance has two estimates: ``variance / blocks ** area`` for photographs in general,
    and, less exact, the variance of the other poses of this image among themselves. Both are pooled as in the moderated
    t of Smyth (2004, doi:10.2202/1544-6115.1027, sections 3 and 4): the general one counts for `freedom` degrees of
    freedom. So an image whose errors depend on its position for other reasons, such as strong JPEG, is not mistaken
    for a generated one.

    Attributes:
        mean: (P,) of the contrasts over photographs; close to 0, because they are quotients of like quantities.
        variance: (P,), of one block.
        spread: (P,); variance of the other poses among themselves, as a multiple of that of the contrast.
        area: 1 if blocks of 32 px were independent of each other.
        freedom: Degrees of freedom; large if photographs were all alike.
    """

    mean: tuple[float, ...]
    variance: tuple[float, ...]
    spread: tuple[float, ...]
    area: float
    freedom: float

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Null:
        """Reads a row of the file, in which the values of a pose are under its name."""
        mean, variance, spread = (tuple(row[name].values()) for name in ("mean", "variance", "spread"))
        return cls(mean, variance, spread, row["area"], row["freedom"])

    def standardise(self, contrasts: Contrasts, blocks: Tensor) -> NDArray[np.float64]:
        """Contrasts as normal deviates (..., P): a photograph exceeds z as often as N(0, 1) does.

        Args:
            contrasts: (..., P), where P may be smaller than that of the null: the first poses.
            blocks: (...), over how many blocks of 32 px the error is spread.
        """
        value, of_image = (part.double().cpu().numpy() for part in (contrasts.value, contrasts.variance))
        mean, variance, spread = (np.array(row[: value.shape[-1]]) for row in (self.mean, self.variance, self.spread))
        common = variance / blocks.double().cpu().numpy()[..., None] ** self.area
        freedom = self.freedom + contrasts.freedom
        t = (value - mean) / np.sqrt((self.freedom * common + contrasts.freedom * of_image / spread) / freedom)
        # Through the tail, so that nothing is rounded to 1.
        result: NDArray[np.float64] = -np.sign(t) * ndtri_exp(np.log(stdtr(freedom, -np.abs(t))))
        return result


@dataclass(frozen=True, slots=True)
class Nulls:
    """The distributions over photographs of the contrasts of a method's K models.

    Attributes:
        distances: For each of the K models those whose log errors are averaged before they are contrasted.
        scales: S, at which images were looked at; photographs are smoother where they are enlarged.
        rows: (K, S).
        searches: For each model, by stage of a search, mean and deviation of the best contrast in photographs.
        setting: See `methods.method.Nulls`.
    """

    distances: tuple[tuple[str, ...], ...]
    scales: tuple[float, ...]
    rows: tuple[tuple[Null, ...], ...]
    searches: tuple[Mapping[str, tuple[float, float]], ...]
    setting: str = ""

    def standardise(self, contrasts: Contrasts, blocks: Tensor, scale: float) -> NDArray[np.float64]:
        """Contrasts (B, K, P) as normal deviates (see `Null`), with `blocks` (B, K); of the nearest scale."""
        nearest = min(range(len(self.scales)), key=lambda number: abs(self.scales[number] - scale))
        value, variance, freedom = contrasts
        columns = [
            row[nearest].standardise(Contrasts(value[:, k], variance[:, k], freedom), blocks[:, k])
            for k, row in enumerate(self.rows)
        ]
        return np.stack(columns, axis=1)

    def searched(self, model: int, stage: str, best: float) -> float:
        """The best of a search as a normal deviate: itself where nothing was searched for."""
        mean, deviation = self.searches[model].get(stage, (0.0, 1.0))
        return (best - mean) / deviation

    def of(self, model: int) -> Nulls:
        """The distributions of one model."""
        return Nulls((self.distances[model],), self.scales, (self.rows[model],), (self.searches[model],))


@cache
def _read(method: str) -> dict[str, Any]:
    """The rows of a method's file by model; none of a method without a file."""
    path = file_of(method)
    rows: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))[method] if path.is_file() else {}
    return rows


def find_nulls(method: str, models: tuple[str, ...]) -> Nulls:
    """The nulls of a method, in the order of the models.

    Raises:
        UsageError: None is known for one of the models.
    """
    table = _read(method)
    # A model whose null was not measured takes that of its family, unconfirmed.
    of_family = {family_of(model): model for model in table}
    lender = {model: model if model in table else of_family.get(family_of(model)) for model in models}
    for model, other in lender.items():
        if other and other != model:
            log.warning("%s: no null distribution was measured; taking that of %s, unconfirmed", model, other)
    if missing := [model for model, other in lender.items() if other is None]:
        raise UsageError(
            f"no null distribution of {method!r} for {', '.join(missing)}; known for: {', '.join(table) or 'none'}. "
            "Without one, models cannot be compared: use --method contrast, or add one with python -m assets.nulls"
        )
    rows = [table[str(lender[model])] for model in models]
    scales = tuple(rows[0]["scales"])
    return Nulls(
        tuple(tuple(row["distances"]) for row in rows),
        tuple(map(float, scales)),
        tuple(tuple(Null.read(row["scales"][scale]) for scale in scales) for row in rows),
        tuple({stage: (fit["mean"], fit["deviation"]) for stage, fit in row["searches"].items()} for row in rows),
    )
