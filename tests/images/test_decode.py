"""What surrounds pixels in files: formats, orientation, EXIF, metadata, later frames, warnings."""

import io
import struct
import sys
import threading
import warnings
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from recon_detect.errors import ImageTooLarge, UnreadableImage
from recon_detect.images import decode, open_picture
from recon_detect.settings import DEFAULTS

TURNED = replace(DEFAULTS, exif_orientation=True)
LOSSLESS = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}}


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def with_tag(value) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_chunk(png: bytes, name: bytes, content: bytes) -> bytes:
    """The chunk comes before the pixels."""
    return png[:33] + chunk(name, content) + png[33:]


def tiff(pixels: bytes, width: int, height: int, *, bits: int, photometric: int, sample_format: int = 1) -> bytes:
    """A TIFF of one strip, little-endian: what Pillow does not write."""
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 0), (277, 1), (278, height)]
    tags += [(279, len(pixels)), (339, sample_format)]
    offset = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, offset if tag == 273 else value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + pixels


# Orientation


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_stored_pixels_are_scored_and_turned_on_request_alone(format, tag, picture):
    image = Image.fromarray(picture(16, 24))
    plain = open_picture(encoded(image, format, **LOSSLESS.get(format, {})))
    data = encoded(image, format, exif=with_tag(tag), **LOSSLESS.get(format, {}))
    stored, turned = open_picture(data), open_picture(data, TURNED)
    assert (
        stored.provenance.exif_orientation
        == turned.provenance.exif_orientation
        == (None if format == "AVIF" and tag == 1 else tag)
    )
    assert (stored.pixels == plain.pixels).all()
    upright = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.transpose(1, 0, 2),
        6: lambda x: np.rot90(x, -1),
        7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
        8: lambda x: np.rot90(x),
    }[tag]
    assert (turned.pixels == upright(plain.pixels)).all()


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}])
def test_an_opened_tiff_gives_its_stored_pixels_too(tag, options, picture):
    data = encoded(Image.fromarray(picture(16, 24)), "TIFF", exif=with_tag(tag), **options)
    for settings in (DEFAULTS, TURNED):
        with Image.open(io.BytesIO(data)) as image:
            opened = open_picture(image, settings)
        file = open_picture(data, settings)
        assert (opened.pixels == file.pixels).all()
        assert opened.provenance.exif_orientation == file.provenance.exif_orientation == tag


def test_deep_grey_keeps_its_meaning_when_it_is_turned():
    grey = np.arange(12, dtype="<u2").reshape(3, 4) * 5000
    data = encoded(Image.fromarray(grey), "TIFF", exif=with_tag(6))
    assert np.allclose(open_picture(data, TURNED).pixels[..., 0] * 65535, np.rot90(grey, -1), atol=0.01)


# EXIF


