import sys

import pytest
from PIL import Image

from benchmarks import engines
from benchmarks.common.data import read_table, write_manifest

pytest.importorskip("ncnn")


def test_scores_of_both_engines_are_compared(tmp_path, picture, monkeypatch):
    rows = []
    for number, label in enumerate(["real", "generated"] * 2):
        Image.fromarray(picture(96, 104, seed=number)).save(tmp_path / f"{number}.png")
        autoencoder = "SD kl-f8" if label == "generated" else ""
        rows.append({"path": f"{number}.png", "label": label, "generator": "", "autoencoder": autoencoder,
                     "width": 104, "height": 96})  # fmt: skip
    write_manifest(tmp_path, rows)
    output = tmp_path / "engines.csv"
    arguments = ["--data", tmp_path, "--number", 2, "--size", 96, "--method", "glance", "--output", output]
    monkeypatch.setattr(sys, "argv", ["engines", *map(str, arguments)])
    engines.main()
    conditions, (by_torch, by_ncnn) = read_table(output)
    assert "2 photographs and 2 images by SD kl-f8" in conditions
    assert (by_torch["engine"], by_ncnn["engine"]) == ("torch", "ncnn") and float(by_torch["ratio"]) == 1
    assert 0 < float(by_ncnn["largest_difference"]) < 1e-3 and by_ncnn["auroc"] == by_torch["auroc"]
