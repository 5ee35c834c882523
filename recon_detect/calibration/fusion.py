"""Several scores into one, from photographs alone.

Each score becomes a p-value among photographs, and these are combined by a published rule. The scores of one image
depend on each other, so that no rule's own p-value is taken at its word: a fused score is calibrated like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from recon_detect.calibration.bounds import predictive_t

# Smaller p-values are the same to a threshold, and their combinations stay finite.
_LEAST = 1e-250


def _cauchy(p: NDArray[np.float64]) -> NDArray[np.float64]:
    # tan((0.5 - p) pi) without its loss of digits at small p.
    result: NDArray[np.float64] = stats.cauchy.sf((1 / np.tan(np.pi * np.minimum(p, 1 - 1e-15))).mean(axis=1))
    return result


def _scipy(method: str) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda p: np.asarray(stats.combine_pvalues(p, method=method, axis=1).pvalue)


# From p-values (N, K) to one each.
RULES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "min-p": _scipy("tippett"),  # 1 - (1 - min p)^K, Sidak's correction
    "fisher": _scipy("fisher"),
    "stouffer": _scipy("stouffer"),
    "cauchy": _cauchy,  # Liu and Xie, 2020: nearly indifferent to dependence
    "harmonic": lambda p: p.shape[1] / (1 / p).sum(axis=1),  # Wilson, 2019, before his asymptotic correction
}


class Fusion(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """-log10 of the combined p-value of several scores.

    Fitted to photographs alone. Each score's p-value is that of the predictive t distribution of one more photograph,
    (x - mean) / (s sqrt(1 + 1/n)) with n - 1 degrees of freedom: ranks among n photographs would end at 1 / (n + 1),
    where every generated image would be alike.

    Args:
        rule: Of `RULES`.
        two_sided: Whether low scores surprise as much as high ones, for scores whose direction is not known.
    """

    def __init__(self, rule: str = "cauchy", two_sided: bool = False) -> None:
        self.rule = rule
        self.two_sided = two_sided

    def fit(self, X: ArrayLike, y: object = None) -> Fusion:
        """Estimates mean and deviation of the scores (N, K) of photographs."""
        if self.rule not in RULES:
            raise ValueError(f"rule is {self.rule!r}; expected one of {', '.join(RULES)}")
        values = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        self.n_photographs_ = len(values)
        self.mean_ = values.mean(axis=0)
        deviation = values.std(axis=0, ddof=1)
        self.deviation_ = np.where(deviation > 0, deviation, 1.0)
        return self

    def p_values(self, X: ArrayLike) -> NDArray[np.float64]:
        """P-values (N, K), before they are combined."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float64, reset=False)
        n = self.n_photographs_
        t = predictive_t(values, self.mean_, self.deviation_, n)
        p = 2 * stats.t.sf(np.abs(t), n - 1) if self.two_sided else stats.t.sf(t, n - 1)
        return np.asarray(np.clip(p, _LEAST, 1.0))

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Fused scores (N, 1); high where photographs seldom are."""
        combined = RULES[self.rule](self.p_values(X))
        return -np.log10(np.clip(combined, 1e-300, 1.0))[:, None]

    def to_dict(self) -> dict[str, Any]:
        """JSON values of the fit."""
        check_is_fitted(self)
        return {
            "rule": self.rule,
            "two_sided": self.two_sided,
            "photographs": self.n_photographs_,
            "mean": self.mean_.tolist(),
            "deviation": self.deviation_.tolist(),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Fusion:
        """Reads and checks what `to_dict` gave.

        Raises:
            ValueError: Values that no fit gives.
        """
        fusion = cls(content["rule"], content["two_sided"])
        fusion.n_photographs_ = content["photographs"]
        fusion.mean_, fusion.deviation_ = (np.array(content[name], dtype=np.float64) for name in ("mean", "deviation"))
        fusion.n_features_in_ = len(fusion.mean_)
        if fusion.rule not in RULES or fusion.n_photographs_ < 2 or fusion.mean_.shape != fusion.deviation_.shape:
            raise ValueError(f"fusion: {fusion.rule!r} of {fusion.n_photographs_} photographs")
        return fusion


@dataclass(frozen=True, slots=True)
class Dependence:
    """Dependence of the scores of photographs on each other.

    Attributes:
        correlation: (K, K) Spearman's.
        effective: Number of independent scores that they are worth: (sum of sqrt(eigenvalues))^2 / sum (Galwey, 2009).
    """

    correlation: NDArray[np.float64]
    effective: float


def dependence(values: NDArray[np.float64]) -> Dependence:
    """Measures the dependence of scores (N, K) of photographs."""
    if values.shape[1] == 1:
        return Dependence(np.ones((1, 1)), 1.0)
    ranks = stats.rankdata(values, axis=0)
    spread = ranks.std(axis=0)
    correlation = np.corrcoef(ranks[:, spread > 0], rowvar=False)
    eigenvalues = np.linalg.eigvalsh(np.atleast_2d(correlation)).clip(0)
    return Dependence(correlation, float(np.sqrt(eigenvalues).sum() ** 2 / eigenvalues.sum()))
