import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from recon_detect.errors import ImageTooLarge, InputError, UnreadableImage, UsageError
from recon_detect.images import open_picture, to_model_range
from recon_detect.images.picture import middle_square
from recon_detect.settings import DEFAULTS


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "GIF", "JPEG", "WEBP", "AVIF"])
def test_formats_are_read_and_named(format, picture):
    image = Image.fromarray(picture(20, 30))
    opened = open_picture(encoded(image, format))
    assert opened.pixels.shape == (20, 30, 3) and opened.pixels.dtype == np.uint8
    assert (opened.provenance.width, opened.provenance.height) == (30, 20)
    assert opened.provenance.format == format
    assert (opened.provenance.jpeg_quality is not None) == (format == "JPEG")


def test_lossless_containers_hold_the_same_picture(picture):
    image = Image.fromarray(picture())
    sums = {open_picture(encoded(image, format)).provenance.sha256 for format in ("PNG", "TIFF", "BMP")}
    sums.add(open_picture(image).provenance.sha256)
    sums.add(open_picture(np.asarray(image)).provenance.sha256)
    sums.add(open_picture(torch.from_numpy(np.array(image)).permute(2, 0, 1)).provenance.sha256)
    assert len(sums) == 1
    assert open_picture(Image.fromarray(picture(seed=1))).provenance.sha256 not in sums


def test_tensor_spans_minus_one_to_one():
    pixels = np.array([[[0, 127, 255]]], dtype=np.uint8)
    tensor = open_picture(pixels).tensor()
    assert tensor.shape == (3, 1, 1) and tensor.dtype == torch.float32
    assert tensor.flatten().tolist() == pytest.approx([-1, 127 / 127.5 - 1, 1])


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_depth(format):
    grey = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16) + 1
    opened = open_picture(encoded(Image.fromarray(grey), format))
    assert opened.pixels.dtype == np.float32
    assert np.allclose(opened.pixels[..., 0] * 65535, grey, atol=0.01)
    assert "grey to RGB" in opened.provenance.notes


def test_sixteen_bit_colour_png():
    rgb = np.random.default_rng(0).integers(0, 65536, (4, 5, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in rgb)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    opened = open_picture(data)
    assert np.abs(opened.pixels.astype(int) - (rgb.astype(int) >> 8)).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "RGBA", "CMYK", "YCbCr"])
def test_modes_become_rgb_and_say_so(mode, picture):
    rgb = Image.fromarray(picture())
    image = rgb.convert("RGBA").convert("LA") if mode == "LA" else rgb.convert("P" if mode == "PA" else mode)
    image = image.convert("PA") if mode == "PA" else image
    opened = open_picture(image)
    assert opened.pixels.shape == (32, 32, 3)
    assert opened.provenance.mode == mode


