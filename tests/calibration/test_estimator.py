"""The estimator of scikit-learn: its contract, and that it decides as a calibration does."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from recon_detect import load_detector
from recon_detect.calibration import calibrate
from recon_detect.calibration.estimator import ConformalDetector
from recon_detect.errors import UsageError
from tests.calibration.scored import rows

PHOTOGRAPHS = np.random.default_rng(0).standard_normal((400, 1))


# Of such a bound one photograph is enough: the checks fit to few.
@parametrize_with_checks([ConformalDetector(fpr=0.5, confidence=0.5)])
def test_it_is_an_estimator_of_scikit_learn(estimator, check):
    check(estimator)


def test_it_decides_as_a_calibration_does(method_file):
    run = load_detector(f"{method_file}:METHOD", device="cpu").run_info
    photographs = rows(PHOTOGRAPHS[:, 0].tolist(), method="roughness")
    calibration = calibrate(photographs, run, fpr=0.05, strata=())
    detector = ConformalDetector(fpr=0.05).fit(PHOTOGRAPHS)
    assert detector.threshold_ == calibration.strata["all"].threshold
    scores = np.array([[-1.0], [detector.threshold_], [detector.threshold_ + 1e-9], [9.0]])
    verdicts = [calibration.judge(row) for row in rows(scores[:, 0].tolist(), method="roughness")]
    assert detector.predict(scores).tolist() == [1, 1, -1, -1]
    assert [verdict.verdict == "likely generated" for verdict in verdicts] == [False, False, True, True]
    assert detector.p_values(scores).tolist() == [verdict.p_value for verdict in verdicts]


def test_the_bound_holds_for_photographs_like_those_it_was_fitted_to():
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(200):
        detector = ConformalDetector(fpr=0.05).fit(rng.standard_normal((100, 1)))
        shares.append((detector.predict(rng.standard_normal((2000, 1))) == -1).mean())
    exceeded = (np.array(shares) > 0.05).mean()
    assert 0 < exceeded < 0.10  # 5 % in expectation


def test_an_image_counts_by_the_highest_of_its_scores():
    both = ConformalDetector(fpr=0.05).fit(np.column_stack([PHOTOGRAPHS, PHOTOGRAPHS - 9]))
    assert both.threshold_ == ConformalDetector(fpr=0.05).fit(PHOTOGRAPHS).threshold_
    assert both.predict([[0, -9], [0, 9]]).tolist() == [1, -1]


def test_it_works_in_a_pipeline_and_is_cloned():
    pipeline = make_pipeline(FunctionTransformer(np.negative), clone(ConformalDetector(fpr=0.02)))
    assert pipeline.fit(-PHOTOGRAPHS).predict([[-9.0], [0.0]]).tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("options", "scores", "message"),
    [
        ({}, PHOTOGRAPHS[:20], "20 photographs: .* needs 299"),
        ({"fpr": 1.0}, PHOTOGRAPHS, "fpr is 1.0; expected a number above 0"),
        ({"confidence": 0}, PHOTOGRAPHS, "confidence is 0; expected a number above 0"),
        ({"fpr": "a"}, PHOTOGRAPHS, "fpr is 'a'; expected a number above 0"),
        ({"fpr": True}, PHOTOGRAPHS, "fpr is True; expected a number above 0"),
        ({"fpr": float("nan")}, PHOTOGRAPHS, "fpr is nan; expected a number above 0"),
        ({"confidence": None}, PHOTOGRAPHS, "confidence is None; expected a number above 0"),
        ({"confidence": [0.9]}, PHOTOGRAPHS, r"confidence is \[0.9\]; expected a number above 0"),
        ({}, np.full((300, 1), np.nan), "NaN"),
    ],
)
def test_what_cannot_be_fitted_is_refused(options, scores, message):
    with pytest.raises(ValueError, match=message) as raised:
        ConformalDetector(**options).fit(scores)
    assert isinstance(raised.value, UsageError) or message == "NaN"
