import csv
import io
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from benchmarks import detection


@pytest.fixture
def scores():
    generator = np.random.default_rng(0)
    return generator.normal(size=40).round(1), generator.normal(1, size=30).round(1)


def test_interval_holds_the_area_and_is_reproducible(scores):
    real, generated = scores
    area = roc_auc_score(np.r_[np.zeros(40), np.ones(30)], np.r_[real, generated])
    low, high = detection.interval(real, generated)
    assert low < area < high
    assert (low, high) == detection.interval(real, generated)


def test_interval_is_that_of_a_plain_bootstrap(scores):
    real, generated = scores
    draw = np.random.default_rng(1)
    labels = np.r_[np.zeros(40), np.ones(30)]
    areas = [roc_auc_score(labels, np.r_[draw.choice(real, 40), draw.choice(generated, 30)]) for _ in range(2000)]
    assert np.allclose(detection.interval(real, generated), np.quantile(areas, [0.025, 0.975]), atol=0.01)


def test_tpr_is_taken_at_the_last_threshold_within_the_rate():
    labels = np.r_[np.zeros(20), np.ones(4)]
    scores = np.r_[np.arange(20), [30, 19.5, 18.5, 5]]
    assert detection.tpr_at_fpr(labels, scores, 0.0) == 0.5
    assert detection.tpr_at_fpr(labels, scores, 0.05) == 0.75
    assert detection.tpr_at_fpr(labels, scores, 0.099) == 0.75


def test_both_classes_get_the_same_crop_on_the_grid(tmp_path, picture):
    path = tmp_path / "a.png"
    Image.fromarray(picture(300, 420)).save(path)
    data = detection.prepare(path, 128, "png")
    cropped = np.asarray(Image.open(io.BytesIO(data)))
    assert np.array_equal(cropped, picture(300, 420)[64:192, 128:256])


def test_benchmark_runs_to_the_end(tmp_path, tiny_model, picture, monkeypatch, capsys):
    rows = []
    for number in range(8):
        label = "real" if number % 2 else "generated"
        Image.fromarray(picture(40, 40, seed=number)).save(tmp_path / f"{number}.png")
        rows.append(
            {"path": f"{number}.png", "label": label, "generator": f"g{number % 4}", "autoencoder": "A",
             "width": 40, "height": 40 if number else 16}
        )  # fmt: skip
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    output = tmp_path / "out.csv"
    arguments = [
        "--methods",
        "aeroblade,contrast",
        "--models",
        str(tiny_model),
        "--distance",
        "l2",
        "--crop",
        "32",
        "--encoding",
        "jpeg-75",
    ]
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["detection", "--data", str(tmp_path), *arguments, "--output", str(output)])
        detection.main()
    conditions, *lines = output.read_text().splitlines()
    assert "1 smaller images left out" in conditions and "jpeg-75" in conditions
    table = {line["group"]: line for line in csv.DictReader(lines) if line["method"] == "contrast"}
    assert table["all"]["real"] == "4" and table["all"]["generated"] == "3"
    assert set(table) == {"all", "autoencoder: A", "generator: g0", "generator: g2"}
    assert len(lines) - 1 == 2 * len(table)
