"""Metrics of the benchmarks, each defined once. Scores rise towards generated, which is the positive class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, roc_auc_score

from recon_detect.audit.separation import interval as newcombe
from recon_detect.calibration.bounds import upper_threshold
from recon_detect.calibration.probability import fit_probability, probability_of

Scores = NDArray[np.float64]

RESAMPLES = 2000
# Resamples that are counted at once: bounds the memory for collections of any size.
_TOGETHER = 100
RATES = (0.01, 0.05)
# Thresholds are of the photographs of the other folds.
FOLDS = 5
CONFIDENCE = 0.95
# Bins of the calibration error.
BINS = 10


def labelled(real: Scores, generated: Scores) -> tuple[NDArray[np.bool_], Scores]:
    """Labels (N,) and scores (N,), as scikit-learn takes them."""
    return np.r_[np.zeros(len(real), bool), np.ones(len(generated), bool)], np.r_[real, generated]


def auroc(real: Scores, generated: Scores) -> float:
    """Share of pairs in the right order, ties by half."""
    return float(roc_auc_score(*labelled(real, generated)))


def average_precision(real: Scores, generated: Scores) -> float:
    """Mean precision over the recalls, not interpolated; depends on the share of generated images."""
    return float(average_precision_score(*labelled(real, generated)))


def allowed(real: int, rate: float) -> int:
    """Number of photographs that may be called generated at a false-positive rate."""
    return int((np.arange(1, real + 1) / real <= rate).sum())


def tpr_at_fpr(real: Scores, generated: Scores, rate: float) -> float:
    """True-positive rate at the last threshold whose false-positive rate is at most `rate`, not interpolated.

    As AEROBLADE's scripts take it from `sklearn.metrics.roc_curve`. Where k photographs are allowed, it is the share of
    generated images above the photograph of rank k + 1.
    """
    k = allowed(len(real), rate)
    return float(np.mean(generated > np.sort(real)[::-1][k])) if k < len(real) else 1.0


def name_of(rate: float) -> str:
    """The column of the true-positive rate at a false-positive rate."""
    return f"tpr_at_{rate * 100:g}_fpr"


def intervals(
    real: Scores, generated: Scores, rates: Sequence[float] = (), seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95 % percentile bootstrap of the AUROC and of the TPR at each rate, resampled within each class.

    Where all resamples say the same, as of classes in perfect order, that would have no width, however few they are:
    there it is the `score_interval`.

    A resample is a count of each image. Photographs and generated images are ranked once, and every figure is read off
    the sums of counts down the ranks.
    """
    generator = np.random.default_rng(seed)
    # Descending scores.
    ranked = np.sort(-real)
    above, at_least = (np.searchsorted(np.sort(-generated), ranked, side) for side in ("left", "right"))
    figures: dict[str, list[Scores]] = {name: [] for name in ("auroc", *map(name_of, rates))}
    for _ in range(0, RESAMPLES, _TOGETHER):
        counts = [generator.multinomial(n, np.full(n, 1 / n), _TOGETHER) for n in (len(real), len(generated))]
        sums = np.pad(np.cumsum(counts[1], axis=1), ((0, 0), (1, 0)))
        pairs = counts[0] * (sums[:, above] + sums[:, at_least]) / 2
        figures["auroc"].append(pairs.sum(axis=1) / len(real) / len(generated))
        false = np.cumsum(counts[0], axis=1)
        for rate in rates:
            first = np.argmax(false > allowed(len(real), rate), axis=1)
            figures[name_of(rate)].append(sums[np.arange(_TOGETHER), above[first]] / len(generated))
    result = {}
    for name, values in figures.items():
        low, high = np.quantile(np.concatenate(values), [0.025, 0.975]).tolist()
        result[name] = (low, high) if low < high else score_interval(name, low, len(real), len(generated))
    return result


