"""Features of an image for fusion and classifiers: the numbers in its row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from recon_detect.results import Row


def features_of(row: Row) -> dict[str, float]:
    """Collects every method's score of every model, and what its details have under ``"features"``, by name."""
    features = {
        f"{method}.{model}": of for method, score in row.scores.items() for model, of in score.per_model.items()
    }
    for method, score in row.scores.items():
        features |= {f"{method}.{name}": value for name, value in score.details.get("features", {}).items()}
    return features


def feature_names(rows: Iterable[Row]) -> tuple[str, ...]:
    """Names of the features, in the order of the first row that has any."""
    return next((tuple(names) for row in rows if (names := features_of(row))), ())


def feature_matrix(rows: Iterable[Row], names: Sequence[str]) -> NDArray[np.float64]:
    """(N, F); NaN where a row lacks a number."""
    values = [[features.get(name, np.nan) for name in names] for features in map(features_of, rows)]
    return np.array(values, dtype=np.float64).reshape(len(values), len(names))
