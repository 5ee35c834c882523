"""Separation of two classes by one measurement or by several together, and its probability by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from recon_detect.audit.features import CATEGORY, Feature

if TYPE_CHECKING:
    from recon_detect.audit.features import Value

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Bools: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Column: TypeAlias = tuple[Feature, Sequence["Value"]]

PERMUTATIONS = 4000
FOLDS = 5
_REPEATS = 2
_TREES = 50
_LABELS_AT_ONCE = 10_000_000


def auroc(values: Sequence[Value], generated: Bools) -> float:
    """Probability that a generated image's value is above a photograph's, ties counted half."""
    ranks = stats.rankdata(np.asarray(values, dtype=np.float64))
    n = int(generated.sum())
    return float((ranks[generated].sum() - n * (n + 1) / 2) / (n * (len(ranks) - n)))


def interval(area: float, real: int, generated: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of an AUROC: Newcombe, Statistics in Medicine 25(4), 2006, method 5.

    The areas whose distance to the observed one is within the quantile of their own standard error, after Hanley and
    McNeil with the mean of both sample sizes. Unlike a bootstrap it has a width at 1: 5 + 5 images in perfect order
    are weaker evidence than 500 + 500.
    """
    z = float(stats.norm.isf((1 - confidence) / 2))
    mean = (real + generated) / 2 - 1

    def lowest(observed: float) -> float:
        def excess(area: float) -> float:
            spread = 1 + mean * ((1 - area) / (2 - area) + area / (1 + area))
            return observed - area - z * math.sqrt(area * (1 - area) * spread / (real * generated))

        below = observed - 1e-9  # at 1 the standard error is 0, which is a solution too
        return float(brentq(excess, 0, below)) if below > 0 else 0.0

    return lowest(area), 1 - lowest(1 - area)


def detectable(real: int, generated: int, tests: int, level: float) -> float:
    """Smallest AUROC that differs from chance with these numbers of images, among `tests` measurements.

    By the normal approximation of the Mann-Whitney statistic and Bonferroni's bound.
    """
    deviation = math.sqrt((real + generated + 1) / (12 * real * generated))
    return min(0.5 + float(stats.norm.isf(level / (2 * tests))) * deviation, 1.0)


def cross_validated(columns: Sequence[Column], generated: Bools) -> tuple[float, float]:
    """AUROC of a classifier on images that it was not fitted to, and its one-sided p-value.

    One category is judged by the regularised likelihood ratio of its values, which is the best that can be done with
    it; several measurements by a random forest, which finds combinations and steps of any direction and takes missing
    values. The area is the mean over the folds of repeated cross-validation. The p-value is that of the corrected
    t-test of Nadeau and Bengio (Machine Learning 52, 2003), as folds share the images that they are fitted to.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score

    one = len(columns) == 1 and columns[0][0].kind == CATEGORY
    model = LogisticRegression() if one else RandomForestClassifier(_TREES, min_samples_leaf=2, random_state=0)
    folds = min(FOLDS, int(generated.sum()), int((~generated).sum()))
    splits = RepeatedStratifiedKFold(n_splits=folds, n_repeats=_REPEATS, random_state=0)
    table = _one_hot(columns[0][1]) if one else _table(columns)
    areas = cross_val_score(model, table, generated, cv=splits, scoring="roc_auc")
    variance = areas.var(ddof=1) * (1 / len(areas) + 1 / (folds - 1))
    area = float(areas.mean())
    t = (area - 0.5) / math.sqrt(variance) if variance > 0 else math.inf * np.sign(area - 0.5)
    return area, float(stats.t.sf(t, len(areas) - 1)) if area != 0.5 else 0.5


def family_wise(columns: Sequence[Column], generated: Bools, seed: int = 0) -> Floats:
    """p-value of each measurement, corrected for looking at all of them: (F,).

    The share of random relabellings in which any measurement separates as well, by its own standard, as this one does
    now: Westfall and Young's single-step min-P (1993). It holds at any sample size, and costs nothing where
    measurements go together.
    """
    draw = np.random.default_rng(seed)
    count = len(generated)
    distances = [_distances(columns, generated[None])]
    together = max(_LABELS_AT_ONCE // count, 1)
    for start in range(0, PERMUTATIONS, together):
        number = min(together, PERMUTATIONS - start)
        distances.append(_distances(columns, draw.permuted(np.tile(generated, (number, 1)), axis=1)))
    # Rounded, or equal separations would differ in their last digit.
    every = np.concatenate(distances).round(9)
    p = stats.rankdata(-every, method="max", axis=0) / len(every)
    corrected: Floats = np.mean(p.min(axis=1)[:, None] <= p[0], axis=0)
    return corrected


def _distances(columns: Sequence[Column], labels: Bools) -> Floats:
    """Distances (B, F) of the AUROC of each measurement from 1/2, under each labelling (B, N)."""
    distances = np.empty((len(labels), len(columns)))
    numbers = [place for place, (feature, _) in enumerate(columns) if feature.kind != CATEGORY]
    given = np.array([[value is not None for value in columns[place][1]] for place in numbers]).T
    ranks = np.zeros(given.shape)
    for column, place in enumerate(numbers):
        present = [value for value in columns[place][1] if value is not None]
        ranks[given[:, column], column] = stats.rankdata(np.asarray(present, dtype=np.float64))
    if numbers:
        n = labels.astype(np.float64) @ given.astype(np.float64)
        above = labels.astype(np.float64) @ ranks - n * (n + 1) / 2
        distances[:, numbers] = np.abs(_share(above, n * (given.sum(axis=0) - n)) - 0.5)
    for place, (feature, values) in enumerate(columns):
        if feature.kind == CATEGORY:
            distances[:, place] = _best_order(values, labels) - 0.5
    return distances


def _best_order(values: Sequence[Value], labels: Bools) -> Floats:
    """AUROC of a category whose values are put into the best order for each labelling: (B,)."""
    _, codes = np.unique([str(value) for value in values if value is not None], return_inverse=True)
    among = labels[:, [value is not None for value in values]]
    sizes = np.bincount(codes).astype(np.float64)
    generated = np.stack([np.bincount(codes[row], minlength=len(sizes)) for row in among]).astype(np.float64)
    order = np.argsort(generated / sizes, axis=1)
    generated = np.take_along_axis(generated, order, axis=1)
    real = sizes[order] - generated
    below = np.cumsum(real, axis=1) - real / 2
    return _share((generated * below).sum(axis=1), generated.sum(axis=1) * real.sum(axis=1))


def _share(pairs: Floats, of: Floats) -> Floats:
    """Pairs in order over all pairs; one half where there are none."""
    share: Floats = np.divide(pairs, of, out=np.full(pairs.shape, 0.5), where=of > 0)
    return share


def _one_hot(values: Sequence[Value]) -> Any:
    from sklearn.preprocessing import OneHotEncoder

    return OneHotEncoder().fit_transform([[value] for value in values])


def _table(columns: Sequence[Column]) -> Floats:
    """(N, F); categories by how frequent they are, missing values as NaN."""
    table = np.empty((len(columns[0][1]), len(columns)))
    for place, (feature, values) in enumerate(columns):
        codes: dict[Value, Value] = {}
        if feature.kind == CATEGORY:
            names, counts = np.unique([str(value) for value in values if value is not None], return_counts=True)
            codes = {str(name): float(rank) for rank, name in enumerate(names[np.argsort(-counts, kind="stable")])}
        numbers = [codes.get(value, value) for value in values]
        table[:, place] = [math.nan if number is None else number for number in numbers]
    return table
