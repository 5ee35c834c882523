import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from recon_detect.audit import Audit, audit, measured
from recon_detect.audit.matching import match, read_transform, write_images, write_manifest
from recon_detect.errors import UsageError
from recon_detect.images import find_sources
from recon_detect.images.transform import Transform
from tests.audit.sets import encoded, jpeg, plant, png


def looked_at(folder):
    rows = list(measured(find_sources([folder])))
    return rows, Audit.of(rows)


def names(found: Audit) -> set[str]:
    return {finding.feature.name for finding in found.shortcuts}


def in_all(image):
    """Everything at once: JPEG of another size, with a profile."""
    return ".jpg", encoded(image.crop((0, 0, 152, 160)), "jpeg", quality=80, icc_profile=b"profile")


@pytest.mark.parametrize("real", [jpeg, in_all], ids=["jpeg", "everything"])
def test_planted_shortcuts_are_gone_after_matching(tmp_path, real):
    rows, found = looked_at(plant(tmp_path, real, png))
    assert {"format", "bytes_per_pixel"} <= names(found)
    matched = match(rows, found)
    assert matched.transform.encoding == ("jpeg-90" if real is jpeg else "jpeg-80") and not matched.left_out
    after = audit(matched.sources, transform=matched.transform)
    assert not after.shortcuts and (after.real, after.generated) == (24, 24)


@pytest.mark.slow
def test_png_does_not_wash_away_what_jpeg_left(tmp_path):
    rows, found = looked_at(plant(tmp_path, jpeg, png))
    matched = match(rows, found, encoding="png", crop=96)
    after = audit(matched.sources, transform=matched.transform)
    assert names(after) >= {"zero_coefficients"} and "can be solved by" in after.verdict


@pytest.mark.slow
def test_sizes_alone_need_no_compression(tmp_path):
    smaller = lambda image: png(image.crop((0, 0, 100, 140)))  # noqa: E731
    rows, found = looked_at(plant(tmp_path, png, smaller))
    matched = match(rows, found)
    assert matched.transform == Transform(96, "png")
    assert not audit(matched.sources, transform=matched.transform).shortcuts


@pytest.mark.slow
def test_a_lossless_format_needs_no_compression_either(tmp_path):
    rows, found = looked_at(plant(tmp_path, lambda image: (".bmp", encoded(image, "bmp")), png))
    assert "format" in names(found)
    assert match(rows, found).transform.encoding == "png"


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (lambda image: (".jpg", encoded(image, "jpeg", quality=98)), "jpeg-90"),
        (lambda image: (".jpg", encoded(image, "jpeg", quality=60)), "jpeg-60"),
        (lambda image: (".jpg", encoded(image, "jpeg", quality=20)), "jpeg-50"),
        (lambda image: (".webp", encoded(image, "webp", quality=90)), "jpeg-75"),
        (lambda image: png(Image.open(io.BytesIO(jpeg(image)[1])).convert("RGB")), "jpeg-75"),
    ],
    ids=["98", "60", "20", "webp", "hidden"],
)
def test_the_quality_is_no_higher_than_what_the_files_had(tmp_path, real, expected):
    rows, found = looked_at(plant(tmp_path, real, png, count=12))
    assert match(rows, found).transform.encoding == expected


def test_small_and_broken_images_are_left_out_and_counted(tmp_path):
    plant(tmp_path, png, png)
    (tmp_path / "real" / "broken.png").write_bytes(b"no image")
    Image.new("RGB", (64, 200)).save(tmp_path / "real" / "small.png")
    rows, found = looked_at(tmp_path)
    matched = match(rows, found)
    assert matched.transform.crop == 160
    assert matched.left_out == {"unreadable or without a label": 1, "smaller than 160 px": 1}
    assert len(matched.rows) == 48


@pytest.mark.slow
def test_balance_keeps_as_many_of_each_size(tmp_path):
    """Large images in half of one class and a quarter of the other."""

    def sizes(every):
        numbers = iter(range(1000))
        return lambda image: png(image if next(numbers) % every else image.resize((400, 320)))

    rows, found = looked_at(plant(tmp_path, sizes(2), sizes(4)))
    matched = match(rows, found, crop=96, balance=True)
    counts = {(row.label, row.values["width"]): 0 for row in matched.rows}
    for row in matched.rows:
        counts[row.label, row.values["width"]] += 1
    assert counts == {("real", 160): 12, ("generated", 160): 12, ("real", 400): 6, ("generated", 400): 6}
    assert matched.left_out == {"for the balance of sizes": 12}
    assert match(rows, found, crop=96, balance=True) == matched


