"""Small files on which an earlier version gave a wrong answer or ended a run: one row each, as their README says."""

import numpy as np
import pytest

from recon_detect.errors import UnreadableImage
from recon_detect.images import as_sources, open_picture
from recon_detect.settings import Settings


@pytest.fixture(scope="module")
def cases(shared):
    if not (shared / "cases").is_dir():
        pytest.skip("no folder of cases")
    return shared / "cases"


def pixels(path):
    return open_picture(path).provenance.sha256


def test_each_file_has_one_outcome(cases):
    paths = [source.image for source in as_sources(cases)]
    assert len(paths) == len([path for path in cases.iterdir() if path.suffix != ".md"])
    errors = []
    for path in paths:
        for turned in (False, True):
            try:
                provenance = open_picture(path, Settings(exif_orientation=turned)).provenance
                assert provenance.exif_orientation in (None, 1, 6)
            except UnreadableImage:
                errors.append(path.name)
    assert errors == ["truncated.png"] * 2


def test_containers_and_metadata_do_not_change_the_picture(cases):
    good = pixels(cases / "good.png")
    for name in ("two_layers.psd", "workflow_zTXt.png", "icc_1.2MB.png", "two_pages.tif"):
        assert pixels(cases / name) == good, name
    assert pixels(cases / "orientation6.tif") == pixels(cases / "orientation6_same_pixels.png")
    for name in ("exif_orientation_bytes.jpg", "exif_orientation_nan.jpg", "orientation_rational.jpg"):
        assert open_picture(cases / name).provenance.exif_orientation is None


def test_depths_agree(cases):
    means = [
        np.mean(open_picture(cases / name).tensor().numpy()) / 2 + 0.5
        for name in ("grey8.png", "grey12.tif", "grey16_whiteiszero.tif")
    ]
    assert max(means) - min(means) < 1 / 255
