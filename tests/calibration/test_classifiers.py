import base64
import json
from dataclasses import asdict

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from recon_detect.calibration.classifiers import (
    CLASSIFIERS,
    LINEAR,
    ArchivedParameters,
    EvidenceClassifier,
    parameters_of,
)
from recon_detect.errors import CalibrationError, UnknownName

# Forests of hundreds of trees take minutes through all the checks.
QUICK = ("logistic", "lda", "linear-svm", "polynomial-svm", "knn", "naive-bayes", "tree", "qda")


@parametrize_with_checks([EvidenceClassifier(kind) for kind in QUICK])
@pytest.mark.filterwarnings("ignore")
def test_they_are_estimators(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([EvidenceClassifier(kind) for kind in CLASSIFIERS if kind not in QUICK])
@pytest.mark.filterwarnings("ignore")
def test_ensembles_are_estimators(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def data():
    x, y = load_breast_cancer(return_X_y=True)
    return x[:200, :8], y[:200]


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize("pca", [None, 3])
def test_written_and_read_back(data, kind, pca):
    x, y = data
    fitted = EvidenceClassifier(kind, pca).fit(x[:150], y[:150])
    text = json.dumps(asdict(fitted.parameters))
    again = parameters_of(kind, json.loads(text)).decision(x[150:])
    assert np.allclose(again, fitted.decision_function(x[150:]), atol=1e-9)
    assert np.array_equal(again > 0, fitted.predict(x[150:]) == 1) or kind in ("knn", "random-forest", "bagging")
    assert ("skops" in text) == (kind not in LINEAR)
    assert fitted.score(x[150:], y[150:]) > 0.85


def test_several_classes_are_written_and_read_back():
    x, y = load_iris(return_X_y=True)
    for kind in LINEAR:
        fitted = EvidenceClassifier(kind).fit(x, y)
        again = fitted.parameters.decision(x)
        assert again.shape == (150, 3) and np.allclose(again, fitted.decision_function(x))


def test_logistic_is_that_of_standardised_features(data):
    x, y = data
    expected = LogisticRegression(class_weight="balanced", max_iter=5000).fit(StandardScaler().fit_transform(x), y)
    values = expected.decision_function(StandardScaler().fit(x).transform(x))
    assert np.allclose(EvidenceClassifier().fit(x, y).decision_function(x), values)


def test_tuning_stays_within_the_folds_it_is_given(data):
    """Nested: a scorer of the outer folds sees a choice that was made without them."""
    x, y = data
    noise = np.random.default_rng(0).normal(size=x.shape)
    nested = cross_val_score(EvidenceClassifier("knn", tune=True), noise, y, cv=5, scoring="balanced_accuracy")
    assert abs(nested.mean() - 0.5) < 0.12
    tuned = EvidenceClassifier("knn", tune=True).fit(x, y)
    assert tuned.pipeline_[-1].n_neighbors in CLASSIFIERS["knn"].grid["n_neighbors"]


def test_what_does_not_belong_is_not_loaded(data):
    """A scikit-learn pipeline that would call a function of another module."""
    import os

    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    archive = base64.b64encode(skops.io.dumps(FunctionTransformer(os.system))).decode()
    with pytest.raises(CalibrationError, match="types that are not loaded from files: .*system"):
        ArchivedParameters(archive).decision(data[0])


def test_bad_use_is_told(data):
    x, y = data
    with pytest.raises(UnknownName, match="logisitc"):
        EvidenceClassifier("logisitc").fit(x, y)
    with pytest.raises(ValueError, match="two classes"):
        EvidenceClassifier().fit(x, np.zeros(len(x)))
