import io

import numpy as np
import pytest
from PIL import Image

from recon_detect.errors import ImageTooSmall, UnreadableImage, UsageError
from recon_detect.images.transform import Transform, encode


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_crop_is_at_the_centre_on_the_grid(picture):
    pixels = picture(300, 420)
    assert np.array_equal(Transform(128).image(pixels), pixels[64:192, 128:256])
    assert np.array_equal(Transform().image(pixels), pixels)


@pytest.mark.parametrize(("encoding", "kind", "suffix"), [("png", "PNG", ".png"), ("jpeg-75", "JPEG", ".jpg"),
                                                          ("webp-80", "WEBP", ".webp")])  # fmt: skip
def test_encodings(picture, encoding, kind, suffix):
    transform = Transform(32, encoding)
    image = opened(transform.encoded(picture(40, 48)))
    assert (image.format, image.size, transform.suffix) == (kind, (32, 32), suffix)


def test_png_keeps_pixels_and_quality_is_pillows(picture):
    image = Image.fromarray(picture(40, 48))
    assert np.array_equal(opened(encode(image, "png")), image)
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=75)
    assert encode(image, "jpeg-75") == buffer.getvalue()


def test_nothing_but_pixels_is_kept(tmp_path, picture):
    """Profiles, EXIF and text would tell the classes apart again."""
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x010E] = "a description"
    Image.fromarray(picture(40, 48)).save(path, exif=exif, icc_profile=b"profile", comment=b"comment")
    for encoding in ("png", "jpeg-90", "webp-90"):
        image = opened(Transform(32, encoding).encoded(path))
        assert not set(image.info) & {"exif", "icc_profile", "comment"} and not image.getexif()


def test_transparency_is_put_on_white(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(path)
    assert np.asarray(Transform(8).image(path)).min() == 255


@pytest.mark.parametrize("encoding", ["jpg-75", "jpeg", "jpeg-0", "jpeg-101", "png-3", "jpeg-7.5", ""])
def test_other_encodings_are_refused(encoding):
    with pytest.raises(UsageError, match="expected png, or jpeg or webp with a quality"):
        Transform(32, encoding)


def test_impossible_crops_are_refused(picture, tmp_path):
    with pytest.raises(UsageError, match="crop of 0 px"):
        Transform(0)
    with pytest.raises(ImageTooSmall, match="48x40: smaller than the crop of 41 px"):
        Transform(41).encoded(picture(40, 48))
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(UnreadableImage):
        Transform(8).encoded(tmp_path / "a.png")
