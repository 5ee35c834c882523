import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score, roc_curve

from benchmarks.common import metrics
from recon_detect.audit.separation import interval
from recon_detect.calibration.bounds import upper_threshold

# Few values, so that there are ties within and between the classes.
CLASS = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30).map(np.array)


@pytest.fixture
def scores():
    generator = np.random.default_rng(0)
    return generator.normal(size=140).round(1), generator.normal(1, size=90).round(1)


def published_tpr(labels, scores, max_fpr):
    """AEROBLADE's `tpr_at_max_fpr`, as its scripts compute it."""
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    return tpr[np.argmax(fpr > max_fpr) - 1]


@given(CLASS, CLASS)
def test_areas_are_those_of_scikit_learn(real, generated):
    labels, scores = metrics.labelled(real, generated)
    assert labels.sum() == len(generated) and len(labels) == len(scores)
    assert metrics.auroc(real, generated) == roc_auc_score(labels, scores)
    assert metrics.average_precision(real, generated) == average_precision_score(labels, scores)
    pairs = [(g > r) + (g == r) / 2 for g in generated for r in real]
    assert metrics.auroc(real, generated) == pytest.approx(np.mean(pairs))


@given(CLASS, CLASS, st.one_of(st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0]), st.floats(0, 1)))
def test_tpr_at_fpr_is_the_published_one(real, generated, rate):
    assert metrics.tpr_at_fpr(real, generated, rate) == published_tpr(*metrics.labelled(real, generated), rate)


def test_tpr_is_taken_at_the_last_threshold_within_the_rate():
    real, generated = np.arange(20.0), np.array([30, 19.5, 18.5, 5])
    assert [metrics.tpr_at_fpr(real, generated, rate) for rate in (0.0, 0.05, 0.099)] == [0.5, 0.75, 0.75]
    assert metrics.allowed(100, 0.29) == 29  # 0.29 * 100 is 28.999...


def test_intervals_hold_the_figures_and_are_reproducible(scores):
    found = metrics.intervals(*scores, metrics.RATES)
    assert found == metrics.intervals(*scores, metrics.RATES)
    assert set(found) == {"auroc", "tpr_at_1_fpr", "tpr_at_5_fpr"}
    low, high = found["auroc"]
    assert low < metrics.auroc(*scores) < high
    for rate in metrics.RATES:
        low, high = found[metrics.name_of(rate)]
        assert low <= metrics.tpr_at_fpr(*scores, rate) <= high and low < high


@pytest.mark.parametrize("column, figure", [
    ("auroc", metrics.auroc),
    ("tpr_at_1_fpr", lambda r, g: metrics.tpr_at_fpr(r, g, 0.01)),
    ("tpr_at_5_fpr", lambda r, g: metrics.tpr_at_fpr(r, g, 0.05)),
])  # fmt: skip
@pytest.mark.slow
def test_intervals_are_those_of_a_plain_bootstrap(scores, column, figure):
    draw = np.random.default_rng(1)
    plain = [figure(*(draw.choice(of, len(of)) for of in scores)) for _ in range(500)]
    assert np.allclose(metrics.intervals(*scores, metrics.RATES)[column], np.quantile(plain, [0.025, 0.975]), atol=0.03)


@settings(max_examples=20, deadline=None)
@given(CLASS, CLASS)
def test_intervals_of_few_images_with_ties(real, generated):
    for low, high in metrics.intervals(real, generated, metrics.RATES).values():
        assert 0 <= low <= high <= 1


def test_intervals_of_classes_in_perfect_order_have_a_width_that_falls_with_their_number():
    widths = []
    for n in 1, 10, 100:
        found = metrics.intervals(np.arange(n) - 1e3, np.arange(n) + 1e3, metrics.RATES)
        assert all(high == pytest.approx(1) for _, high in found.values())
        assert found["auroc"] == pytest.approx(interval(1.0, n, n))
        assert found["tpr_at_1_fpr"] == pytest.approx(wilson(n, n), abs=1e-6)
        widths.append([1 - low for low, _ in found.values()])
    assert (np.diff(widths, axis=0) < 0).all()
    reversed_order = metrics.intervals(np.arange(10) + 1e3, np.arange(10) - 1e3, metrics.RATES)
    assert all(low == pytest.approx(0) and 0 < high < 0.5 for low, high in reversed_order.values())


