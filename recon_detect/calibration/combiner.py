"""One score from all numbers of a row: a fusion of p-values, or a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recon_detect.calibration.content import JsonObject, members, number, text, texts
from recon_detect.calibration.features import feature_matrix, feature_names
from recon_detect.errors import UnknownName, UsageError
from recon_detect.results import Row

Rows = Sequence[Row]
_TWO_SIDED = "two-sided-"


class Parameters(Protocol):
    """Parameters of a fitted combination: `fusion.FusionParameters`, or those of a classifier."""

    def decision(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores (N,) of features (N, F)."""


@dataclass(frozen=True, slots=True)
class Combiner:
    """A fitted combination of the numbers in a row.

    Attributes:
        kind: A rule of `fusion.RULES`, or one of `classifiers.CLASSIFIERS`.
        features: Names, see `features.features_of`.
        parameters: Parameters of the fit.
        effective: Number of independent scores with as much information as the features (`fusion.dependence`).
    """

    kind: str
    features: tuple[str, ...]
    parameters: Parameters
    effective: float

    def scores(self, rows: Rows) -> NDArray[np.float64]:
        """(N,); high means generated, NaN where a row lacks a number."""
        values = feature_matrix(rows, self.features)
        finite = np.isfinite(values).all(axis=1)
        scores = np.full(len(values), np.nan)
        if finite.any():
            scores[finite] = self.parameters.decision(values[finite])
        return scores

    @classmethod
    def from_dict(cls, content: JsonObject) -> Combiner:
        """Reads the values of a file, and tries them on one image of zeros.

        Raises:
            CalibrationError: A classifier that cannot be used safely.
            ValueError: Values that no fit gives.
        """
        # scikit-learn takes a second to import.
        from recon_detect.calibration.classifiers import parameters_of
        from recon_detect.calibration.fusion import RULES, FusionParameters

        kind, features, values = text(content["kind"]), texts(content["features"]), members(content["parameters"])
        if kind not in combinations():
            raise ValueError(f"combination of the kind {kind!r}")
        fused = kind.removeprefix(_TWO_SIDED) in RULES
        parameters: Parameters = FusionParameters.from_dict(values) if fused else parameters_of(kind, values)
        if parameters.decision(np.zeros((1, len(features)))).shape != (1,):
            raise ValueError(f"combination {kind}: expected one score of an image")
        return cls(kind, features, parameters, number(content["effective"]))


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
        tune: Choose a classifier's parameters by cross-validation.

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
        return Combiner(kind, names, fusion.parameters, effective)
    if len(others) < 3:
        raise UsageError(
            f"{len(others)} generated images to train {kind} on; expected 3 or more. From photographs alone, "
            f"combine by {', '.join(RULES)}"
        )
    labels = np.r_[np.zeros(len(photographs)), np.ones(len(others))]
    classifier = EvidenceClassifier(kind, pca, tune).fit(np.vstack([photographs, others]), labels)
    return Combiner(kind, names, classifier.parameters, effective)


def _complete(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values).all(axis=1)]