def test_cmyk_jpeg(picture):
    opened = open_picture(encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG"))
    assert opened.provenance.mode == "CMYK"
    assert "CMYK to RGB" in opened.provenance.notes


@pytest.mark.parametrize(("alpha", "value"), [("white", 255), ("black", 0), ("drop", 10)])
def test_alpha_is_composited_on_the_declared_background(alpha, value):
    image = Image.new("RGBA", (4, 4), (10, 10, 10, 0))
    opened = open_picture(image, replace(DEFAULTS, alpha=alpha))
    assert (opened.pixels == value).all()
    assert any("alpha" in note or "RGBA" in note for note in opened.provenance.notes)


def test_transparent_palette_is_composited():
    image = Image.new("P", (4, 4), 0)
    image.putpalette([200, 0, 0] * 256)
    opened = open_picture(encoded(image, "PNG", transparency=0))
    assert (opened.pixels == 255).all()
    assert "alpha put on white" in opened.provenance.notes


def test_float_alpha_matches_integer_alpha():
    rgba = np.random.default_rng(0).integers(0, 256, (6, 6, 4), np.uint8)
    exact = open_picture(rgba.astype(np.float32) / 255).pixels * 255
    assert np.abs(exact - open_picture(rgba).pixels).max() < 1


def test_exif_orientation_is_reported_and_applied_on_request(picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(picture(16, 24)), "JPEG", exif=exif)
    stored = open_picture(data)
    turned = open_picture(data, replace(DEFAULTS, exif_orientation=True))
    assert stored.provenance.exif_orientation == turned.provenance.exif_orientation == 6
    assert stored.pixels.shape == (16, 24, 3) and turned.pixels.shape == (24, 16, 3)
    assert (np.rot90(stored.pixels, -1) == turned.pixels).all()


def test_animation_gives_its_first_frame(picture):
    frames = [Image.fromarray(picture(seed=seed)) for seed in range(3)]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    opened = open_picture(data)
    assert (opened.pixels == np.asarray(frames[0])).all()
    assert "first of 3 frames" in opened.provenance.notes


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_truncated_files_are_errors(format):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(Image.fromarray(noise), format)
    with pytest.raises(UnreadableImage):
        open_picture(data[: len(data) // 2])


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_is_an_error_that_tells_what_came(data):
    with pytest.raises(UnreadableImage):
        open_picture(data)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore")
@given(data=st.data())
def test_mutated_files_never_raise_anything_else(data, picture):
    format = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"]))
    original = bytearray(encoded(Image.fromarray(picture(16, 16)), format))
    for _ in range(data.draw(st.integers(1, 8))):
        original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    try:
        opened = open_picture(bytes(original), replace(DEFAULTS, max_pixels=10_000))
    except InputError:
        return
    assert opened.pixels.ndim == 3


def test_limits_are_checked_before_decoding(tmp_path, picture):
    data = encoded(Image.fromarray(picture(32, 32)), "PNG")
    with pytest.raises(ImageTooLarge, match="32x32 is 1,024 pixels, limit 1,000"):
        open_picture(data, replace(DEFAULTS, max_pixels=1000))
    with pytest.raises(ImageTooLarge, match="bytes"):
        open_picture(data, replace(DEFAULTS, max_bytes=100))
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(ImageTooLarge, match="bytes"):
        open_picture(path, replace(DEFAULTS, max_bytes=100))


def test_decompression_bomb_is_refused_by_its_header():
    data = bytearray(encoded(Image.new("L", (8, 8)), "PNG"))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(ImageTooLarge):
        open_picture(bytes(data))


def test_missing_file_and_folder_are_unreadable(tmp_path):
    with pytest.raises(UnreadableImage, match="No such file"):
        open_picture(tmp_path / "missing.png")
    with pytest.raises(UnreadableImage):
        open_picture(tmp_path)


@pytest.mark.parametrize("shape", [(5,), (5, 6, 2), (5, 6, 5), (0, 6, 3), (2, 5, 6, 3)])
def test_arrays_of_other_shapes_are_usage_errors(shape):
    with pytest.raises(UsageError, match="expected an array"):
        open_picture(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 6, 3), (5, 6, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2", np.float32, ">f4", np.float64])
def test_arrays_of_every_type_agree(shape, dtype):
    unit = np.random.default_rng(0).random(shape)
    if len(shape) == 3 and shape[2] == 4:
        unit[..., 3] = 1
    top = {np.uint8: 255, np.uint16: 65535, ">u2": 65535}.get(dtype, 1)
    tensor = open_picture((unit * top).astype(dtype)).tensor()
    expected = np.broadcast_to(unit[..., :3] if unit.ndim == 3 else unit[..., None], (5, 6, 3)).transpose(2, 0, 1)
    assert np.abs(tensor.numpy() - (expected * 2 - 1)).max() < 2.1 / 255


@pytest.mark.parametrize("values", [[-1.0, 1.0], [0.0, 255.0], [0.0, float("nan")]])
def test_floats_outside_zero_to_one_say_what_came(values):
    with pytest.raises(UsageError, match=r"expected floating values in \[0, 1\]"):
        open_picture(np.resize(np.array(values, np.float32), (4, 4)))


def test_tensor_of_wrong_layout_and_unknown_type():
    with pytest.raises(UsageError, match=r"shape \(3, H, W\)"):
        open_picture(torch.zeros(8, 8, 3))
    with pytest.raises(UsageError, match="got int"):
        open_picture(3)


def test_half_precision_tensors_and_batches_convert_alike():
    x = torch.rand(3, 4, 4)
    assert torch.allclose(open_picture(x.half()).tensor(), open_picture(x).tensor(), atol=1e-3)
    assert torch.equal(to_model_range(torch.tensor([0, 255], dtype=torch.uint8)), torch.tensor([-1.0, 1.0]))


def test_the_middle_square_of_a_strip_is_the_same_and_takes_no_memory(monkeypatch, picture):
    for height, width, side in ((40, 40, 16), (37, 101, 16), (101, 37, 64), (300, 24, 64)):
        whole = middle_square(picture(height, width), side)
        with monkeypatch.context() as patch:
            patch.setattr("recon_detect.images.picture._LARGEST_RESIZED", 0)
            assert np.abs(middle_square(picture(height, width), side).astype(int) - whole).max() <= 2
    assert middle_square(np.zeros((5_000_000, 1, 3), np.uint8), 256).shape == (256, 256, 3)
