import numpy as np
from pytest import approx
from scipy import stats

from recon_detect.methods.deviates import corrected, pooled


def test_correction_is_that_of_sidak():
    z = np.array([-1.0, 0.0, 2.0, 5.0])
    for tests in (1, 4, 30):
        p = 1 - (1 - stats.norm.sf(z)) ** tests
        assert np.allclose(stats.norm.sf(corrected(z, 1 / tests)), p, rtol=1e-6)
    assert np.isfinite(corrected(np.array([-30.0, 300.0]), 1e-3)).all()
    assert (np.diff(corrected(np.linspace(-9, 90, 999), 0.05)) > 0).all()


def test_of_normal_noise_one_in_twenty_is_above_its_threshold_however_many_are_tested():
    z = np.random.default_rng(0).normal(size=(20_000, 4, 3))
    prior = np.array([0.5, 0.3, 0.2])
    for models in (1, 4):
        score = pooled(corrected(z[:, :models], prior).max(axis=2))
        assert np.mean(score > stats.norm.isf(0.05)) == approx(0.05, abs=0.005)
