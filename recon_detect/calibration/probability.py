"""From a score to the probability of being generated, at a prior that can be chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labelled = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _labelled(real: NDArray[np.float64], generated: NDArray[np.float64]) -> Labelled:
    """Scores, labels, and weights by which both classes count alike."""
    scores = np.r_[real, generated]
    labels = np.r_[np.zeros(len(real)), np.ones(len(generated))]
    weights = np.r_[np.full(len(real), 1 / len(real)), np.full(len(generated), 1 / len(generated))]
    return scores, labels, weights * len(scores) / 2


def _platt(real: NDArray[np.float64], generated: NDArray[np.float64]) -> dict[str, Any]:
    """Slope and intercept of a logistic regression (Platt, 1999)."""
    from sklearn.linear_model import LogisticRegression

    scores, labels, weights = _labelled(real, generated)
    # The scores of methods differ by orders of magnitude: the penalty is to act alike on all.
    unit = float(scores.std()) or 1.0
    model = LogisticRegression().fit(scores[:, None] / unit, labels, weights)
    return {"slope": float(model.coef_[0, 0] / unit), "intercept": float(model.intercept_[0])}


def _temperature(real: NDArray[np.float64], generated: NDArray[np.float64]) -> dict[str, Any]:
    """Only a slope, one over the temperature, of scores that are log odds (Guo et al., 2017)."""
    from sklearn.linear_model import LogisticRegression

    scores, labels, weights = _labelled(real, generated)
    model = LogisticRegression(fit_intercept=False).fit(scores[:, None], labels, weights)
    return {"slope": float(model.coef_[0, 0]), "intercept": 0.0}


def _isotonic(real: NDArray[np.float64], generated: NDArray[np.float64]) -> dict[str, Any]:
    """Steps of an isotonic regression (Zadrozny and Elkan, 2002), never more certain than one in n."""
    from sklearn.isotonic import IsotonicRegression

    scores, labels, weights = _labelled(real, generated)
    model = IsotonicRegression().fit(scores, labels, weights)
    p = np.clip(model.y_thresholds_, 1 / (len(real) + 1), len(generated) / (len(generated) + 1))
    return {"scores": model.X_thresholds_.tolist(), "log_odds": (np.log(p) - np.log1p(-p)).tolist()}


PROBABILITIES: dict[str, Callable[[NDArray[np.float64], NDArray[np.float64]], dict[str, Any]]] = {
    "platt": _platt,
    "isotonic": _isotonic,
    "temperature": _temperature,
}


def fit_probability(kind: str, real: NDArray[np.float64], generated: NDArray[np.float64]) -> dict[str, Any]:
    """The log odds as a function of the score, at equal shares, for JSON."""
    return {"kind": kind} | PROBABILITIES[kind](real, generated)


def probability_of(found: Mapping[str, Any], score: float, prior: float) -> float:
    """Of being generated, where a share `prior` of images is."""
    if "slope" in found:
        odds = found["slope"] * score + found["intercept"]
    else:
        odds = float(np.interp(score, found["scores"], found["log_odds"]))
    odds += math.log(prior / (1 - prior))
    return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0
