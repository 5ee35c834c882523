"""One score from all numbers of a row: a fusion of p-values, or a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon_detect.calibration.features import feature_matrix, feature_names
from recon_detect.errors import UnknownName, UsageError
from recon_detect.results import Row

Rows = Sequence[Row]
_TWO_SIDED = "two-sided-"


@dataclass(frozen=True, slots=True)
class Combiner:
    """A fitted combination of the numbers in a row.

    Attributes:
        kind: A rule of `fusion.RULES`, or one of `classifiers.CLASSIFIERS`.
        features: Names, see `features.features_of`.
        parameters: JSON values of the fit, as its kind has them.
        effective: Number of independent scores that the features of photographs are worth (`fusion.dependence`).
    """

    kind: str
    features: tuple[str, ...]
    parameters: dict[str, Any]
    effective: float

    def scores(self, rows: Rows) -> NDArray[np.float64]:
        """(N,); high means generated, NaN where a row lacks a number."""
        values = feature_matrix(rows, self.features)
        finite = np.isfinite(values).all(axis=1)
        scores = np.full(len(values), np.nan)
        if finite.any():
            scores[finite] = self._combined(values[finite])
        return scores

    def _combined(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        # scikit-learn takes a second to import.
        from recon_detect.calibration.classifiers import decision_of
        from recon_detect.calibration.fusion import RULES, Fusion

        if self.kind.removeprefix(_TWO_SIDED) in RULES:
            return Fusion.from_dict(self.parameters).transform(values)[:, 0]
        return decision_of(self.kind, self.parameters, values)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Combiner:
        """Reads the values of a file, and tries them on one image of zeros.

        Raises:
            CalibrationError: A classifier that cannot be used safely.
            ValueError: Values that no fit gives.
        """
        combiner = cls(content["kind"], tuple(content["features"]), content["parameters"], content["effective"])
        if combiner.kind not in combinations():
            raise ValueError(f"combination of the kind {combiner.kind!r}")
        if combiner._combined(np.zeros((1, len(combiner.features)))).shape != (1,):
            raise ValueError(f"combination {combiner.kind}: expected one score of an image")
        return combiner


def combinations() -> list[str]:
    """Lists the kinds of combination."""
    from recon_detect.calibration.classifiers import CLASSIFIERS
    from recon_detect.calibration.fusion import RULES

    return [*RULES, *(f"{_TWO_SIDED}{name}" for name in RULES), *CLASSIFIERS]


def fit_combiner(kind: str, real: Rows, generated: Rows, *, pca: int | None = None, tune: bool = False) -> Combiner:
    """Fits a rule to photographs, or a classifier to photographs and generated images.

    Args:
        kind: A rule or a classifier; ``"two-sided-RULE"`` is surprised by low scores too.
        real: Rows of photographs, with scores.
        generated: Rows of generated images.
        pca: Principal components that a classifier keeps.
        tune: Whether a classifier's parameters are chosen by cross-validation.

    Raises:
        UnknownName: No such kind.
        UsageError: Too few images of a class.
    """
    from recon_detect.calibration.classifiers import EvidenceClassifier
    from recon_detect.calibration.fusion import RULES, Fusion, dependence

    rule = kind.removeprefix(_TWO_SIDED)
    if kind not in combinations():
        raise UnknownName("combination", kind, combinations())
    names = feature_names(real)
    photographs, others = (_complete(feature_matrix(rows, names)) for rows in (real, generated))
    if len(photographs) < 3:
        raise UsageError(f"{len(photographs)} photographs to fit {kind} to; expected 3 or more")
    effective = dependence(photographs).effective
    if rule in RULES:
        fusion = Fusion(rule, two_sided=rule != kind).fit(photographs)
        return Combiner(kind, names, fusion.to_dict(), effective)
    if len(others) < 3:
        raise UsageError(
            f"{len(others)} generated images to train {kind} on; expected 3 or more. From photographs alone, "
            f"combine by {', '.join(RULES)}"
        )
    labels = np.r_[np.zeros(len(photographs)), np.ones(len(others))]
    classifier = EvidenceClassifier(kind, pca, tune).fit(np.vstack([photographs, others]), labels)
    return Combiner(kind, names, classifier.to_dict(), effective)


def _complete(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values).all(axis=1)]
