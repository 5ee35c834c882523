import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats
from sklearn.utils.estimator_checks import parametrize_with_checks

from recon_detect.calibration.fusion import RULES, Fusion, FusionParameters, dependence


@parametrize_with_checks([Fusion(), Fusion("fisher", two_sided=True)])
@pytest.mark.filterwarnings("ignore")
def test_it_is_an_estimator(estimator, check):
    check(estimator)


@pytest.fixture
def scores():
    generator = np.random.default_rng(0)
    return generator.normal([1.0, -30.0, 0.002], [2.0, 5.0, 1e-4], size=(200, 3))


def test_p_values_are_those_of_the_predictive_distribution(scores):
    """By hand, and even among further photographs."""
    fusion = Fusion().fit(scores[:100])
    known = scores[:100, 0]
    t = (4.0 - known.mean()) / (known.std(ddof=1) * np.sqrt(1.01))
    assert fusion.p_values([[4.0, -30.0, 0.002]])[0, 0] == pytest.approx(stats.t.sf(t, 99))
    both = Fusion(two_sided=True).fit(scores[:100])
    assert both.p_values([[4.0, 0.0, 0.0]])[0, 0] == pytest.approx(2 * stats.t.sf(t, 99))
    assert stats.kstest(fusion.p_values(scores[100:])[:, 1], "uniform").pvalue > 0.01


def test_rules_are_those_of_the_papers(scores):
    """Each by its formula."""
    x = np.array([[3.0, -26.0, 0.0021]])
    p = Fusion().fit(scores).p_values(x)[0]
    expected = {
        "min-p": 1 - (1 - p.min()) ** 3,
        "fisher": stats.chi2.sf(-2 * np.log(p).sum(), 6),
        "stouffer": stats.norm.sf(stats.norm.isf(p).sum() / np.sqrt(3)),
        "cauchy": 0.5 - np.arctan(np.tan((0.5 - p) * np.pi).mean()) / np.pi,
        "harmonic": 3 / (1 / p).sum(),
    }
    assert set(expected) == set(RULES)
    for rule, value in expected.items():
        assert Fusion(rule).fit(scores).transform(x)[0, 0] == pytest.approx(-np.log10(value), rel=1e-9), rule


@pytest.mark.parametrize("rule", RULES)
def test_what_is_high_in_any_score_is_found_and_stays_finite(scores, rule):
    fusion = Fusion(rule).fit(scores)
    photographs = fusion.transform(scores)[:, 0]
    assert np.isfinite(photographs).all()
    usual, high, higher = fusion.transform([[1, -30, 0.002], [9, -10, 0.0024], [1e9, 1e9, 1e9]])[:, 0]
    assert usual < high < higher < np.inf and high > photographs.max()
    again = FusionParameters.from_dict(json.loads(json.dumps(asdict(fusion.parameters))))
    assert again == fusion.parameters and np.array_equal(again.decision(scores), photographs)


def test_low_scores_surprise_only_where_both_sides_count(scores):
    low = [[-9.0, -50.0, 0.0015]]
    one, two = (Fusion("fisher", two_sided=sides).fit(scores).transform(low)[0, 0] for sides in (False, True))
    assert one < 0.01 < 3 < two


def test_unknown_rules_are_refused(scores):
    with pytest.raises(ValueError, match="rule is 'best'; expected one of min-p, fisher"):
        Fusion("best").fit(scores)


def test_dependence_counts_independent_scores():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2000, 1))
    apart = np.hstack([x, generator.normal(size=(2000, 3))])
    together = x + 0.01 * generator.normal(size=(2000, 4))
    assert dependence(apart).effective == pytest.approx(4, abs=0.1)
    assert dependence(together).effective < 1.3
    assert np.allclose(dependence(together).correlation, stats.spearmanr(together).statistic)
    assert dependence(x).effective == 1
