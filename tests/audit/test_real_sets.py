"""The audit on photographs and generated images."""

import csv
import os

import numpy as np
import pytest

from recon_detect.audit import Audit, audit, measured
from recon_detect.audit.matching import match
from recon_detect.images import Source, find_sources
from recon_detect.images.transform import Transform, encode


@pytest.fixture
def photographs(shared):
    """72 photographs that are kept without loss, 320 px, in random order."""
    with (shared / "eval" / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] == "real" and row["format"] == "PNG"]
    paths = [shared / "eval" / row["path"] for row in rows if min(int(row["width"]), int(row["height"])) >= 320]
    return [Transform(320).image(paths[i]) for i in np.random.default_rng(1).permutation(len(paths))[:72]]


def halves(images, plant) -> list[Source]:
    return [
        Source(encode(image, "png") if number % 2 else plant(image), str(number), ("real", "generated")[number % 2])
        for number, image in enumerate(images)
    ]


@pytest.mark.slow
def test_photographs_against_photographs_have_no_shortcut(photographs):
    assert not audit(halves(photographs, lambda image: encode(image, "png"))).shortcuts


@pytest.mark.slow
@pytest.mark.parametrize("plant", ["jpeg", "size"])
def test_what_is_planted_is_found_and_removed(photographs, plant):
    def changed(image):
        return encode(image, "jpeg-85") if plant == "jpeg" else encode(image.crop((0, 0, 288, 320)), "png")

    stored = halves(photographs, changed)
    rows = list(measured(stored))
    found = Audit.of(rows)
    assert found.shortcuts[0].grade == "solves the set"
    assert {"jpeg": "format", "size": "size"}[plant] in {finding.feature.name for finding in found.shortcuts}
    transform = match(rows, found).transform
    assert transform == {"jpeg": Transform(320, "jpeg-85"), "size": Transform(288, "png")}[plant]
    after = audit(stored, transform=transform)
    assert not after.shortcuts, after.verdict


@pytest.mark.skipif("RECON_DETECT_WALKS" not in os.environ, reason="a minute: set RECON_DETECT_WALKS")
@pytest.mark.slow
def test_the_development_set_has_shortcuts_and_its_matched_version_has_none(shared):
    sources = find_sources([shared / "eval" / "manifest.csv"])
    # Without the pictures that came later, of which many are camera JPEGs.
    rows = list(measured(source for source in sources if "added" not in source.about["note"]))
    found = Audit.of(rows)
    assert {"icc", "width", "height"} <= {finding.feature.name for finding in found.shortcuts}
    matched = match(rows, found, crop=320, encoding="jpeg-75")
    after = audit(matched.sources, transform=matched.transform)
    assert not after.shortcuts, after.verdict