def exif_of(kind: int, raw: bytes, count: int = 1, tag: int = 0x0112) -> bytes:
    """EXIF of one entry of any type; a value of more than 4 bytes follows the directory."""
    value = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack("<I", 26)
    directory = struct.pack("<HHHI", 1, tag, kind, count) + value + struct.pack("<I", 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory + (raw if len(raw) > 4 else b"")


BROKEN_EXIF = {
    "bytes": exif_of(7, b"\x06\0\0\0", 4),
    "text": exif_of(2, b"6\0"),
    "zero": exif_of(3, struct.pack("<H", 0)),
    "nine": exif_of(3, struct.pack("<H", 9)),
    "long": exif_of(4, struct.pack("<I", 999)),
    "negative": exif_of(9, struct.pack("<i", -6)),
    "rational": exif_of(5, struct.pack("<II", 13, 2)),
    "over zero": exif_of(5, struct.pack("<II", 6, 0)),
    "nan": exif_of(12, struct.pack("<d", float("nan"))),
    "no value": exif_of(5, b"\xff\xff\xff\xff"),
    "no header": b"Exif\0\0nothing",
}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kind", BROKEN_EXIF)
def test_exif_of_other_types_and_ranges_is_no_orientation_and_no_error(kind, format, picture):
    image = Image.fromarray(picture())
    data = encoded(image, format, exif=BROKEN_EXIF[kind], **LOSSLESS.get(format, {}))
    plain = open_picture(encoded(image, format, **LOSSLESS.get(format, {})))
    for settings in (DEFAULTS, TURNED):
        opened = open_picture(data, settings)
        assert opened.provenance.exif_orientation is None
        assert opened.provenance.sha256 == plain.provenance.sha256


def test_a_rational_over_zero_elsewhere_does_not_keep_an_image_from_being_turned(picture):
    exif = with_tag(6)
    exif.get_ifd(0x8769)[0x9202] = TiffImagePlugin.IFDRational(77, 3)  # ApertureValue
    data = encoded(Image.fromarray(picture(16, 24)), "JPEG", exif=exif)
    written = struct.pack(">II", 77, 3) if data.count(struct.pack(">II", 77, 3)) else struct.pack("<II", 77, 3)
    data = data.replace(written, written[:4] + bytes(4))
    opened = open_picture(data, TURNED)
    assert opened.provenance.exif_orientation == 6 and opened.pixels.shape == (24, 16, 3)


# Depth


def test_grey_tiff_is_scaled_by_its_bits_and_white_is_zero_is_turned():
    unit = np.linspace(0, 1, 64).reshape(8, 8)
    twelve = (unit * 4095).round().astype(np.uint16).ravel()
    first, second = twelve[::2].astype(int), twelve[1::2].astype(int)
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8).tobytes()
    sixteen = (unit * 65535).round().astype("<u2")
    files = {
        "8": encoded(Image.fromarray((unit * 255).round().astype(np.uint8)), "PNG"),
        "8, white is zero": tiff((255 - unit * 255).round().astype(np.uint8).tobytes(), 8, 8, bits=8, photometric=0),
        "12": tiff(packed, 8, 8, bits=12, photometric=1),
        "16": tiff(sixteen.tobytes(), 8, 8, bits=16, photometric=1),
        "16, white is zero": tiff((65535 - sixteen).tobytes(), 8, 8, bits=16, photometric=0),
        "32": tiff((unit * (2**32 - 1)).astype("<u4").tobytes(), 8, 8, bits=32, photometric=1),
        "float": tiff(unit.astype("<f4").tobytes(), 8, 8, bits=32, photometric=1, sample_format=3),
        "float, white is zero": tiff((1 - unit).astype("<f4").tobytes(), 8, 8, bits=32, photometric=0, sample_format=3),
    }
    for name, data in files.items():
        grey = open_picture(data).tensor().numpy()[0] / 2 + 0.5
        assert np.abs(grey - unit).max() < 1 / 255, name


