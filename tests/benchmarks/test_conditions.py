import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.common import conditions
from recon_detect.errors import InputError

ALL = [*conditions.SINGLE, *(name for family in conditions.CURVES.values() for name in family.conditions())]


@pytest.fixture
def image(tmp_path, picture):
    path = tmp_path / "a.png"
    Image.fromarray(picture(300, 420)).save(path)
    return path


def seen(path, condition, crop=128):
    return np.asarray(Image.open(io.BytesIO(conditions.prepare(path, crop, condition))).convert("RGB"))


def test_both_classes_get_the_same_crop_on_the_grid(image, picture):
    assert np.array_equal(seen(image, "png"), picture(300, 420)[64:192, 128:256])
    assert np.array_equal(seen(image, "png", crop=None), picture(300, 420))


@pytest.mark.parametrize("condition", ALL)
def test_a_condition_depends_on_the_image_alone(condition, image, tmp_path):
    """Not on its name, its container or a draw before."""
    other = tmp_path / "other.tiff"
    Image.open(image).save(other)
    np.random.default_rng().random()
    first = conditions.prepare(image, 128, condition)
    assert first == conditions.prepare(other, 128, condition) == conditions.prepare(image, 128, condition)
    assert (seen(image, condition).shape != (128, 128, 3)) or condition == "png" or (
        not np.array_equal(seen(image, condition), seen(image, "png"))
    )  # fmt: skip


@pytest.mark.parametrize("condition, side", [
    ("resize-0.75", 96), ("resize-1.5", 192), ("crop-0.75", 96), ("screenshot-0.8", 102), ("screenshot-1", 128),
    ("screenshot-0.6+jpeg-90", 77), ("blur-1", 128), ("noise-5", 128), ("turn", 128), ("jpeg-50", 128),
])  # fmt: skip
def test_sizes(condition, side, image):
    assert seen(image, condition).shape == (side, side, 3)


def test_random_places_and_noise_are_different_for_each_image(tmp_path, picture):
    places, noises = set(), []
    for number in range(12):
        path = tmp_path / f"{number}.png"
        Image.fromarray(picture(128, 128, seed=number)).save(path)
        whole = picture(128, 128, seed=number)
        part = seen(path, "crop-0.75")
        found = [
            (y, x) for y in range(33) for x in range(33) if np.array_equal(whole[y : y + 96, x : x + 96], part)
        ]  # fmt: skip
        places.update(found)
        assert found
        height, width, _ = seen(path, "offgrid-7").shape
        assert 121 <= height < 128 and 121 <= width < 128
        assert np.array_equal(seen(path, "offgrid-7"), whole[128 - height :, 128 - width :])
        noises.append(seen(path, "noise-5").astype(int) - whole)
    assert len(places) > 6 and any(place % 8 for pair in places for place in pair)
    assert np.std(noises[0]) == pytest.approx(5, abs=0.7) and not np.array_equal(noises[0], noises[1])


def test_a_screenshot_has_the_values_that_a_display_gets(tmp_path):
    path = tmp_path / "ramp.png"
    Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 8, 0).repeat(3, 2)).save(path)
    shown = seen(path, "screenshot-1", crop=None)[0, :, 0].astype(int)
    assert shown[0] == 0 and shown[255] == 255 and (np.diff(shown) >= 0).all()
    # The straight part of sRGB near black is what gamma 2.2 lacks; from the middle on they hardly differ.
    assert shown[10] == round(255 * (10 / 255 / 12.92) ** (1 / 2.2)) and 0 < np.abs(shown - range(256)).max() < 12
    assert len(set(shown.tolist())) < 256


def test_the_end_of_a_chain_keeps_its_encoding(image):
    codecs = {"jpeg-75": "JPEG", "resize-0.5+webp-80": "WEBP", "jpeg-75+resize-0.5": "PNG", "mirror": "PNG"}
    for condition, codec in codecs.items():
        assert Image.open(io.BytesIO(conditions.prepare(image, 128, condition))).format == codec


def test_a_second_jpeg_differs_from_the_first(image):
    double, single = (conditions.prepare(image, 128, f"{first}offgrid-7+jpeg-75") for first in ("jpeg-75+", ""))
    assert double != single


def test_families_and_their_strengths():
    jpeg = ["jpeg-90", "jpeg-75", "jpeg-60", "jpeg-50"]
    assert conditions.expand(["png", "jpeg", "jpeg-75", "turn"]) == ["png", *jpeg, "turn"]
    assert conditions.curve_of("jpeg-33") == ("jpeg", 33)
    assert conditions.curve_of("screenshot-0.8+jpeg-90") == ("screenshot-jpeg", 0.8)
    assert conditions.curve_of("jpeg-75+offgrid-7+jpeg-50") == ("double-jpeg", 50)
    assert conditions.curve_of("mirror") is None and conditions.curve_of("jpeg-75+mirror") is None
    for name, family in conditions.CURVES.items():
        assert [conditions.curve_of(c) for c in family.conditions()] == [(name, s) for s in family.strengths]


@pytest.mark.parametrize("wrong", ["jpg-75", "resize-x", "png+sharpen"])
def test_unknown_steps_are_refused(wrong):
    with pytest.raises(ValueError):
        conditions.expand([wrong])


def test_what_cannot_be_read_is_an_error_of_the_input(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(InputError):
        conditions.prepare(tmp_path / "broken.png", 128, "png")


@pytest.mark.parametrize("condition, size", [
    ("longest-210", (210, 150)), ("longest-1080", (420, 300)), ("aspect-0.8", (240, 300)), ("aspect-1.5", (420, 280)),
    ("aspect-0.8+longest-150+jpeg-85", (120, 150)),
])  # fmt: skip
def test_pictures_are_shrunk_and_cropped_at_the_centre(image, picture, condition, size):
    seen_now = seen(image, condition, crop=None)
    assert seen_now.shape[1::-1] == size
    if condition.startswith("aspect-0.8") and size == (240, 300):
        assert np.array_equal(seen_now, picture(300, 420)[:, 90:330])


def test_a_page_holds_the_screenshot_between_text(image):
    page, shown = seen(image, "page-0.5", crop=None), seen(image, "screenshot-0.5", crop=None)
    height, width = shown.shape[:2]
    assert 24 * 2 <= page.shape[0] - height <= 240 and 24 * 2 <= page.shape[1] - width <= 240
    places = [
        (y, x) for y in range(page.shape[0] - height + 1) for x in range(page.shape[1] - width + 1)
        if np.array_equal(page[y, x : x + width], shown[0])
    ]  # fmt: skip
    ((top, left),) = places
    assert np.array_equal(page[top : top + height, left : left + width], shown)
    # Dark text is the only thing beside the picture.
    assert min(page[:top].min(), page[top + height :].min()) < 128
    assert (page[:, :left] == 255).all() and (page[:, left + width :] == 255)[top : top + height].all()
