"""The threshold of a calibration as an estimator of scikit-learn, for pipelines and searches that others wrote."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from recon_detect.calibration.bounds import conformal_p_value, needed, upper_threshold
from recon_detect.errors import UsageError


class ConformalDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Outlier detector over scores, whose share of false positives is bounded.

    It is fitted to scores of photographs alone and has the threshold and p-values of `calibrate` without strata. What
    it learns are numbers: a `Calibration` keeps them as JSON, with the run that they belong to, and an estimator is not
    to be pickled into a file that others open.

    Args:
        fpr: Share of photographs that may be called outliers.
        confidence: Probability that this share is not exceeded.

    Attributes:
        scores_: (N,) float64, the scores of the photographs, ascending.
        threshold_: Score above which an image is an outlier.
        offset_: ``-threshold_``, as scikit-learn's outlier detectors have it.
        n_features_in_: Number of columns that it was fitted to.
    """

    def __init__(self, fpr: float = 0.01, confidence: float = 0.95) -> None:
        self.fpr = fpr
        self.confidence = confidence

    def fit(self, X: ArrayLike, y: object = None) -> ConformalDetector:
        """Takes the threshold from photographs.

        Args:
            X: (N, K) scores of photographs, high where generated. An image counts by the highest of its row, so that
                several columns must be on one scale, as standard deviations of photographs are.
            y: Ignored, as by other outlier detectors: leave out generated images.

        Raises:
            UsageError: Fewer photographs than the bound needs, or a share outside (0, 1).
            ValueError: Scores that are not finite; rows with an error have none.
        """
        for name in ("fpr", "confidence"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 < float(value) < 1:
                raise UsageError(f"{name} is {value!r}; expected a number above 0 and below 1, such as 0.05")
        self.scores_ = np.sort(self._highest(X, reset=True))
        threshold = upper_threshold(self.scores_, self.fpr, self.confidence)
        if threshold is None:
            raise UsageError(
                f"{len(self.scores_)} photographs: a threshold that at most {self.fpr:.2%} of photographs exceed, with "
                f"{self.confidence:.0%} confidence, needs {needed(self.fpr, self.confidence)}"
            )
        self.threshold_ = threshold
        self.offset_ = -threshold
        return self

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """(N,) scores with the sign turned: high where like photographs."""
        check_is_fitted(self)
        return -self._highest(X)

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """(N,) threshold minus score: negative where an image is an outlier."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """(N,) -1 where the score exceeds the threshold, else 1."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: ArrayLike) -> NDArray[np.float64]:
        """(N,) conformal p-values: (1 + number of photographs that score as high) / (1 + number of photographs)."""
        return np.array([conformal_p_value(self.scores_, score) for score in (-self.score_samples(X)).tolist()])

    def _highest(self, X: ArrayLike, reset: bool = False) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = validate_data(self, X, dtype=np.float64, reset=reset)
        highest: NDArray[np.float64] = scores.max(axis=1)
        return highest
