"""Several scores into one, from photographs alone.

Each score becomes a p-value among photographs, and these are combined by a published rule. The scores of one image
depend on each other, so that no rule's own p-value is taken at its word: a fused score is calibrated like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from recon_detect.calibration.bounds import predictive_t
from recon_detect.calibration.content import JsonObject, number, numbers, text

# Smaller p-values are the same to a threshold, and their combinations stay finite.
_LEAST = 1e-250


def _cauchy(p: NDArray[np.float64]) -> NDArray[np.float64]:
    # tan((0.5 - p) pi) without its loss of digits at small p.
    result: NDArray[np.float64] = stats.cauchy.sf((1 / np.tan(np.pi * np.minimum(p, 1 - 1e-15))).mean(axis=1))
    return result


def _scipy(method: str) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda p: np.asarray(stats.combine_pvalues(p, method=method, axis=1).pvalue)


# Functions of p-values (N, K): one each.
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
        rule: Name in `RULES`.
        two_sided: Low scores surprise as much as high ones, for scores of unknown direction.
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

    @property
    def parameters(self) -> FusionParameters:
        """Parameters of the fit."""
        check_is_fitted(self)
        mean, deviation = tuple(self.mean_.tolist()), tuple(self.deviation_.tolist())
        return FusionParameters(self.rule, self.two_sided, self.n_photographs_, mean, deviation)


@dataclass(frozen=True, slots=True)
class FusionParameters:
    """Parameters of a fitted `Fusion`.

    Attributes:
        rule: Name in `RULES`.
        two_sided: True where low scores surprise as much as high ones.
        photographs: Number of them.
        mean: Mean of each of K scores of photographs.
        deviation: Deviation of each; 1 where they are all alike.
    """

    rule: str
    two_sided: bool
    photographs: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def decision(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fused scores (N,) of scores (N, K)."""
        fusion = Fusion(self.rule, self.two_sided)
        fusion.n_photographs_, fusion.n_features_in_ = self.photographs, len(self.mean)
        fusion.mean_, fusion.deviation_ = np.array(self.mean), np.array(self.deviation)
        return fusion.transform(values)[:, 0]

    @classmethod
    def from_dict(cls, content: JsonObject) -> FusionParameters:
        """Reads and checks the values of a file.

        Raises:
            ValueError: Values that no fit gives.
        """
        count = int(number(content["photographs"]))
        mean, deviation = numbers(content["mean"]), numbers(content["deviation"])
        fusion = cls(text(content["rule"]), bool(content["two_sided"]), count, mean, deviation)
        if fusion.rule not in RULES or count < 2 or len(mean) != len(deviation):
            raise ValueError(f"fusion: {fusion.rule!r} of {count} photographs")
        return fusion


@dataclass(frozen=True, slots=True)
class Dependence:
    """Dependence of the scores of photographs on each other.

    Attributes:
        correlation: (K, K) Spearman's.
        effective: Number of independent scores with as much information: (sum of sqrt(eigenvalues))^2 / sum
            (Galwey, 2009).
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
