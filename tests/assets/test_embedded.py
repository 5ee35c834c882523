"""The models that come with the package."""

import sys

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from assets.students import samples
from benchmarks.common.metrics import auroc
from recon_detect import load_detector, open_picture
from recon_detect.errors import WeightsCorrupt, WeightsMissing
from recon_detect.models.hub import sha256_of
from recon_detect.models.registry import AUTOENCODERS, STUDENTS, is_embedded
from recon_detect.models.weights import EMBEDDED, find_weights

NAMES = [name for name, row in AUTOENCODERS.items() if is_embedded(row)]


def test_what_the_registry_says_is_in_the_package():
    assert (
        {*STUDENTS.values(), "mini-ddpm"} == set(NAMES) == {path.name for path in EMBEDDED.iterdir() if path.is_dir()}
    )
    for teacher, student in STUDENTS.items():
        assert AUTOENCODERS[student].family == AUTOENCODERS[teacher].family


@pytest.mark.parametrize("name", NAMES)
def test_it_is_found_without_a_search_and_has_a_card(name):
    found = find_weights(name, fetch=False)
    assert found.origin == "package" and found.folder == EMBEDDED / name
    assert AUTOENCODERS[name].local_sha256 == (found.sha256,)
    with safe_open(found.folder / found.filename, framework="np") as file:
        assert {file.get_slice(key).get_dtype() for key in file.keys()} == {"F16"}  # noqa: SIM118 - no mapping
    card = (found.folder / "README.md").read_text(encoding="utf-8")
    assert all(f"| {fact} |" in card for fact in ("data", "recipe", "time", "licence")) and "seed 0" in card


def test_it_is_small():
    def size(name):
        return sum(path.stat().st_size for path in (EMBEDDED / name).iterdir())

    assert sum(map(size, STUDENTS.values())) <= 20e6 and size("mini-ddpm") <= 8e6


def test_weights_that_were_changed_are_refused(monkeypatch, tmp_path):
    folder = tmp_path / "mini-sd"
    folder.mkdir()
    for path in (EMBEDDED / "mini-sd").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    weights = folder / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    monkeypatch.setattr("recon_detect.models.weights.EMBEDDED", tmp_path)
    assert sha256_of(weights) not in AUTOENCODERS["mini-sd"].local_sha256
    with pytest.raises(WeightsCorrupt, match="none of the known files of 'mini-sd'"):
        load_detector(models="mini-sd", device="cpu")


def test_a_package_that_lacks_them_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("recon_detect.models.weights.EMBEDDED", tmp_path)
    with pytest.raises(WeightsMissing, match="no folder mini-sd, which comes with the package: install it again"):
        find_weights("mini-sd")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_dire_tells_samples_of_the_model_from_photographs(shared):
    model, scheduler = samples.load("mini-ddpm")
    generated = samples.draw(model, scheduler, count=3, steps=25, seed=7)
    rows = samples.read_manifest(shared / "eval")
    real = sorted(row["path"] for row in rows if row["label"] == "real" and "added" not in row["note"])
    paths = [shared / "eval" / path for path in real[::10][:6]]
    photographs = [open_picture(path).middle_square(64).pixels for path in paths]
    detector = load_detector("dire", device="cpu")
    scores = detector.score([*photographs, *generated], progress=False).raise_for_errors().scores
    assert auroc(scores[:6], scores[6:]) >= 0.9


@pytest.mark.slow
def test_samples_and_photographs_become_a_data_set(monkeypatch, tmp_path, shared):
    arguments = ["samples", "--data", shared / "eval", "--output", tmp_path / "set", "--count", "2", "--steps", "4"]
    monkeypatch.setattr(sys, "argv", [*map(str, arguments)])
    samples.main()
    rows = samples.read_manifest(tmp_path / "set")
    assert [row["label"] for row in rows[:3]] == ["generated", "generated", "real"]
    assert {np.asarray(Image.open(tmp_path / "set" / row["path"])).shape for row in rows} == {(64, 64, 3)}
    again = samples.draw(*samples.load("mini-ddpm"), count=2, steps=4, seed=0)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "set" / rows[1]["path"])), again[1])