@pytest.mark.parametrize(
    ("bits", "photometric", "sample_format"), [(8, 1, 2), (16, 1, 2), (16, 32803, 1), (64, 1, 3), (16, 4, 1)]
)
def test_tiff_whose_numbers_have_no_agreed_meaning_is_refused(bits, photometric, sample_format):
    data = tiff(bytes(8 * 8 * bits // 8), 8, 8, bits=bits, photometric=photometric, sample_format=sample_format)
    with pytest.raises(UnreadableImage, match="convert it"):
        open_picture(data)


def test_transparent_sixteen_bit_grey_is_put_on_the_background():
    grey = np.full((4, 4), 1000, np.uint16)
    grey[0, 0] = 7
    data = encoded(Image.fromarray(grey), "PNG", transparency=7)
    opened = open_picture(data)
    assert opened.pixels[0, 0, 0] == 1 and opened.pixels[1, 1, 0] == pytest.approx(1000 / 65535)
    assert open_picture(data, replace(DEFAULTS, alpha="drop")).pixels[0, 0, 0] == pytest.approx(7 / 65535)


@pytest.mark.parametrize(
    ("mode", "format", "options"),
    [
        ("1", "TIFF", {"compression": "group4"}),
        ("1", "TIFF", {}),
        ("1", "PNG", {}),
        ("CMYK", "TIFF", {"compression": "tiff_lzw"}),
        ("CMYK", "JPEG", {}),
        ("I;16", "TIFF", {"compression": "tiff_lzw"}),
        ("I;16", "PNG", {}),
        ("LAB", "TIFF", {}),
    ],
)
def test_the_same_file_is_decoded_the_same_way_every_time(mode, format, options, picture):
    grey = picture(40, 56)[..., 0].astype(np.uint16) * 257
    image = Image.fromarray(grey) if mode == "I;16" else Image.fromarray(picture(40, 56)).convert(mode)
    data = encoded(image, format, **options)
    sums = []
    threads = [threading.Thread(target=lambda: sums.append(open_picture(data).provenance.sha256)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sums) == 12 and len(set(sums)) == 1


def fax(picture, cut: int | None = None) -> bytes:
    """A fax-compressed picture whose codes end early, but not the file."""
    image = Image.fromarray(picture(64, 64)).convert("1")
    data = bytearray(encoded(image, "TIFF", compression="group4"))
    with Image.open(io.BytesIO(data)) as opened:
        start, length = opened.tag_v2[273][0], opened.tag_v2[279][0]
    if cut is not None:
        data[start + cut : start + length] = (b"\x00\x10\x01" * length)[: length - cut]  # ends of the block
    return bytes(data)


@pytest.mark.skipif(sys.platform != "linux", reason="checked on Linux alone")
@pytest.mark.parametrize("cut", [10, 60, 120])
def test_fax_codes_that_end_before_the_picture_are_an_error_every_time(cut, picture):
    """Pillow fills the rest with what the memory held before."""
    assert open_picture(fax(picture)).provenance.mode == "1"
    for number in range(8):
        _ = [bytes([37 * number % 256]) * size for size in range(100, 1000, 7)]
        with pytest.raises(UnreadableImage, match="fax codes end before the picture"):
            open_picture(fax(picture, cut))


# Which formats


def eps() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n8 8 scale\nshowpage\n%%EOF\n"


def test_formats_that_run_other_programs_are_closed(monkeypatch):
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("a program was started"))
    with pytest.raises(UnreadableImage, match="PostScript"):
        open_picture(eps())


@pytest.mark.parametrize("format", ["JPEG2000", "PPM", "PCX", "SGI", "TGA", "QOI", "BMP"])
def test_every_format_that_pillow_reads_safely_is_read(format, picture):
    data = encoded(Image.fromarray(picture()), format, **({"irreversible": False} if format == "JPEG2000" else {}))
    assert (open_picture(data).pixels == picture()).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"%PDF-1.7\n", "PDF"),
        (b"PK\x03\x04" + bytes(40), "ZIP"),
        (b"\0\0\0\x18ftypmp42" + bytes(40), "a video"),
        (b"\x1aE\xdf\xa3" + bytes(40), "a video"),
        (b"\0\0\0\x18ftypheic" + bytes(40), r"HEIC: pip install 'recon-detect\[heif\]'"),
        (b"\xff\x0a" + bytes(40), "JPEG XL"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"<svg xmlns=''></svg>", "SVG"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\0\0\1\0\1\0" + bytes(40), "icon"),
        (b"P7\nWIDTH 2\nHEIGHT 2\n", "PAM"),
        (b"", "an empty file"),
        (bytes(100), "nothing but zeros"),
        (b"just words", "first bytes: 6a 75 73 74"),
    ],
)
def test_what_is_no_image_is_named(data, message, monkeypatch):
    monkeypatch.setattr(decode, "heif_is_read", lambda: False)
    with pytest.raises(UnreadableImage, match=message):
        open_picture(data)


def test_valid_files_of_variants_that_pillow_lacks_are_not_called_broken(picture):
    deep = struct.pack(">H6xHIIHH", 1, 3, 8, 8, 16, 3)
    psd = b"8BPS" + deep + bytes(12) + b"\0\0" + bytes(8 * 8 * 3 * 2)
    twelve_bit = bytearray(encoded(Image.fromarray(picture()), "JPEG"))
    twelve_bit[twelve_bit.index(b"\xff\xc0") + 4] = 12
    strange = tiff(bytes(64), 8, 8, bits=8, photometric=32803)
    for data in (psd, bytes(twelve_bit), strange):
        with pytest.raises(UnreadableImage, match="of a variant that Pillow .* does not support"):
            open_picture(data)
    with pytest.raises(UnreadableImage, match="broken or truncated PNG"):
        open_picture(encoded(Image.fromarray(picture()), "PNG")[:200])


def test_heif_is_read_where_pillow_heif_is_installed(monkeypatch, picture):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    assert open_picture(encoded(Image.fromarray(picture()), "HEIF", quality=-1)).provenance.format == "HEIF"


# What surrounds the picture


def test_large_metadata_of_png_is_skipped(picture):
    image = Image.fromarray(picture())
    plain = open_picture(encoded(image, "PNG"))
    large = zlib.compress(bytes(1_500_000))
    for name, content in {
        b"zTXt": b"workflow\0\0" + large,
        b"iTXt": b"workflow\0\1\0\0\0" + large,
        b"iCCP": b"profile\0\0" + large,
    }.items():
        opened = open_picture(with_chunk(encoded(image, "PNG", exif=with_tag(6)), name, content))
        assert opened.provenance.sha256 == plain.provenance.sha256
        assert opened.provenance.exif_orientation == 6
        assert "metadata or later frames left out" in opened.provenance.notes[0]


def test_audits_still_see_text_that_was_skipped(picture):
    from recon_detect.audit.features import measure

    text = b"workflow\0\0" + zlib.compress(bytes(2**21))
    png = with_chunk(encoded(Image.fromarray(picture()), "PNG"), b"zTXt", text)
    assert measure(png)["text"] == 1


