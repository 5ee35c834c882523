import csv
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks import localisation
from benchmarks.common.data import read_table, write_manifest
from recon_detect import load_detector, open_picture
from recon_detect.errors import UsageError
from recon_detect.images.transform import Transform


@pytest.fixture
def photographs(tmp_path, picture):
    """Five photographs of 72 px, one of them too small, and a generated image."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    rows = []
    for number in range(6):
        side = 40 if number == 4 else 72
        Image.fromarray(picture(side, side, seed=number)).save(folder / f"{number}.png")
        label = "generated" if number == 5 else "real"
        rows.append({"path": f"{number}.png", "label": label, "width": side, "height": side})
    write_manifest(folder, rows)
    return folder


@pytest.fixture
def run(tmp_path, tiny_model, monkeypatch):
    def benchmark(*arguments):
        output = tmp_path / "out" / "localisation.csv"
        fixed = ["--data", tmp_path / "planted", "--models", tiny_model, "--distance", "l2", "--output", output]
        monkeypatch.setattr(sys, "argv", ["localisation", *map(str, (*fixed, *arguments))])
        localisation.main()
        return read_table(output)

    return benchmark


@pytest.fixture
def planted(photographs, tmp_path, tiny_model):
    localisation.plant(photographs, tmp_path / "planted", str(tiny_model), 10, 64, "cpu")
    return tmp_path / "planted"


def test_what_is_planted_is_decoded_inside_the_mask_alone(planted, photographs, tiny_model):
    with (planted / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and {row["generator"] for row in rows} == {"planted: region decoded anew by tiny"}
    detector = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu")
    for row in rows:
        original = Transform(64).image(photographs / f"{row['path'].split('-')[1]}.png")
        mask = np.asarray(Image.open(planted / row["mask"]))
        changed, before = np.asarray(Image.open(planted / row["path"])), np.asarray(original)
        assert np.array_equal(changed[~mask], before[~mask]) and 0.05 < mask.mean() < 0.5
        x = open_picture(before).tensor()[None]
        with torch.inference_mode():
            decoded = detector.evidence(x).reconstruction(0)[0].permute(1, 2, 0).numpy()
        assert np.abs(changed[mask] - (decoded[mask] + 1) * 127.5).max() <= 0.51


def test_planting_goes_on_and_is_the_same_again(planted, photographs, tiny_model, tmp_path):
    before = {path.name: path.read_bytes() for path in planted.iterdir()}
    kept, gone = sorted(planted.glob("*.mask.png"))[:2]
    gone.unlink()
    time = kept.stat().st_mtime_ns
    localisation.plant(photographs, planted, str(tiny_model), 10, 64, "cpu")
    assert {path.name: path.read_bytes() for path in planted.iterdir()} == before
    assert kept.stat().st_mtime_ns == time
    with pytest.raises(UsageError, match="no photographs of 512 px or more"):
        localisation.plant(photographs, tmp_path / "none", str(tiny_model), 10, 512, "cpu")


def test_regions_lie_inside_and_have_the_size_they_should():
    draw = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        mask = localisation.region(96, 128, draw)
        assert mask.shape == (96, 128) and not (
            mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
        )
        shares.append(mask.mean())
    assert min(shares) > 0.05 and max(shares) < 0.42


def test_maps_point_at_a_region_that_is_reconstructed_better():
    """An error that is lower in a box, upright alone, is found by all maps but the raw one's noise."""

    class Seen:
        autoencoders, distance = (None,), "l2"

        def __init__(self):
            draw = torch.Generator().manual_seed(0)
            self.noise = torch.rand(1, 1, 64, 64, generator=draw) + 0.5
            self.mask = torch.zeros(64, 64, dtype=torch.bool)
            self.mask[16:48, 8:40] = True

        def image(self):
            return torch.zeros(1, 3, 128, 128)

        def error_map(self, model, *, view="identity", passes=1):
            if view == "rot90":
                return torch.rot90(self.noise, 1, (2, 3))
            if view == "hflip":
                return self.noise.flip(3)
            better = 0.5 if passes == 1 else 1.0
            return torch.where(self.mask, better * self.noise, self.noise)

    seen = Seen()
    maps = localisation.maps_of(seen, 0)
    mask = seen.mask.repeat_interleave(2, 0).repeat_interleave(2, 1).numpy()
    areas = {name: localisation.score(found, mask)["auroc"] for name, found in maps.items()}
    assert all(found.shape == (128, 128) for found in maps.values())
    assert areas["contrast"] > 0.95 and areas["second pass"] > 0.95 and areas["error, smoothed"] > 0.9
    assert 0.7 < areas["error"] < areas["contrast"]


def test_scores_are_scikit_learns():
    draw = np.random.default_rng(0)
    found, mask = torch.from_numpy(draw.normal(size=(20, 30))), draw.random((20, 30)) < 0.3
    assert localisation.score(found, mask) == {
        "auroc": roc_auc_score(mask.ravel(), found.numpy().ravel()),
        "ap": average_precision_score(mask.ravel(), found.numpy().ravel()),
    }


def test_benchmark_plants_measures_draws_and_goes_on(run, photographs, planted, tmp_path, tiny_model):
    head, table = run("--plant", photographs, "--planted-by", tiny_model, "--crop", "64", "--pictures", "2")
    assert "planted (planted: region decoded anew by tiny), centre crop of 64 px, png; l2 in float32" in head
    assert [line["map"] for line in table] == ["error", "error, smoothed", "second pass", "contrast"]
    assert {line["images"] for line in table} == {"4"}
    for line in table:
        assert 0 <= float(line["auroc_low"]) <= float(line["auroc"]) <= float(line["auroc_high"]) <= 1
    pictures = sorted((tmp_path / "out" / "localisation").glob("*.png"))
    assert len(pictures) == 2 and np.asarray(Image.open(pictures[0])).shape == (64, 4 * 64, 3)

    journal = tmp_path / "out" / "localisation.scores.jsonl.partial"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:3]) + lines[3][:20])
    assert run("--crop", "64") == (head, table)
    entry = json.loads(lines[1])
    assert entry["changed"] == pytest.approx(np.asarray(Image.open(planted / f"{entry['path'][:-4]}.mask.png")).mean())


def test_images_that_cannot_be_measured_are_left_out_and_told(run, planted, capsys):
    paths = sorted(path for path in planted.glob("*.png") if ".mask" not in path.name)
    paths[0].write_bytes(b"no image")
    Image.new("L", (64, 64), 255).save(paths[1].with_suffix(".mask.png"))
    Image.new("L", (32, 32)).save(paths[2].with_suffix(".mask.png"))
    head, table = run("--pictures", "0")
    said = capsys.readouterr().err
    assert table[0]["images"] == "1" and table[0]["auroc_low"] == "nan" and "3 failed" in head
    assert (
        "UnreadableImage" in said and "all of the crop is changed" in said and "nothing of the crop is changed" in said
    )


def test_masks_are_asked_for(run, photographs, planted):
    (planted / "manifest.csv").write_text("path,label\na.png,real\n")
    with pytest.raises(UsageError, match="has a mask"):
        run()
