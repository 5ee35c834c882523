"""From a score to the probability of being generated, at a prior that can be chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def _labelled(real: Scores, generated: Scores) -> tuple[Scores, Scores, Scores]:
    """Scores, labels, and weights by which both classes count alike."""
    scores = np.r_[real, generated]
    labels = np.r_[np.zeros(len(real)), np.ones(len(generated))]
    weights = np.r_[np.full(len(real), 1 / len(real)), np.full(len(generated), 1 / len(generated))]
    return scores, labels, weights * len(scores) / 2


def _platt(real: Scores, generated: Scores) -> dict[str, Any]:
    """Slope and intercept of a logistic regression (Platt, 1999)."""
    from sklearn.linear_model import LogisticRegression

    scores, labels, weights = _labelled(real, generated)
    # The scores of methods differ by orders of magnitude: the penalty is to act alike on all.
    unit = float(scores.std()) or 1.0
    model = LogisticRegression().fit(scores[:, None] / unit, labels, weights)
    return {"slope": float(model.coef_[0, 0] / unit), "intercept": float(model.intercept_[0])}


def _temperature(real: Scores, generated: Scores) -> dict[str, Any]:
    """Slope alone, one over the temperature, of scores that are log odds (Guo et al., 2017)."""
    from sklearn.linear_model import LogisticRegression

    scores, labels, weights = _labelled(real, generated)
    model = LogisticRegression(fit_intercept=False).fit(scores[:, None], labels, weights)
    return {"slope": float(model.coef_[0, 0]), "intercept": 0.0}


def _isotonic(real: Scores, generated: Scores) -> dict[str, Any]:
    """Steps of an isotonic regression (Zadrozny and Elkan, 2002), never more certain than one in n."""
    from sklearn.isotonic import IsotonicRegression

    scores, labels, weights = _labelled(real, generated)
    model = IsotonicRegression().fit(scores, labels, weights)
    p = np.clip(model.y_thresholds_, 1 / (len(real) + 1), len(generated) / (len(generated) + 1))
    return {"scores": model.X_thresholds_.tolist(), "log_odds": (np.log(p) - np.log1p(-p)).tolist()}


PROBABILITIES: dict[str, Callable[[Scores, Scores], dict[str, Any]]] = {
    "platt": _platt,
    "isotonic": _isotonic,
    "temperature": _temperature,
}


def fit_probability(kind: str, real: Scores, generated: Scores) -> dict[str, Any]:
    """Log odds of being generated as a function of the score, at equal shares; JSON values with their ``"kind"``."""
    return {"kind": kind} | PROBABILITIES[kind](real, generated)


def check_odds(odds: Mapping[str, Any]) -> None:
    """Checks what a file has in place of what `fit_probability` gives.

    Raises:
        ValueError: An unknown kind, or values that no fit gives.
    """
    if odds["kind"] not in PROBABILITIES:
        raise ValueError(f"odds of the kind {odds['kind']!r}")
    if odds["kind"] != "isotonic":
        valid = bool(np.isfinite([odds["slope"], odds["intercept"]]).all())
    else:
        scores, log_odds = (np.array(odds[name], dtype=np.float64) for name in ("scores", "log_odds"))
        valid = len(scores) == len(log_odds) > 0 and bool(np.isfinite(log_odds).all() and (np.diff(scores) >= 0).all())
    if not valid:
        raise ValueError("odds: expected finite values, and scores that ascend")


def probability_of(odds: Mapping[str, Any], score: float, prior: float) -> float:
    """Probability that an image is generated, where a share `prior` of images is."""
    if odds["kind"] == "isotonic":
        log_odds = float(np.interp(score, odds["scores"], odds["log_odds"]))
    else:
        log_odds = odds["slope"] * score + odds["intercept"]
    log_odds += math.log(prior / (1 - prior))
    return 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0
