"""What counts in a calibration: each picture once, and no blank ones."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from recon_detect import load_detector
from recon_detect.calibration import ALL, calibrate, drift
from recon_detect.errors import UsageError
from recon_detect.results import INCONCLUSIVE, LIKELY_GENERATED, LIKELY_REAL, NO_TEXTURE, Row
from tests.calibration.scored import rows


@pytest.fixture
def detector(tiny_model):
    return load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu")


@pytest.fixture
def run(detector):
    return detector.run_info


def detailed(seed: int) -> Image.Image:
    """Detail on several scales, 96 by 96."""
    generator = np.random.default_rng(seed)
    layers = [generator.integers(0, 256, (side, side, 3), np.uint8) for side in (3, 9, 30)]
    images = [np.asarray(Image.fromarray(x).resize((96, 96), Image.Resampling.BICUBIC), float) for x in layers]
    return Image.fromarray((0.5 * images[0] + 0.3 * images[1] + 0.2 * images[2]).astype(np.uint8))


def with_hash(row: Row, **known) -> Row:
    return replace(row, provenance=replace(row.provenance, **known))


def test_forty_copies_of_a_photograph_are_one(detector, tmp_path, caplog):
    for number in range(40):
        detailed(0).save(tmp_path / f"{number:02}.{('png', 'bmp', 'tiff')[number % 3]}")
    calibration = detector.calibrate(tmp_path)
    assert len(calibration.strata[ALL].scores) == 1
    (message,) = caplog.messages
    assert message == (
        "copies count once: 39 of 40 images are left out, such as: "
        f"{tmp_path / '01.bmp'} is a copy of {tmp_path / '00.png'}"
    )


def test_near_copies_are_one_unless_forms_are_asked_for(detector, tmp_path, caplog):
    for seed in range(4):
        detailed(seed).save(tmp_path / f"{seed}.png")
        detailed(seed).save(tmp_path / f"{seed}.jpg", quality=75)
        detailed(seed).resize((60, 60)).save(tmp_path / f"{seed}-small.png")
    assert len(detector.calibrate(tmp_path).strata[ALL].scores) == 4
    assert "8 of 12 images are left out" in caplog.text
    assert len(detector.calibrate(tmp_path, near_copies=True).strata[ALL].scores) == 12


def test_a_row_without_a_perceptual_hash_is_compared_by_its_pixels(run):
    """Journals of earlier versions have none."""
    entries = [row.to_dict("r") for row in rows([1.0, 2.0, 3.0, 4.0])]
    for entry, pixels in zip(entries, "abab", strict=True):
        del entry["phash"]
        entry["sha256"] = pixels
    assert calibrate(map(Row.from_dict, entries), run).strata[ALL].scores == (1.0, 2.0)


def test_one_picture_of_both_classes_is_an_error_that_names_both(detector, tmp_path):
    for name in ("photograph.png", "generated.bmp"):
        detailed(0).save(tmp_path / name)
    with pytest.raises(UsageError, match=r"generated\.bmp \(generated\) and .*photograph\.png \(real\) have the same"):
        detector.calibrate(tmp_path / "photograph.png", tmp_path / "generated.bmp")


def test_near_copies_of_another_class_or_generator_are_pictures_of_their_own(run):
    """A reconstruction of a photograph looks like it, as do images of two generators from one seed."""
    alike = [
        *rows([0.0, 0.1]),
        *rows([5.0, 5.1], "generated", generator="a"),
        *rows([6.0], "generated", path="c"),
    ]
    pictures = [with_hash(row, sha256=str(number), phash="0f" * 8) for number, row in enumerate(alike)]
    found = calibrate(pictures, run)
    assert found.strata[ALL].scores == (0.0,) and found.generated == (5.0, 6.0)


def test_blank_images_are_undecided_and_count_for_nothing(detector, caplog):
    blank = np.full((128, 128, 3), 255, np.uint8)
    pictures = [np.asarray(detailed(seed)) for seed in range(40)]
    calibration = detector.calibrate([*pictures, blank], fpr=0.1)
    (message,) = caplog.messages
    assert message == "left out of the calibration, for want of texture: 1 of 41 images, such as image 40"
    assert len(calibration.strata[ALL].scores) == 40
    row = detector.with_calibration(calibration).score(blank, progress=False)[0]
    assert row.notes == (NO_TEXTURE,)
    assert (row.verdict.verdict, row.verdict.p_value) == (INCONCLUSIVE, 1.0)
    with pytest.raises(UsageError, match="no photographs with scores: .* with some texture"):
        detector.calibrate(blank)


def test_no_score_decides_on_a_blank_image(run):
    calibration = calibrate(rows(np.arange(100.0).tolist()) + rows([300.0] * 100, "generated"), run, fpr=0.05)
    for score, verdict in ((999.0, LIKELY_GENERATED), (-999.0, LIKELY_REAL)):
        (row,) = rows([score])
        assert calibration.judge(row).verdict == verdict
        for blank in (replace(row, notes=(NO_TEXTURE,)), replace(row, texture=0.0)):
            judged = calibration.judge(blank)
            assert (judged.verdict, judged.p_value, judged.probability) == (INCONCLUSIVE, 1.0, None)


def test_blank_images_are_no_drift(run):
    calibration = calibrate(rows(np.arange(100.0).tolist()), run)
    plain = rows(np.arange(0.5, 100).tolist())
    blank = [replace(row, notes=(NO_TEXTURE,)) for row in rows([-1.0] * 100)]
    assert drift(calibration, [*plain, *blank]) == drift(calibration, plain)
    assert drift(calibration, blank) is None