def broken_later_parts(picture) -> dict[str, tuple[bytes, bytes]]:
    """A file whose first picture is whole, and one of the same picture alone."""
    frames = [Image.fromarray(picture(32, 32, seed)) for seed in range(3)]
    several = {"save_all": True, "append_images": frames[1:]}
    still = {
        name: encoded(frames[0], name, **LOSSLESS.get(name, {}))
        for name in ("PNG", "TIFF", "WEBP", "GIF", "JPEG", "AVIF")
    }
    webp = encoded(frames[0], "WEBP", lossless=True, exif=with_tag(1))
    animation = encoded(frames[0], "WEBP", lossless=True, **several)
    apng, gif = encoded(frames[0], "PNG", **several), encoded(frames[0], "GIF", **several)
    pages = bytearray(encoded(frames[0], "TIFF", **several))
    (first,) = struct.unpack_from("<I", pages, 4)
    (entries,) = struct.unpack_from("<H", pages, first)
    (second,) = struct.unpack_from("<I", pages, first + 2 + 12 * entries)
    loop = bytearray(pages)
    pages[second:] = b"\xff" * (len(pages) - second)
    struct.pack_into("<I", loop, first + 2 + 12 * entries, first)
    bad_sum = with_chunk(still["PNG"], b"tEXt", b"a\0b")
    at = bad_sum.index(b"tEXt")
    return {
        "WebP, EXIF cut off": (webp[:-10], still["WEBP"]),
        "WebP, animation cut off": (animation[:-100], still["WEBP"]),
        "PNG, animation cut off": (apng[: apng.rindex(b"fdAT") + 40], still["PNG"]),
        "PNG, sum of a text": (bad_sum[: at + 4] + b"x" + bad_sum[at + 5 :], still["PNG"]),
        "PNG, short resolution": (with_chunk(still["PNG"], b"pHYs", b"\0"), still["PNG"]),
        "PNG, end cut off": (still["PNG"][:-6], still["PNG"]),
        "PNG, short animation": (with_chunk(still["PNG"], b"acTL", b"\0"), still["PNG"]),
        "GIF, animation cut off": (gif[:-100], encoded(frames[0], "GIF")),
        "TIFF, second page": (bytes(pages), still["TIFF"]),
        "TIFF, pages in a ring": (bytes(loop), still["TIFF"]),
        "JPEG, short segments of colour": (
            still["JPEG"][:2] + b"\xff\xe0\0\7JFIF\0\xff\xee\0\7Adobe" + still["JPEG"][2:],
            still["JPEG"],
        ),
        "JPEG, index of pictures": (
            still["JPEG"][:2] + b"\xff\xe2\x00\x14MPF\0II*\0\x08\0\0\0\xff\xff\x00\xb0" + still["JPEG"][2:],
            still["JPEG"],
        ),
    }


