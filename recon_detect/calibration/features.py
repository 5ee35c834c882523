"""What fusion and classifiers see of an image: the numbers in its row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def features_of(row: Mapping[str, Any]) -> dict[str, float | None]:
    """Every method's score of every model, and what its details have under ``"features"``, of a row as a dictionary."""
    found = {f"{method}.{model}": value for method, of in row["per_model"].items() for model, value in of.items()}
    for method, details in row["details"].items():
        found |= {f"{method}.{name}": value for name, value in details.get("features", {}).items()}
    return found


def feature_names(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names, in the order of the first row that has any."""
    return next((tuple(found) for row in rows if (found := features_of(row))), ())


def feature_matrix(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> NDArray[np.float64]:
    """(N, F); NaN where a row lacks a number."""
    found = [features_of(row) for row in rows]
    values = [[np.nan if (value := one.get(name)) is None else value for name in names] for one in found]
    return np.array(values, dtype=np.float64).reshape(len(values), len(names))
