"""The fast statistic against a slow one, written from its definition."""

import numpy as np
import pytest
import torch
from methods.grid.pictures import photograph
from numpy.lib.stride_tricks import sliding_window_view

from recon_detect.methods.grid import statistic
from recon_detect.methods.grid.statistic import AFTER, BEFORE, FEATURES, least_side, tables


def slow_tables(x, period):
    """One feature at a time, from the definition, in float64."""
    x = x.numpy().astype(np.float64) * 127.5
    height, width = x.shape[1:]
    y = 0.299 * x[0] + 0.587 * x[1] + 0.114 * x[2]
    origin = -(-BEFORE // period) * period
    ends = [origin + (side - origin - AFTER) // period * period for side in (height, width)]
    features = {}
    for order, d in enumerate((1, 2, 4)):
        for number, channel in enumerate((y, x[2] - y, x[0] - y)):
            box = np.full_like(channel, np.nan)
            box[: height - d + 1, : width - d + 1] = sliding_window_view(channel, (d, d)).mean((2, 3))
            across, down = (np.full_like(box, np.nan) for _ in range(2))
            across[:, d:-d] = box[:, d:-d] - (box[:, : -2 * d] + box[:, 2 * d :]) / 2
            down[d:-d] = box[d:-d] - (box[: -2 * d] + box[2 * d :]) / 2
            both = np.full_like(box, np.nan)
            both[d:-d] = across[d:-d] - (across[: -2 * d] + across[2 * d :]) / 2
            for direction, residual in enumerate((across, down, both)):
                normal = np.full_like(residual, np.nan)
                power = sliding_window_view(residual**2, (16, 16)).mean((2, 3))
                inner = residual[8 : height - 7, 8 : width - 7]
                normal[8 : height - 7, 8 : width - 7] = np.clip(inner / np.sqrt(power + 0.3), -2.5, 2.5)
                maps = [normal]
                for i, j in ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0)):
                    maps.append(normal * np.roll(normal, (-i * d, -j * d), (0, 1)))
                for kind, values in enumerate(maps):
                    inner = values[origin : ends[0], origin : ends[1]]
                    folded = inner.reshape(-1, period, inner.shape[1] // period, period).mean((0, 2))
                    features[order, kind, direction, number] = folded - folded.mean()
    return np.stack([features[key] for key in sorted(features)])


@pytest.mark.parametrize("period", [8, 7])
def test_tables_are_those_of_the_definition(period):
    x = photograph(0, 72)[:, :, :68]
    assert np.allclose(tables(x, period), slow_tables(x, period), atol=2e-5)


def test_pieces_do_not_show(monkeypatch):
    x = photograph(1, 160)
    whole = tables(x)
    monkeypatch.setattr(statistic, "TILE", (16, 40))
    assert torch.allclose(tables(x), whole, atol=1e-5)


def test_a_crop_moves_the_phases():
    x = photograph(2, 328)
    moved, whole = tables(x[:, 3:, 5:]), tables(x)
    # Other pixels at the borders are all that differs.
    assert (moved.roll((3, 5), (1, 2)) - whole).norm() < 0.4 * whole.norm() < 0.4 * (moved - whole).norm()


def test_a_flat_picture_has_no_table():
    assert not tables(torch.full((3, 80, 80), 0.3)).any()


def test_the_smallest_picture_has_one():
    assert tables(photograph(3, least_side())).shape == (FEATURES, 8, 8)