def score_interval(name: str, value: float, real: int, generated: int) -> tuple[float, float]:
    """95 % interval of a figure, by its column: Newcombe's (2006) for the AUROC, Wilson's (1927) for a TPR."""
    if name == "auroc":
        return newcombe(value, real, generated)
    wilson = binomtest(round(value * generated), generated).proportion_ci(0.95, "wilson")
    return float(wilson.low), float(wilson.high)


@dataclass(frozen=True, slots=True)
class Decisions:
    """Rates of false and true positives at calibrated thresholds, and their balanced accuracy."""

    fpr: float
    tpr: float

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the shares that are right in each class."""
        return (1 - self.fpr + self.tpr) / 2


def at_calibrated_thresholds(real: Scores, generated: Scores, rate: float, seed: int = 0) -> Decisions | None:
    """Decisions at thresholds that do not know the photographs that they decide on.

    The photographs are dealt into `FOLDS` folds at random. Each fold is held against the threshold that the package's
    own calibration takes from the others (`upper_threshold`: at most a share `rate` of photographs above it, with
    `CONFIDENCE`); every generated image against each of the thresholds. None where there are too few photographs.
    """
    fold = np.random.default_rng(seed).permutation(len(real)) % FOLDS
    thresholds = [upper_threshold(real[fold != number], rate, CONFIDENCE) for number in range(FOLDS)]
    if any(threshold is None for threshold in thresholds):
        return None
    limits = np.array(thresholds, dtype=np.float64)
    return Decisions(float(np.mean(real > limits[fold])), float(np.mean(generated > limits[:, None])))


def summary(real: Scores, generated: Scores, rate: float) -> dict[str, float | int | str]:
    """Every figure of a group of images, by column, rounded to four digits; empty where it cannot be had."""
    area = {"auroc": auroc(real, generated), "ap": average_precision(real, generated)}
    points = area | {name_of(at): tpr_at_fpr(real, generated, at) for at in RATES}
    spread = intervals(real, generated, RATES)
    line: dict[str, float | int | str] = {"real": len(real), "generated": len(generated)}
    for name, value in points.items():
        line[name] = round(value, 4)
        if name in spread:
            line |= {f"{name}_low": round(spread[name][0], 4), f"{name}_high": round(spread[name][1], 4)}
    decided = at_calibrated_thresholds(real, generated, rate)
    for column in ("fpr", "tpr", "balanced_accuracy"):
        line[f"{column}_at_threshold"] = round(getattr(decided, column), 4) if decided else ""
    return line


def probabilities(real: Scores, generated: Scores, kind: str = "platt", seed: int = 0) -> Scores:
    """(N,) of being generated, photographs first, each from a fit to the other folds, at the share of both classes."""
    generator = np.random.default_rng(seed)
    folds = [generator.permutation(len(scores)) % FOLDS for scores in (real, generated)]
    share = len(generated) / (len(real) + len(generated))
    folded = [np.zeros(len(scores)) for scores in (real, generated)]
    for number in range(FOLDS):
        fitted = fit_probability(kind, real[folds[0] != number], generated[folds[1] != number])
        for scores, fold, values in zip((real, generated), folds, folded, strict=True):
            values[fold == number] = [probability_of(fitted, score, share) for score in scores[fold == number]]
    return np.concatenate(folded)


def reliability(probabilities: Scores, generated: NDArray[np.bool_]) -> list[tuple[float, int, int]]:
    """Mean probability, generated images and images in each bin of equal width that has any."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    inside = [bins == number for number in np.unique(bins)]
    return [(float(probabilities[bin_].mean()), int(generated[bin_].sum()), int(bin_.sum())) for bin_ in inside]


def expected_calibration_error(probabilities: Scores, generated: NDArray[np.bool_]) -> float:
    """Mean distance of probability and frequency over bins of equal width, weighted by their images (Guo, 2017)."""
    binned = reliability(probabilities, generated)
    return sum(abs(mean - hits / n) * n for mean, hits, n in binned) / len(probabilities)
