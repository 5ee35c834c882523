import sys

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import periods
from benchmarks.common.data import read_table, write_manifest


def noise(side, period=None, seed=0):
    """Noise (3, side, side), of which the rows and columns that begin a period are stronger."""
    x = torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed)) - 0.5
    if period:
        x[:, ::period] *= 3
        x[..., ::period] *= 3
    return x


@pytest.mark.parametrize("period", [8, 16, 32])
def test_a_period_adds_to_its_half_where_it_is(period):
    side = 160
    plain = [periods.added(noise(side, seed=seed), period) for seed in range(3)]
    assert periods.added(noise(side, period), period) > max(plain) + 0.02
    # A shorter period is there at its double too, but adds nothing to it.
    assert periods.added(noise(side, period // 2), period) < max(plain) + 0.02


def test_decoders_are_compared_with_photographs(tmp_path, monkeypatch):
    rows = []
    for number, (label, decoder) in enumerate([("real", ""), ("real", ""), ("generated", "amused VQ")]):
        x = noise(96, 16 if decoder else None, seed=number).clamp(-1, 1)
        pixels = ((x + 1) * 127.5).round().byte().permute(1, 2, 0)
        Image.fromarray(np.ascontiguousarray(pixels.numpy())).save(tmp_path / f"{number}.png")
        rows.append({"path": f"{number}.png", "label": label, "autoencoder": decoder, "crop": "", "format": "PNG"}
                    | {"width": 96, "height": 96})  # fmt: skip
    write_manifest(tmp_path, rows)
    monkeypatch.setattr(periods, "CROP", 96)
    monkeypatch.setattr(periods, "PERIODS", (8, 16))
    output = tmp_path / "periods.csv"
    monkeypatch.setattr(sys, "argv", ["periods", "--data", str(tmp_path), "--output", str(output)])
    periods.main()
    _, lines = read_table(output)
    assert [(line["decoder"], line["period"], line["photographs"]) for line in lines] == [
        ("amused VQ", "8", "2"), ("amused VQ", "16", "2")
    ]  # fmt: skip
    assert lines[1]["auroc"] == "1.0" and lines[1]["above all photographs"] == "1"
