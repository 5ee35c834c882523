"""Probability of being generated as a function of the score, at a prior that can be chosen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recon_detect.calibration.content import JsonObject, number, numbers, text

Scores = NDArray[np.float64]


class Odds(Protocol):
    """Log odds of being generated as a function of the score, at equal shares of both classes."""

    @property
    def kind(self) -> str:
        """One of `PROBABILITIES`."""

    def log_odds_at(self, score: float) -> float:
        """Natural logarithm of the odds."""


@dataclass(frozen=True, slots=True)
class LinearOdds:
    """Log odds that are ``slope * score + intercept``: of the kinds platt and temperature."""

    kind: str
    slope: float
    intercept: float

    def log_odds_at(self, score: float) -> float:
        """Natural logarithm of the odds."""
        return self.slope * score + self.intercept


@dataclass(frozen=True, slots=True)
class IsotonicOdds:
    """Log odds that are interpolated between steps: ascending scores (N,) and the log odds (N,) there."""

    kind: str
    scores: tuple[float, ...]
    log_odds: tuple[float, ...]

    def log_odds_at(self, score: float) -> float:
        """Natural logarithm of the odds."""
        return float(np.interp(score, self.scores, self.log_odds))


def _labelled(real: Scores, generated: Scores) -> tuple[Scores, Scores, Scores]:
    """Scores, labels, and weights by which both classes count alike."""
    scores = np.r_[real, generated]
    labels = np.r_[np.zeros(len(real)), np.ones(len(generated))]
    weights = np.r_[np.full(len(real), 1 / len(real)), np.full(len(generated), 1 / len(generated))]
    return scores, labels, weights * len(scores) / 2


def _platt(real: Scores, generated: Scores) -> Odds:
    """Logistic regression (Platt, 1999)."""
    from sklearn.linear_model import LogisticRegression

    scores, labels, weights = _labelled(real, generated)
    # The scores of methods differ by orders of magnitude: the penalty is to act alike on all.
    unit = float(scores.std()) or 1.0
    model = LogisticRegression().fit(scores[:, None] / unit, labels, weights)
    return LinearOdds("platt", float(model.coef_[0, 0] / unit), float(model.intercept_[0]))


def _temperature(real: Scores, generated: Scores) -> Odds:
    """Slope alone, one over the temperature, of scores that are log odds (Guo et al., 2017)."""
    from sklearn.linear_model import LogisticRegression

    scores, labels, weights = _labelled(real, generated)
    model = LogisticRegression(fit_intercept=False).fit(scores[:, None], labels, weights)
    return LinearOdds("temperature", float(model.coef_[0, 0]), 0.0)


def _isotonic(real: Scores, generated: Scores) -> Odds:
    """Isotonic regression (Zadrozny and Elkan, 2002), never more certain than one in n."""
    from sklearn.isotonic import IsotonicRegression

    scores, labels, weights = _labelled(real, generated)
    model = IsotonicRegression().fit(scores, labels, weights)
    p = np.clip(model.y_thresholds_, 1 / (len(real) + 1), len(generated) / (len(generated) + 1))
    return IsotonicOdds("isotonic", tuple(model.X_thresholds_.tolist()), tuple((np.log(p) - np.log1p(-p)).tolist()))


PROBABILITIES: dict[str, Callable[[Scores, Scores], Odds]] = {
    "platt": _platt,
    "isotonic": _isotonic,
    "temperature": _temperature,
}


def fit_probability(kind: str, real: Scores, generated: Scores) -> Odds:
    """Fits log odds of a kind to scores of photographs and of generated images."""
    return PROBABILITIES[kind](real, generated)


def odds_of(content: JsonObject) -> Odds:
    """Reads and checks the odds of a file by their kind.

    Raises:
        ValueError: An unknown kind, or values that no fit gives.
    """
    kind = text(content["kind"])
    if kind not in PROBABILITIES:
        raise ValueError(f"odds of the kind {kind!r}")
    if kind != "isotonic":
        linear = LinearOdds(kind, number(content["slope"]), number(content["intercept"]))
        if not np.isfinite([linear.slope, linear.intercept]).all():
            raise ValueError("odds: expected a finite slope and intercept")
        return linear
    steps = IsotonicOdds(kind, numbers(content["scores"]), numbers(content["log_odds"]))
    ascending = (np.diff(steps.scores) >= 0).all()
    if not len(steps.scores) == len(steps.log_odds) > 0 or not np.isfinite(steps.log_odds).all() or not ascending:
        raise ValueError("odds: expected scores that ascend, and finite log odds of each")
    return steps


def probability_of(odds: Odds, score: float, prior: float) -> float:
    """Probability that an image is generated, where a share `prior` of images is."""
    log_odds = odds.log_odds_at(score) + math.log(prior / (1 - prior))
    return 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0
