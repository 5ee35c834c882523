import numpy as np
import pytest
from scipy.stats import norm

from recon_detect.methods.grid.null import LEAST_ENERGY, Null


def photographs(n, seed=0, shift=0.0, spread=0.25):
    """Cosines and energies whose log follows a line of the energy."""
    generator = np.random.default_rng(seed)
    energies = generator.uniform(-1, 1, n)
    return np.exp(-2.7 - 0.2 * energies + shift + spread * generator.standard_normal(n)), energies


def test_photographs_exceed_a_threshold_as_often_as_promised():
    null = Null.fit(*photographs(2000), ["lossless"] * 2000)
    z = null.deviates(*photographs(4000, seed=1))
    for rate in (0.05, 0.01):
        assert (z > norm.isf(rate)).mean() == pytest.approx(rate, abs=0.4 * rate)


def test_the_kind_in_which_a_picture_is_least_unusual_counts():
    cosines, energies = (np.r_[pair] for pair in zip(photographs(500), photographs(500, 1, shift=0.6), strict=True))
    both = Null.fit(cosines, energies, ["lossless"] * 500 + ["jpeg-75"] * 500)
    alone = Null.fit(cosines[:500], energies[:500], ["lossless"] * 500)
    test = photographs(500, 2, shift=0.6)
    assert (alone.deviates(*test) > 1.645).mean() > 0.5
    assert (both.deviates(*test) > 1.645).mean() < 0.1


def test_a_heavy_tail_widens_the_null():
    cosines, energies = photographs(400)
    cosines[::15] *= 3
    assert (
        Null.fit(cosines, energies, ["camera"] * 400).spread[0]
        > 1.4 * Null.fit(*photographs(400), ["camera"] * 400).spread[0]
    )


def test_smooth_pictures_tell_nothing():
    null = Null.fit(*photographs(300), ["lossless"] * 300)
    assert null.deviates([0.9, 0.9], [LEAST_ENERGY - 0.1, 0.0]).tolist()[0] == 0
    assert null.deviates([0.9], [0.0])[0] > 5


def test_each_kind_follows_its_energy():
    cosines, energies = photographs(300)
    camera = np.linspace(0, 4, 100)
    noise = 0.25 * np.random.default_rng(3).standard_normal(100)
    null = Null.fit(
        np.r_[cosines, np.exp(-2.7 + 0.5 * camera + noise)],
        np.r_[energies, camera],
        ["lossless"] * 300 + ["camera"] * 100,
    )
    # Strong grids of JPEG are those of many camera files, and are compared with these.
    assert abs(null.deviates([np.exp(-2.7 + 0.5 * 3.5)], [3.5])[0]) < 0.5
    assert null.deviates([np.exp(-2.7 + 0.5 * 3.5)], [0.0])[0] > 3


def test_few_photographs_know_no_far_tail():
    cosines, energies = photographs(1000)
    many = Null.fit(cosines, energies, ["lossless"] * 1000)
    few = Null(many.trend, many.bounds, many.spread, (10,))
    far, near = np.exp(-2.7 + np.array([5, 0.5]) * 0.25)
    assert few.deviates([far], [0.0])[0] < 0.75 * many.deviates([far], [0.0])[0]
    assert few.deviates([near], [0.0])[0] > 0.9 * many.deviates([near], [0.0])[0]
    assert np.isfinite(few.deviates([1.0, 1e-9], [0.0, 0.0])).all()


def test_small_kinds_are_taken_together():
    cosines, energies = photographs(32)
    kinds = ["jpeg-90"] * 20 + ["camera"] * 6 + ["lossless"] * 6
    assert len(Null.fit(cosines, energies, kinds).spread) == 2
    # Too few even together: they decide only where there is nothing else.
    assert len(Null.fit(cosines[:23], energies[:23], kinds[:23]).spread) == 1
    assert len(Null.fit(cosines[20:24], energies[20:24], kinds[20:24]).spread) == 1
