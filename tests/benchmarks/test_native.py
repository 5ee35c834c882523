import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks import native
from benchmarks.common.data import read_table, write_manifest
from recon_detect.images.native import native_sizes


@pytest.fixture
def data(tmp_path):
    """Two generated images of 512 px, one of another family, a small one, a cropped one and a photograph."""
    rows = []
    for number, (label, autoencoder, side, crop) in enumerate([
        ("generated", "SD kl-f8", 512, ""), ("generated", "SDXL VAE", 512, ""), ("generated", "unknown", 512, ""),
        ("generated", "SD kl-f8", 64, ""), ("generated", "SD kl-f8", 512, "centre"), ("real", "", 512, ""),
    ]):  # fmt: skip
        noise = np.random.default_rng(number).integers(0, 255, (side, side, 3)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
        rows.append({"path": f"{number}.png", "label": label, "autoencoder": autoencoder, "crop": crop}
                    | {"width": side, "height": side})  # fmt: skip
    write_manifest(tmp_path, rows)
    return tmp_path


def test_ranks_of_the_true_size(data, monkeypatch):
    monkeypatch.setattr(native, "RECIPES", ("resize-0.8", "longest-512+jpeg-85"))
    output = data / "native.csv"
    monkeypatch.setattr(sys, "argv", ["native", "--data", str(data), "--output", str(output)])
    native.main()
    _, lines = read_table(output)
    # The second recipe scales nothing.
    assert [(line["recipe"], line["by"], line["n"]) for line in lines] == [
        ("resize-0.8", "size", "2"), ("resize-0.8", "size and blocks", "2")
    ]  # fmt: skip
    assert all(line["proposed"] == "1.0" for line in lines)


def test_rank():
    proposals = native_sizes(800, 800, ("sdxl",))
    assert native.rank(proposals, 1024, 800) == 1 and native.rank(proposals, 800, 800) == 2
    assert native.rank(proposals, 2000, 800) == np.inf
