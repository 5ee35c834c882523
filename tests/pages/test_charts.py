"""Where marks lie in charts."""

import numpy as np
import pytest

from recon_detect.pages import charts


def test_bars_begin_at_zero_and_are_cut_at_the_ends_of_the_axis():
    high, low = charts.bars({"a": -1.5, "b": 40.0, "c": float("nan")})
    zero = charts.percent(0)
    assert (high.name, high.start, high.beyond) == ("b", zero, True)
    assert high.start + high.length == pytest.approx(100)
    assert low.start + low.length == pytest.approx(zero) and not low.beyond


def test_the_bound_is_that_of_normal_deviates():
    assert charts.share_above(0, np.array([])) == 0.5
    assert charts.share_above(2.3263, np.array([])) == pytest.approx(0.01, rel=1e-3)


def test_measured_shares_are_conformal():
    measured = np.arange(99.0)
    assert charts.share_above(98, measured) == 2 / 100
    assert charts.share_above(1000, measured) == 1 / 100
    assert charts.share_above(-1, measured) == 1


@pytest.mark.parametrize("score", [-9.0, 0.3, 2.0, 40.0])
@pytest.mark.parametrize("photographs", [(), tuple(np.linspace(-3, 3, 50))])
def test_the_mark_lies_on_the_curve_and_in_the_drawing(score, photographs):
    tail = charts.tail(score, photographs)
    points = np.array([[float(number) for number in point.split()] for point in tail.path[1:].split("L")])
    assert (np.diff(points[:, 0]) >= 0).all() and (np.diff(points[:, 1]) >= 0).all()
    x, y = tail.mark
    assert charts.LEFT <= x <= charts.WIDTH and charts.TOP <= y <= charts.HEIGHT - charts.BOTTOM
    nearest = points[np.abs(points[:, 0] - x).argmin()]
    assert abs(nearest[1] - y) < 12
    assert tail.beyond == (score == 40 and not photographs)
