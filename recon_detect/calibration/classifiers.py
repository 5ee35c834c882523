"""Small classifiers on evidence: scikit-learn's, with defaults for tens to thousands of images.

Linear ones become JSON, the others skops; nothing is pickled.
"""

from __future__ import annotations

import base64
import importlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from recon_detect.calibration.content import JsonObject, matrix, numbers, text
from recon_detect.calibration.trees import check_trees
from recon_detect.errors import CalibrationError, UnknownName, UsageError

# Probabilities of classifiers that give nothing else, before they become log odds.
_CERTAIN = 1e-6


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of classifier.

    Attributes:
        home: Module and class in scikit-learn.
        parameters: Arguments of the class.
        grid: Values of parameters to choose from, as in `sklearn.model_selection.GridSearchCV`.
    """

    home: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    grid: Mapping[str, Sequence[object]] = field(default_factory=dict)

    def make(self) -> Any:
        """The estimator, to be fitted."""
        module, name = self.home.split(":")
        return getattr(importlib.import_module(f"sklearn.{module}"), name)(**self.parameters)


_BALANCED: dict[str, object] = {"class_weight": "balanced"}
_SEEDED: dict[str, object] = {"random_state": 0}
_STRENGTH: dict[str, Sequence[object]] = {"C": [0.01, 0.1, 1.0, 10.0]}

CLASSIFIERS: dict[str, Kind] = {
    "logistic": Kind("linear_model:LogisticRegression", _BALANCED | {"max_iter": 5000}, _STRENGTH),
    "lda": Kind(
        "discriminant_analysis:LinearDiscriminantAnalysis",
        {"solver": "lsqr", "shrinkage": "auto"},
        {"shrinkage": ["auto", 0.1, 0.5, 0.9]},
    ),
    "linear-svm": Kind("svm:LinearSVC", _BALANCED | {"max_iter": 50_000}, _STRENGTH),
    "polynomial-svm": Kind(
        "svm:SVC", _BALANCED | {"kernel": "poly", "degree": 2, "coef0": 1.0}, _STRENGTH | {"degree": [2, 3]}
    ),
    "knn": Kind("neighbors:KNeighborsClassifier", {}, {"n_neighbors": [3, 5, 11]}),
    "random-forest": Kind(
        "ensemble:RandomForestClassifier", _BALANCED | _SEEDED | {"n_estimators": 200}, {"min_samples_leaf": [1, 3]}
    ),
    "gradient-boosting": Kind(
        "ensemble:HistGradientBoostingClassifier",
        _BALANCED | _SEEDED,
        {"max_leaf_nodes": [4, 31], "learning_rate": [0.03, 0.1]},
    ),
    "naive-bayes": Kind("naive_bayes:GaussianNB", {}, {"var_smoothing": [1e-9, 1e-2]}),
    "bagging": Kind("ensemble:BaggingClassifier", _SEEDED | {"n_estimators": 100}, {"max_features": [0.5, 1.0]}),
    "tree": Kind("tree:DecisionTreeClassifier", _BALANCED | _SEEDED | {"max_depth": 4}, {"max_depth": [2, 4, 8]}),
    "qda": Kind(
        "discriminant_analysis:QuadraticDiscriminantAnalysis", {"reg_param": 0.3}, {"reg_param": [0.1, 0.3, 0.6]}
    ),
    "mlp": Kind(
        "neural_network:MLPClassifier",
        _SEEDED | {"hidden_layer_sizes": (32,), "solver": "lbfgs", "alpha": 1.0, "max_iter": 1000},
        {"alpha": [0.1, 1.0, 10.0]},
    ),
}


# Classifiers whose decision is an affine function of the features.
LINEAR = ("logistic", "lda", "linear-svm")

# Types of scikit-learn that trees and neighbours are made of, besides what skops trusts anyway.
_TRUSTED = {
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
}


class EvidenceClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of standardised features, of two classes or more.

    Args:
        kind: Name in `CLASSIFIERS`.
        pca: Number of principal components to keep; None keeps the features.
        tune: Choose the parameters by cross-validation within whatever it is fitted to, so that `cross_val_score` of
            it is a nested cross-validation.
    """

    def __init__(self, kind: str = "logistic", pca: int | None = None, tune: bool = False) -> None:
        self.kind = kind
        self.pca = pca
        self.tune = tune

    def fit(self, X: ArrayLike, y: ArrayLike) -> EvidenceClassifier:
        """Fits to features (N, F) and labels (N,).

        Raises:
            UnknownName: No such kind.
            ValueError: Labels of one class, or features that are not finite.
        """
        if self.kind not in CLASSIFIERS:
            raise UnknownName("classifier", self.kind, list(CLASSIFIERS))
        values, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise ValueError(f"expected labels of two classes or more, got one class: {self.classes_[0]}")
        fitted = self._pipeline().fit(values, labels)
        self.pipeline_ = getattr(fitted, "best_estimator_", fitted)
        return self

    def _pipeline(self) -> Any:
        kind = CLASSIFIERS[self.kind]
        parts = [StandardScaler(), *([PCA(self.pca, random_state=0)] if self.pca else []), kind.make()]
        pipeline = make_pipeline(*parts)
        if not self.tune:
            return pipeline
        grid = {f"{pipeline.steps[-1][0]}__{parameter}": values for parameter, values in kind.grid.items()}
        return GridSearchCV(pipeline, grid, scoring="balanced_accuracy")

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Labels (N,)."""
        values = self._checked(X)
        result: NDArray[Any] = self.pipeline_.predict(values)
        return result

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log odds, or another number that grows with them: (N,), or (N, C) of more than two classes."""
        values = self._checked(X)
        return decision(self.pipeline_, values)

    def _checked(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        values: NDArray[np.float64] = validate_data(self, X, dtype=np.float64, reset=False)
        return values

    @property
    def parameters(self) -> ClassifierParameters:
        """Parameters of the fit: linear ones of the features as they are, others as an archive."""
        last = self.pipeline_[-1]
        if self.kind not in LINEAR:
            archive = _skops().dumps(self.pipeline_, compression=zipfile.ZIP_DEFLATED)
            return ArchivedParameters(base64.b64encode(archive).decode("ascii"))
        # The steps before are affine too: what they do to zero and to each unit vector determines them.
        zero_and_units = np.vstack([np.zeros(self.n_features_in_), np.eye(self.n_features_in_)])
        before = self.pipeline_[:-1].transform(zero_and_units)
        slopes, offset = before[1:] - before[0], before[0]
        coefficients = (slopes @ last.coef_.T).T.tolist()
        return LinearParameters(
            tuple(map(tuple, coefficients)), tuple((last.coef_ @ offset + last.intercept_).tolist())
        )


@dataclass(frozen=True, slots=True)
class LinearParameters:
    """Affine decision function: coefficients (C, F) and intercept (C,); C is 1 for two classes."""

    coefficients: tuple[tuple[float, ...], ...]
    intercept: tuple[float, ...]

    def decision(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """`EvidenceClassifier.decision_function` of features (N, F)."""
        result: NDArray[np.float64] = values @ np.array(self.coefficients).T + np.array(self.intercept)
        return result[:, 0] if result.shape[1] == 1 else result


@dataclass(frozen=True, slots=True)
class ArchivedParameters:
    """A fitted pipeline of scikit-learn as skops' archive, in base 64."""

    skops: str

    def decision(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """`EvidenceClassifier.decision_function` of features (N, F).

        Raises:
            CalibrationError: Types that are not loaded from files, or trees with links that leave the tree.
        """
        return decision(_from_skops(self.skops), values)


ClassifierParameters = LinearParameters | ArchivedParameters


def parameters_of(kind: str, content: JsonObject) -> ClassifierParameters:
    """Reads the parameters of a classifier of a kind from a file.

    Raises:
        ValueError: Values of another type.
    """
    if kind in LINEAR:
        return LinearParameters(matrix(content["coefficients"]), numbers(content["intercept"]))
    return ArchivedParameters(text(content["skops"]))


def decision(estimator: Any, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Decision function (N,) or (N, C) of an estimator, or the log odds where it has only probabilities."""
    if hasattr(estimator, "decision_function"):
        return np.asarray(estimator.decision_function(values), dtype=np.float64)
    p = estimator.predict_proba(values).clip(_CERTAIN, 1 - _CERTAIN)
    odds = np.log(p) - np.log1p(-p)
    return np.asarray(odds[:, 1] if odds.shape[1] == 2 else odds, dtype=np.float64)


@lru_cache(maxsize=4)
def _from_skops(text: str) -> Any:
    skops = _skops()
    archive = base64.b64decode(text)
    try:
        unknown = skops.get_untrusted_types(data=archive)
        if foreign := sorted(set(unknown) - _TRUSTED):
            raise CalibrationError(f"the classifier has types that are not loaded from files: {', '.join(foreign)}")
        pipeline = skops.loads(archive, trusted=unknown)
        check_trees(pipeline[-1])
    except CalibrationError:
        raise
    except Exception as error:  # whatever a crafted archive brings about in skops and in scikit-learn's setters
        raise CalibrationError(f"the archive of the classifier is damaged ({error})") from error
    return pipeline


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise UsageError(
            "classifiers that are not linear are stored with skops: pip install 'recon-detect[classifiers]', or take "
            "logistic, lda or linear-svm"
        ) from error
    return skops.io