def wilson(hits, n, z=1.959964):
    """Wilson (1927), as textbooks write it."""
    middle, spread = (hits + z**2 / 2) / (n + z**2), z / (n + z**2) * np.sqrt(hits * (n - hits) / n + z**2 / 4)
    return middle - spread, middle + spread


def test_balanced_accuracy_is_that_of_scikit_learn_at_thresholds_of_other_photographs(scores):
    real, generated = scores
    found = metrics.at_calibrated_thresholds(real, generated, 0.05)
    fold = np.random.default_rng(0).permutation(len(real)) % metrics.FOLDS
    labels, decisions, weights = [], [], []
    for number in range(metrics.FOLDS):
        limit = upper_threshold(real[fold != number], 0.05, 0.95)
        assert np.mean(real[fold != number] > limit) <= 0.05
        tried = real[fold == number]
        labels += [False] * len(tried) + [True] * len(generated)
        decisions += [*(tried > limit), *(generated > limit)]
        weights += [1.0] * len(tried) + [1 / metrics.FOLDS] * len(generated)
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, decisions, sample_weight=weights))
    assert 0 < found.fpr <= 0.1 and found.tpr > found.fpr


def test_calibrated_thresholds_keep_their_rate_on_other_photographs():
    draw = np.random.default_rng(2)
    rates = [
        metrics.at_calibrated_thresholds(draw.normal(size=150), draw.normal(2, size=50), 0.1, seed).fpr
        for seed in range(40)
    ]
    assert 0.01 < np.mean(rates) < 0.1


def test_too_few_photographs_have_no_threshold(scores):
    real, generated = scores
    assert metrics.at_calibrated_thresholds(real[:30], generated, 0.05) is None
    line = metrics.summary(real[:30], generated, 0.05)
    assert line["balanced_accuracy_at_threshold"] == "" and line["auroc"] > 0.5


def test_a_summary_has_every_figure_with_its_interval(scores):
    line = metrics.summary(*scores, 0.05)
    assert list(line) == [
        "real", "generated", "auroc", "auroc_low", "auroc_high", "ap", "tpr_at_1_fpr", "tpr_at_1_fpr_low",
        "tpr_at_1_fpr_high", "tpr_at_5_fpr", "tpr_at_5_fpr_low", "tpr_at_5_fpr_high", "fpr_at_threshold",
        "tpr_at_threshold", "balanced_accuracy_at_threshold",
    ]  # fmt: skip
    assert line["auroc"] == round(metrics.auroc(*scores), 4)


def test_probabilities_are_those_of_fits_to_other_images(scores):
    real, generated = scores
    p = metrics.probabilities(real, generated)
    assert p.shape == (230,) and ((p > 0) & (p < 1)).all()
    assert p.mean() == pytest.approx(90 / 230, abs=0.03)
    assert np.corrcoef(p, np.r_[real, generated])[0, 1] > 0.9
    # An image that lies far off moves the others' probabilities, not its own.
    moved = real.copy()
    moved[0] = 30.0
    changed = metrics.probabilities(moved, generated)
    fold = np.random.default_rng(0).permutation(len(real)) % metrics.FOLDS
    own = np.flatnonzero(fold == fold[0])[1:]
    assert np.array_equal(changed[own], p[own]) and changed[0] > 0.99
    assert not np.allclose(changed[np.flatnonzero(fold != fold[0])], p[np.flatnonzero(fold != fold[0])])


def test_the_error_of_probabilities():
    p, error = np.array([0.05, 0.05, 0.95, 0.95]), metrics.expected_calibration_error
    assert error(p, np.array([False, False, True, True])) == pytest.approx(0.05)
    assert error(p, np.array([True, True, False, False])) == pytest.approx(0.95)
    assert error(np.ones(2), np.array([True, False])) == pytest.approx(0.5)
    assert metrics.reliability(p, np.array([False, True, True, True])) == [(0.05, 1, 2), (0.95, 2, 2)]