@pytest.mark.slow
def test_what_cannot_be_matched_is_an_error(tmp_path):
    large = lambda image: png(image.resize((700, 700)))  # noqa: E731
    rows, found = looked_at(plant(tmp_path, large, png, count=6))
    with pytest.raises(UsageError, match="too few sizes in common"):
        match(rows, found, balance=True)
    with pytest.raises(UsageError, match="too few sizes in common"):
        match(rows, found, crop=512)
    rows, found = looked_at(plant(tmp_path / "tiny", lambda i: png(i.crop((0, 0, 24, 40))), png, count=6))
    with pytest.raises(UsageError, match="too small for a crop on a grid of 32 px.*24 px or less"):
        match(rows, found)


def test_the_manifest_names_the_originals_or_the_written_images(tmp_path):
    data, out = plant(tmp_path / "data", jpeg, png, count=6), tmp_path / "out"
    lines = [
        f"{path.relative_to(data)},{path.parent.name},g{n % 2}\n" for n, path in enumerate(sorted(data.glob("*/*")))
    ]
    (data / "manifest.csv").write_text("path,label,generator\n" + "".join(lines))
    rows, found = looked_at(data / "manifest.csv")
    matched = match(rows, found, crop=128)
    write_manifest(matched, matched.sources, out, written=False)
    with (out / "manifest.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 12 and set(table[0]) == {"path", "label", "generator", "width", "height"}
    assert all((out / line["path"]).is_file() and line["width"] == "160" for line in table)
    kinds = [(line["label"], line["generator"]) for line in table]
    assert sorted(set(kinds)) == [("generated", "g0"), ("generated", "g1"), ("real", "g0"), ("real", "g1")]
    assert read_transform(out / "transform.json") == matched.transform == Transform(128, "jpeg-90")

    images = list(write_images(matched, out))
    write_manifest(matched, images, out, written=True)
    again = list(find_sources([out / "manifest.csv"]))
    assert [(source.label, source.about["generator"]) for source in again] == kinds
    for source, row in zip(again, matched.rows, strict=True):
        assert source.image.read_bytes() == matched.transform.encoded(row.path)
    described = json.loads((out / "transform.json").read_text())
    assert described["applied"] and described["images"] == {"real": 6, "generated": 6}
    assert read_transform(out / "transform.json") is None


def test_written_images_are_kept_and_broken_ones_left_out(tmp_path):
    rows, found = looked_at(plant(tmp_path / "data", png, png, count=6))
    matched = match(rows, found, crop=128)
    first = list(write_images(matched, tmp_path / "out"))
    times = {source.id: source.image.stat().st_mtime_ns for source in first}
    first[0].image.unlink()
    Path(matched.rows[0].path).write_bytes(b"broken since")
    again = list(write_images(matched, tmp_path / "out"))
    assert again[0] is None and [source.id for source in again[1:]] == [source.id for source in first[1:]]
    assert all(source.image.stat().st_mtime_ns == times[source.id] for source in again[1:])
    assert not list((tmp_path / "out").rglob(".*"))


def test_benchmarks_do_the_same(tmp_path):
    from benchmarks.common.conditions import prepare

    path = plant(tmp_path, jpeg, png, count=1) / "real" / "000.jpg"
    assert prepare(path, 96, "jpeg-75") == Transform(96, "jpeg-75").encoded(path)


def test_other_files_are_no_transforms(tmp_path):
    for content in ("no json", "{}", '{"transform": {"crop": 8, "encoding": "gif"}, "applied": false}', "[]"):
        (tmp_path / "transform.json").write_text(content)
        with pytest.raises(UsageError, match="expected what 'recon-detect audit --match' wrote"):
            read_transform(tmp_path / "transform.json")
    with pytest.raises(UsageError):
        read_transform(tmp_path / "missing.json")
