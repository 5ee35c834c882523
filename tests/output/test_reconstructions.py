import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from recon_detect import load_detector
from recon_detect.errors import UsageError
from recon_detect.output import ReconstructionFolder
from recon_detect.results import Reconstruction


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    image, reconstruction = generator.uniform(-1, 1, (2, 3, 8, 9)).astype(np.float32)
    return image, reconstruction


def read(path):
    with Image.open(path) as image:
        return np.asarray(image).transpose(2, 0, 1)


def test_values_are_those_of_the_published_script(tmp_path, pair):
    image, reconstruction = pair
    paths = [str(tmp_path / "in" / name) for name in ("0_real/a.jpg", "1_fake/a.png")]
    folder = ReconstructionFolder.of(tmp_path / "out", paths)
    folder.add(Reconstruction(paths[0], image, reconstruction))
    assert np.array_equal(read(tmp_path / "out/recons/0_real/a.png"), ((reconstruction + 1) * 127.5).astype(np.uint8))
    expected = (np.abs(image - reconstruction) * 255 / 2).astype(np.uint8)
    assert np.array_equal(read(tmp_path / "out/dire/0_real/a.png"), expected)
    assert folder.has(paths[0]) and not folder.has(paths[1])


def test_the_published_format_is_that_of_each_image(tmp_path, pair):
    paths = [str(tmp_path / "in" / name) for name in ("a.jpg", "b.png", "c.webp")]
    folder = ReconstructionFolder.of(tmp_path / "out", paths, legacy=True)
    for path in paths:
        folder.add(Reconstruction(path, *pair))
    for name, kind in (("a.jpg", "JPEG"), ("b.png", "PNG"), ("c.webp", "WEBP")):
        with Image.open(tmp_path / "out" / "dire" / name) as written:
            assert written.format == kind


def test_floats_are_not_rounded(tmp_path, pair):
    image, reconstruction = pair
    folder = ReconstructionFolder.of(tmp_path, ["in/a.png"], floats=True)
    folder.add(Reconstruction("in/a.png", image, reconstruction))
    found = load_file(tmp_path / "dire" / "a.safetensors")
    assert np.array_equal(found["dire"], np.abs(image - reconstruction)) and np.array_equal(found["image"], image)
    with pytest.raises(UsageError, match="the published format has no floating values"):
        ReconstructionFolder.of(tmp_path, ["a.png"], floats=True, legacy=True)


def test_names_that_a_new_suffix_makes_too_long_are_shortened(tmp_path, pair):
    name = "in/" + "x" * 254
    for options in ({}, {"floats": True}):
        folder = ReconstructionFolder.of(tmp_path, [name], **options)
        folder.add(Reconstruction(name, *pair))
        assert folder.has(name)


def test_two_images_of_one_name_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"a.jpg and in/a.png would both become .*a.png: rename one"):
        ReconstructionFolder.of(tmp_path, ["in/a.jpg", "in/a.png"])


def test_reconstructions_are_those_of_the_evidence(tiny_model, picture):
    detector = load_detector("dire", models=tiny_model, device="cpu")
    good, bad = detector.reconstruct([picture(20, 16), b"not an image"])
    assert good.image.shape == good.reconstruction.shape == (3, 20, 16) and good.error is None
    assert -np.abs(good.image - good.reconstruction).mean() == pytest.approx(detector.score(picture(20, 16)).scores[0])
    assert bad.image is None and "UnreadableImage" in bad.error


def test_a_killed_run_goes_on_and_a_broken_file_is_named(tiny_model, image_folder, tmp_path, monkeypatch, capsys):
    from recon_detect.cli.reconstruct import run_reconstruct

    options = {"method": "dire", "models": str(tiny_model), "device": "cpu"}

    def run():
        return run_reconstruct([str(image_folder)], options, tmp_path, legacy=False, floats=False, quiet=True)

    assert run() == 3
    assert "3_broken.png: UnreadableImage" in capsys.readouterr().err
    written = {path: path.stat().st_mtime_ns for path in sorted(tmp_path.glob("dire/*.png"))}
    assert len(written) == 7 == len(list(tmp_path.glob("recons/*.png")))
    gone = next(iter(written))
    gone.unlink()
    assert run() == 3
    again = {path: path.stat().st_mtime_ns for path in sorted(tmp_path.glob("dire/*.png"))}
    assert [path for path in written if again[path] != written[path]] == [gone]
    (image_folder / "3_broken.png").unlink()
    monkeypatch.setattr("recon_detect.detector.load_detector", lambda *a, **k: json.loads("not reached"))
    assert run() == 0
