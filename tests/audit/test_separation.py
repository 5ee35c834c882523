import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from recon_detect.audit import separation
from recon_detect.audit.features import CATEGORY, FLAG, Feature

NUMBER = Feature("number", "number", "file")
FLAGGED = Feature("flag", "flag", "file", FLAG)
NAMED = Feature("name", "name", "file", CATEGORY)


def labels(real: int, generated: int) -> np.ndarray:
    return np.r_[np.zeros(real, dtype=bool), np.ones(generated, dtype=bool)]


def test_auroc_is_scikit_learns(rng):
    values, generated = rng.normal(size=50).round(1), labels(20, 30)
    assert separation.auroc(values, generated) == pytest.approx(roc_auc_score(generated, values), abs=1e-12)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("shift", [0, 0.7, 2.5])
@pytest.mark.parametrize(("real", "generated"), [(12, 12), (60, 25)])
def test_interval_covers_as_promised(rng, shift, real, generated):
    truth, generated_labels = norm.cdf(shift / np.sqrt(2)), labels(real, generated)
    covered = 0
    for _ in range(200):
        values = np.r_[rng.normal(size=real), rng.normal(shift, size=generated)]
        low, high = separation.interval(separation.auroc(values, generated_labels), real, generated)
        covered += low <= truth <= high
    assert covered / 200 > 0.9


def test_interval_has_a_width_where_the_classes_are_apart():
    few, many = separation.interval(1, 5, 5), separation.interval(1, 500, 500)
    assert few[1] == many[1] == 1 and few[0] < 0.7 and 0.99 < many[0] < 1
    low, high = separation.interval(0, 5, 5)
    assert low == pytest.approx(0, abs=1e-9) and high == pytest.approx(1 - few[0])
    assert separation.interval(0.5, 9, 9)[0] == pytest.approx(1 - separation.interval(0.5, 9, 9)[1])


def test_more_images_detect_less():
    assert separation.detectable(10, 10, 20, 0.05) > separation.detectable(200, 200, 20, 0.05) > 0.5
    assert separation.detectable(2, 2, 20, 0.05) == 1


def test_chance_is_called_a_shortcut_no_more_often_than_promised(rng, monkeypatch):
    """Numbers that go together, rare flags, few and many categories, missing values: labels that mean nothing."""
    monkeypatch.setattr(separation, "PERMUTATIONS", 400)
    found = 0
    for _ in range(100):
        base, generated = rng.normal(size=40), rng.permutation(labels(25, 15))
        columns = [(NUMBER, list(base + rng.normal(size=40))) for _ in range(8)]
        columns += [(FLAGGED, list((rng.random(40) < share).astype(float))) for share in (0.05, 0.2, 0.5)]
        columns += [(NAMED, [str(name) for name in rng.integers(0, number, 40)]) for number in (3, 25)]
        columns += [(NUMBER, [None if value < 0 else float(value) for value in base])]
        found += separation.family_wise(columns, generated).min() < 0.05
    assert found <= 10  # 5 promised; more than 10 of 100 come in 1 of 90 times


def test_separations_are_found_among_many(rng):
    generated = labels(20, 20)
    columns = [(NUMBER, list(rng.normal(size=40))) for _ in range(12)]
    columns += [
        (NUMBER, list(rng.normal(size=40) - 3 * generated)),
        (NAMED, ["png" if g else "jpeg" for g in generated]),
    ]
    columns += [(NUMBER, [None, *(float(g) for g in generated[1:])])]
    p = separation.family_wise(columns, generated)
    assert (p[-3:] < 0.02).all() and (p[:-3] > 0.05).all()
    assert np.array_equal(p, separation.family_wise(columns, generated))


def test_few_images_cannot_be_significant():
    assert separation.family_wise([(NUMBER, [0.0, 0.0, 1.0, 1.0])], labels(2, 2))[0] > 0.3


def test_the_best_order_of_categories_is_that_of_their_likelihood_ratios(rng):
    generated = labels(30, 40)
    names = [str(name) for name in rng.integers(0, 4, 70)]
    share = {name: np.mean([g for n, g in zip(names, generated, strict=True) if n == name]) for name in set(names)}
    area = separation._best_order(names, generated[None])[0]
    assert area == pytest.approx(roc_auc_score(generated, [share[name] for name in names]), abs=1e-12)


@pytest.mark.slow
def test_categories_that_mean_nothing_have_no_area(rng):
    """As many values as images would be solved by heart."""
    generated = rng.permutation(labels(40, 40))
    for number in (2, 10, 80):
        areas = [
            separation.cross_validated([(NAMED, [str(n) for n in rng.integers(0, number, 80)])], generated)[0]
            for _ in range(10)
        ]
        assert np.mean(areas) == pytest.approx(0.5, abs=0.06)
    assert separation.cross_validated([(NAMED, ["a" if g else "b" for g in generated])], generated)[0] == 1


def test_combinations_are_found_that_no_measurement_shows(rng):
    """Wide or high, and of either sign: no single threshold separates."""
    a, b = rng.choice([-1.0, 1.0], 120), rng.choice([-1.0, 1.0], 120)
    generated = a * b > 0
    columns = [(NUMBER, list(a)), (NUMBER, list(b)), (NAMED, ["x"] * 119 + [None])]
    area, p = separation.cross_validated(columns, generated)
    assert area > 0.95 and p < 0.001
    assert separation.family_wise(columns, generated).min() > 0.05
    area, p = separation.cross_validated(columns, rng.permutation(generated))
    assert 0.3 < area < 0.7 and p > 0.01