KINDS = list(broken_later_parts(lambda h, w, s: np.zeros((h, w, 3), np.uint8) + np.uint8(40 * s)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_first_picture_is_scored_though_what_follows_is_broken(kind, picture):
    data, alone = broken_later_parts(picture)[kind]
    assert open_picture(data).provenance.sha256 == open_picture(alone).provenance.sha256


@pytest.mark.parametrize("layers", [b"", struct.pack(">ih", 2, 2) + b"\xff" * 40])
def test_psd_is_its_composite_whatever_its_layers_are(layers, picture):
    pixels = picture(8, 8)
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 8, 8, 8, 3)
    section = struct.pack(">I", len(layers)) + layers
    psd = header + bytes(8) + section + b"\0\0" + pixels.transpose(2, 0, 1).tobytes()
    assert (open_picture(psd).pixels == pixels).all()
    with Image.open(io.BytesIO(psd)) as image:
        assert (open_picture(image).pixels == pixels).all()


def test_pages_are_not_counted(picture):
    """A ring of pages, and a chain of many that would be read one by one."""
    image = Image.fromarray(picture())
    page = encoded(image, "TIFF")
    (first,) = struct.unpack_from("<I", page, 4)
    (entries,) = struct.unpack_from("<H", page, first)
    size = 2 + 12 * entries + 4
    directory, start = page[first : first + size], len(page)
    chained = bytearray(page)
    struct.pack_into("<I", chained, first + size - 4, start)
    for number in range(20_000):
        chained += directory[:-4] + struct.pack("<I", start + (number + 1) * size)
    opened = open_picture(bytes(chained))
    assert "first of several pages" in opened.provenance.notes
    assert opened.provenance.sha256 == open_picture(image).provenance.sha256


def test_a_jpeg_of_very_many_scans_is_refused(picture):
    data = encoded(Image.fromarray(picture()), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    assert open_picture(data).provenance.format == "JPEG"
    with pytest.raises(UnreadableImage, match="more than 100 scans"):
        open_picture(data[:-2] + data[last:-2] * 200 + data[-2:])


def test_a_header_that_claims_much_is_refused_before_decoding(picture):
    assert DEFAULTS.max_pixels < 9459 * 9459
    small = encoded(Image.fromarray(picture()), "AVIF")
    at = small.index(b"ispe") + 8
    with pytest.raises(ImageTooLarge):
        open_picture(small[:at] + struct.pack(">II", 9459, 9459) + small[at + 8 :])


def test_formats_that_are_decoded_slowly_have_a_lower_limit():
    with pytest.raises(ImageTooLarge, match="decodes slowly"):
        open_picture(b"qoif" + struct.pack(">IIBB", 4000, 4000, 3, 0) + bytes(100))


# Opened images


def test_an_opened_image_is_scored_at_its_frame_and_left_there(picture):
    frames = [Image.fromarray(picture(seed=seed)) for seed in range(3)]
    for format in ("TIFF", "PNG", "WEBP"):
        options = LOSSLESS[format] | {"save_all": True, "append_images": frames[1:]}
        with Image.open(io.BytesIO(encoded(frames[0], format, **options))) as image:
            image.seek(1)
            opened = open_picture(image)
            assert image.tell() == 1
        assert (opened.pixels == np.asarray(frames[1])).all()
        assert "frame 2, where the opened image is" in opened.provenance.notes


def test_opened_images_that_are_broken_closed_or_empty_are_input_errors(picture):
    data = encoded(Image.fromarray(picture()), "PNG")
    closed = Image.open(io.BytesIO(data))
    closed.close()
    done = Image.fromarray(picture())
    done.close()
    for image in (Image.open(io.BytesIO(data[:-60])), closed, done, Image.new("RGB", (0, 0)), Image.new("L", (5, 0))):
        with pytest.raises(UnreadableImage):
            open_picture(image)


# Warnings


def palette_with_alpha(picture) -> bytes:
    """Pillow warns of it: more than one kind of transparency in a palette, put into RGB."""
    return encoded(Image.fromarray(picture()).convert("P"), "PNG", transparency=bytes(range(256)))


def damaged_exif_tiff(picture) -> bytes:
    """Pillow warns that a tag has data outside of the file."""
    data = bytearray(encoded(Image.fromarray(picture()), "TIFF", software="a program with a name"))
    at = data.index(struct.pack("<HH", 305, 2))
    struct.pack_into("<I", data, at + 8, 0xFFFF00)
    return bytes(data)


def test_what_decoders_report_becomes_notes_of_the_row_whatever_other_threads_do(picture, caplog, capfd):
    noisy, quiet = damaged_exif_tiff(picture), encoded(Image.fromarray(picture()), "PNG")
    notes = {}

    def read(name, data):
        notes[name] = open_picture(data).provenance.notes

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning that escapes would be an error
        threads = [
            threading.Thread(target=read, args=(f"{number} {kind}", data))
            for number in range(8)
            for kind, data in (("noisy", noisy), ("quiet", quiet))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(notes) == 16
    for name, said in notes.items():
        assert bool(said) == name.endswith("noisy"), (name, said)
    assert caplog.records == [] and capfd.readouterr() == ("", "")


def test_log_lines_of_decoders_become_notes(picture, capfd):
    samples = tiff(bytes(64), 8, 8, bits=8, photometric=1)
    at = samples.index(struct.pack("<HH", 277, 4))
    many = samples[: at + 8] + struct.pack("<I", 9999) + samples[at + 12 :]
    with pytest.raises(UnreadableImage):
        open_picture(many)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="handed over on Linux alone")
def test_error_lines_of_libtiff_are_handed_over_too(picture, capfd):
    noisy = bytearray(encoded(Image.fromarray(picture()), "TIFF", compression="tiff_adobe_deflate"))
    with Image.open(io.BytesIO(noisy)) as image:
        start = image.tag_v2[273][0]
    noisy[start + 4 : start + 40] = b"\xff" * 36
    with pytest.raises(UnreadableImage, match="ZIPDecode"):
        open_picture(bytes(noisy))
    assert capfd.readouterr() == ("", "")


def test_outside_of_decoding_pillow_warns_as_ever(picture):
    open_picture(picture())
    with pytest.warns(UserWarning), Image.open(io.BytesIO(damaged_exif_tiff(picture))):
        pass
