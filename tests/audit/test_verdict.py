import io
import json

import pytest
from PIL import Image, ImageFilter

from recon_detect.audit import Audit, Measured, audit, measured
from recon_detect.errors import UsageError
from recon_detect.images import Source, find_sources
from recon_detect.images.transform import Transform
from recon_detect.settings import Settings
from tests.audit.sets import encoded, jpeg, photograph, plant, png


def grades(found: Audit) -> dict[str, str]:
    return {finding.feature.name: finding.grade for finding in found.shortcuts}


def test_nothing_is_found_where_nothing_is_planted(tmp_path):
    found = audit([plant(tmp_path, png, png)])
    assert not found.shortcuts and (found.real, found.generated) == (24, 24)
    assert found.verdict.startswith("No shortcut found among ") and "(largest: " in found.verdict
    assert "an AUROC below about 0." in found.verdict
    assert {"file format", "colour mode", "exact size", "width"} <= set(found.constant)


def test_jpeg_against_png_is_solved_by_the_format(tmp_path):
    found = audit([plant(tmp_path, jpeg, png)])
    assert (
        found.verdict.startswith("This set can be solved by ") and " alone (AUROC 1.00 [0.92, 1.00])" in found.verdict
    )
    assert {"format", "bytes_per_pixel", "zero_coefficients"} <= set(grades(found))
    by_name = {finding.feature.name: finding for finding in found.findings}
    assert by_name["format"].of_real == "JPEG 100%" and by_name["format"].of_generated == "PNG 100%"
    assert by_name["bytes_per_pixel"].in_generated == "higher"
    # Only photographs have it: there is nothing to compare.
    assert "JPEG quality" in found.skipped and "jpeg_quality" not in by_name


def test_sizes_are_found(tmp_path):
    cropped = lambda image: png(image.crop((0, 0, 128, 128 + 8 * (image.getpixel((0, 0))[0] % 3))))  # noqa: E731
    found = audit([plant(tmp_path, png, cropped)])
    assert {"width", "height", "size", "megapixels"} <= set(grades(found))
    assert not {"format", "mode"} & set(grades(found))


def test_a_size_between_others_is_found_by_the_exact_size(tmp_path):
    """Generated images of one size, photographs smaller and larger: no threshold on a side separates them."""

    def photographs(image):
        side = 96 if image.getpixel((0, 0))[0] % 2 else 160
        return png(image.crop((0, 0, side, side)))

    found = audit([plant(tmp_path, photographs, lambda image: png(image.crop((0, 0, 128, 128))))])
    assert grades(found)["size"] == "solves the set"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"icc_profile": b"profile"}, "icc"),
        ({"dpi": (300, 300)}, "dpi"),
        ({"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}, None),
    ],
)
def test_metadata_is_found(tmp_path, options, name):
    found = audit([plant(tmp_path, lambda image: (".png", encoded(image, **options)), png)])
    assert set(grades(found)) == ({name} if name else set())


def test_a_hidden_jpeg_is_found_in_png_files(tmp_path):
    def washed(image):
        return png(Image.open(io.BytesIO(jpeg(image)[1])).convert("RGB"))

    found = audit([plant(tmp_path, washed, png)])
    assert grades(found)["zero_coefficients"] == "solves the set" and "format" not in grades(found)


@pytest.mark.slow
def test_processing_is_told_but_is_no_shortcut_of_its_own(tmp_path):
    """Blurred pictures make small files: that is found, and the reason stands beside it."""

    def blurred(image):
        return png(image.filter(ImageFilter.GaussianBlur(1.5)))

    folder = plant(tmp_path, png, blurred)
    found = audit([folder])
    assert set(grades(found)) == {"bytes_per_pixel"} and "sharpness 1.00" in found.verdict
    assert "in processing, in what the images show" in found.verdict
    # Where one encoder wrote all files, their size says no more than the pixels.
    again = audit([folder], transform=Transform())
    assert not again.shortcuts and "bytes per pixel 1.00" in again.verdict


def test_combinations_are_found(tmp_path):
    """A profile or a resolution entry, but not both, is in one class."""

    def with_entries(same):
        def make(image):
            first = image.getpixel((0, 0))[0] % 2
            profile = {"icc_profile": b"profile"} if first else {}
            entry = {"dpi": (72, 72)} if first == same else {}
            return ".png", encoded(image, **profile, **entry)

        return make

    found = audit([plant(tmp_path, with_entries(1), with_entries(0), count=40)])
    assert [finding.feature.name for finding in found.shortcuts] == ["file_size_compression"]
    assert found.verdict.startswith("No single measurement is a shortcut, but together file, size, compression solve")


def test_broken_unlabelled_and_repeated_images_are_counted(tmp_path):
    plant(tmp_path, png, png, count=6)
    (tmp_path / "real" / "broken.png").write_bytes(b"no image")
    Image.new("RGB", (9, 9)).save(tmp_path / "somewhere.png")
    for label in ("real", "generated"):
        (tmp_path / label / "again.png").write_bytes(encoded(photograph(0)))
    found = audit([tmp_path])
    assert (found.real, found.generated, found.unlabelled) == (7, 7, 1)
    assert [message.partition(":")[0] for message in found.errors.values()] == ["UnreadableImage"]
    assert found.repeated == (3, 3)
    assert "1 failed" in found.conditions


def test_too_few_images_say_how_labels_are_given(tmp_path):
    plant(tmp_path, png, png, count=4)
    with pytest.raises(UsageError, match="got 4 real and 4 generated. Labels come from a manifest"):
        audit([tmp_path])
    with pytest.raises(UsageError, match="expected a path or encoded bytes"):
        audit([photograph(0)])


def test_identical_files_have_nothing_to_tell():
    data = encoded(photograph(0))
    found = audit([Source(data, str(number), ("real", "generated")[number % 2]) for number in range(12)])
    assert found.verdict.startswith("No shortcut found: file, size and compression are the same in all images.")
    assert found.findings == found.together == ()


def test_results_go_into_json_and_back(tmp_path):
    sources = list(find_sources([plant(tmp_path, jpeg, png, count=6)]))
    rows = list(measured([*sources, Source(tmp_path / "none.png", "none", "real", {"generator": "x"})]))
    for row, source in zip(rows, [*sources, Source("none", "none", "real", {"generator": "x"})], strict=True):
        assert Measured.from_dict(json.loads(json.dumps(row.to_dict())), source) == row
    found = json.loads(json.dumps(Audit.of(rows).to_dict()))
    assert found["findings"][0]["shortcut"] == "solves the set" and list(found["errors"]) == ["none"]


@pytest.mark.slow
def test_results_do_not_depend_on_threads_or_order(tmp_path):
    folder = plant(tmp_path, jpeg, png, count=8)
    sources = list(find_sources([folder]))
    first = audit(sources, Settings(workers=1))
    again = audit(sources, Settings(workers=7))
    assert first == again
    backwards = audit(sources[::-1])
    area = {finding.feature.name: finding.auroc for finding in first.findings if finding.in_generated}
    assert area == {finding.feature.name: finding.auroc for finding in backwards.findings if finding.in_generated}


def test_large_sets_are_sampled_for_what_is_slow(tmp_path, monkeypatch):
    monkeypatch.setattr("recon_detect.audit.verdict.SAMPLE", 30)
    found = audit([plant(tmp_path, jpeg, png)])
    assert "p and combinations of 30 images at random" in found.conditions
    assert found.together[0].real == found.together[0].generated == 15
    format_ = next(finding for finding in found.findings if finding.feature.name == "format")
    assert (format_.real, format_.generated, format_.auroc) == (24, 24, 1)
