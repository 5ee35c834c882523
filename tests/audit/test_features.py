import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from recon_detect.audit import FEATURES, measure
from recon_detect.errors import ImageTooLarge, UnreadableImage, UsageError
from recon_detect.settings import Settings
from tests.audit.sets import encoded, photograph


def test_every_feature_is_measured_of_every_file():
    names = {feature.name for feature in FEATURES} | {"sha256"}
    assert len(names) == len(FEATURES) + 1
    for data in (encoded(photograph(0)), encoded(photograph(0), "jpeg"), encoded(Image.new("L", (2, 2)), "bmp")):
        assert set(measure(data)) == names


def test_a_png_has_no_jpeg_properties():
    found = measure(encoded(photograph(0)))
    assert found["format"] == "PNG" and found["mode"] == "RGB"
    assert all(found[name] is None for name in ("jpeg_quality", "jpeg_libjpeg", "chroma_subsampling", "progressive"))


@pytest.mark.parametrize(("subsampling", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_jpeg_properties(subsampling, name):
    data = encoded(photograph(0), "jpeg", quality=83, subsampling=subsampling, progressive=True)
    found = measure(data)
    assert (found["format"], found["jpeg_quality"], found["chroma_subsampling"]) == ("JPEG", 83, name)
    assert found["progressive"] == found["jpeg_libjpeg"] == 1
    assert found["bytes_per_pixel"] == len(data) / 160**2
    own = encoded(photograph(0), "jpeg", qtables=[list(range(2, 66))] * 2)
    assert measure(own)["jpeg_libjpeg"] == 0


def test_size():
    found = measure(encoded(Image.new("RGB", (192, 64))))
    assert (found["width"], found["height"], found["size"], found["aspect"]) == (192, 64, "192x64", 3)
    assert (found["megapixels"], found["multiple_of_8"], found["multiple_of_64"]) == (0.012288, 1, 1)
    found = measure(encoded(Image.new("RGB", (192, 72))))
    assert (found["multiple_of_8"], found["multiple_of_64"]) == (1, 0)


def metadata(**given) -> dict:
    found = measure(encoded(photograph(0), **given))
    return {name for name in ("exif", "icc", "xmp", "c2pa", "text", "dpi", "alpha") if found[name]}


def test_metadata_is_told_apart():
    exif = Image.Exif()
    exif[0x0110] = "camera"
    text = PngInfo()
    text.add_text("parameters", "a cat")
    xmp = PngInfo()
    xmp.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    assert metadata() == set()
    assert metadata(exif=exif) == {"exif"}
    assert metadata(codec="jpeg", exif=exif) == {"exif"}
    assert metadata(icc_profile=b"profile") == {"icc"}
    assert metadata(pnginfo=text) == {"text"}
    assert metadata(codec="jpeg", comment=b"made by hand") == {"text"}
    assert metadata(pnginfo=xmp) == {"xmp"}
    assert metadata(codec="jpeg", xmp=b"<x:xmpmeta/>") == {"xmp"}
    assert metadata(dpi=(72, 72)) == metadata(codec="jpeg", dpi=(72, 72)) == {"dpi"}


def test_text_behind_the_pixels_and_c2pa_manifests_are_found():
    def with_chunk(kind: bytes, body: bytes) -> bytes:
        chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        data = encoded(photograph(0))
        return data[:-12] + chunk + data[-12:]

    assert measure(with_chunk(b"tEXt", b"date:create\0today"))["text"] == 1
    box = b"\0\0\0\x20jumb\0\0\0\x18jumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03c2pa\0"
    found = measure(with_chunk(b"caBX", box))
    assert found["c2pa"] == 1 and found["text"] == 0


def test_transparency_and_colour_mode():
    found = measure(encoded(photograph(0).convert("RGBA")))
    assert (found["mode"], found["alpha"]) == ("RGBA", 1)
    assert measure(encoded(photograph(0).convert("L")))["mode"] == "L"


@pytest.mark.parametrize("quality", [50, 75, 90, 95])
def test_traces_of_jpeg_stay_after_png(quality):
    plain = [measure(encoded(photograph(seed))) for seed in range(8)]
    once = [measure(encoded(decoded(encoded(photograph(seed), "jpeg", quality=quality)))) for seed in range(8)]
    assert max(found["zero_coefficients"] for found in plain) < min(found["zero_coefficients"] for found in once)
    if quality <= 75:
        assert max(found["blockiness"] for found in plain) < min(found["blockiness"] for found in once)


def decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def test_a_jpeg_cropped_off_its_grid_shows_the_grid_elsewhere():
    for seed in range(4):
        jpeg = decoded(encoded(photograph(seed), "jpeg", quality=75))
        on, off = (measure(encoded(jpeg.crop((left, left, 152, 152)))) for left in (0, 3))
        assert off["blockiness"] < on["blockiness"] and off["grid_elsewhere"] > on["grid_elsewhere"]


def test_the_grid_of_jpeg_is_found_at_any_place():
    for seed in range(3):
        image = photograph(seed, 320)
        jpeg = decoded(encoded(image, "jpeg", quality=90))
        plain, on, off = (
            measure(encoded(one.crop((left, top, 312, 312))))["jpeg_grid"]
            for one, left, top in ((image, 3, 5), (jpeg, 0, 0), (jpeg, 3, 5))
        )
        assert plain == 0 and min(on, off) > 0.03


def test_sharpness_and_fine_detail_fall_when_an_image_is_enlarged():
    image = photograph(0, 256)
    small = image.resize((128, 128), Image.Resampling.BICUBIC).resize((256, 256), Image.Resampling.BICUBIC)
    sharp, soft = (measure(encoded(one)) for one in (image, small))
    assert soft["sharpness"] < sharp["sharpness"] and soft["fine_detail"] < sharp["fine_detail"] - 1


def test_brightness_and_saturation():
    found = measure(encoded(Image.new("RGB", (32, 32), (255, 0, 0))))
    assert found["brightness"] == pytest.approx(0.299, abs=1e-4) and found["saturation"] == 1
    # A flat image has neither steps nor detail.
    assert found["blockiness"] == found["zero_coefficients"] == found["sharpness"] == 0


def test_large_images_are_looked_at_in_the_middle():
    pixels = np.zeros((1200, 1100, 3), np.uint8)
    pixels[88:1112, 32:1056] = 255
    assert measure(encoded(Image.fromarray(pixels)))["brightness"] == pytest.approx(1)


def test_images_of_one_pixel_have_what_can_be_measured():
    found = measure(encoded(Image.new("RGB", (1, 1))))
    assert found["sharpness"] == 0 and found["blockiness"] is None and found["fine_detail"] is None


def test_what_cannot_be_read_is_an_error(tmp_path):
    for data in (b"", b"no image", encoded(photograph(0))[:400]):
        with pytest.raises(UnreadableImage):
            measure(data)
    with pytest.raises(UnreadableImage, match="No such file"):
        measure(tmp_path / "missing.png")
    with pytest.raises(ImageTooLarge):
        measure(encoded(photograph(0)), Settings(max_pixels=100))
    with pytest.raises(UsageError, match="expected a path or encoded bytes; got ndarray"):
        measure(np.zeros((8, 8, 3), np.uint8))
