"""Kinds of files by their first bytes: for messages on files that are no images, or of a kind that is not read."""

from __future__ import annotations

import re

# The first bytes of files that people take for images, and of images in formats that are not read.
_KINDS: tuple[tuple[bytes, str], ...] = (
    (rb"%PDF-", "a PDF document: export its pages as PNG"),
    (rb"PK\x03\x04|PK\x05\x06", "a ZIP archive: give it as an input of its own that is named .zip"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd", "a compressed archive: unpack it"),
    (rb"version https://git-lfs", "a pointer of Git LFS, not the file: fetch it with 'git lfs pull'"),
    (rb"\s*<(!doctype html|html|head|body)", "an HTML page: the download gave a page instead of the file"),
    (rb"\s*(<\?xml|<svg|<!--)", "XML or SVG, drawings without pixels: export as PNG"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript, a drawing without pixels: export as PNG"),
    (rb"\xd7\xcd\xc6\x9a|\x01\x00\x00\x00.{36} EMF", "a Windows metafile, a drawing without pixels: export as PNG"),
    (rb"....ftyp(heic|heix|heim|heis|hevc|hevx|mif1|msf1)", "HEIC: pip install 'recon-detect[heif]' to read it"),
    (rb"....ftyp(avif|avis)", "AVIF that this Pillow cannot read"),
    (rb"....ftyp(crx )", "a raw file of a camera: develop it to TIFF or PNG"),
    (rb"....ftyp|....(moov|mdat|wide)|\x1aE\xdf\xa3|FLV\x01|OggS|\x00\x00\x01[\xb3\xba]|0&\xb2u", "a video"),
    (rb"RIFF....AVI ", "a video"),
    (rb"RIFF....WAVE|ID3|fLaC|\xff[\xfb\xf3\xf2]", "a sound file"),
    (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "JPEG XL, which Pillow does not read: convert it to PNG"),
    (rb"II\xbc", "JPEG XR, which Pillow does not read: convert it to PNG"),
    (rb"FUJIFILMCCD-RAW|IIRO|IIRS|II\x2a\x00\x10\x00\x00\x00CR|IIU\x00", "a raw file of a camera: develop it"),
    (rb"v/1\x01", "OpenEXR, which Pillow does not read: convert it to PNG"),
    (rb"#\?RADIANCE|#\?RGBE", "Radiance HDR, which Pillow does not read: convert it to PNG"),
    (rb"P7\s", "PAM, which Pillow does not read: convert it to PNG"),
    (rb"\x00\x00[\x01\x02]\x00", "an icon or cursor: extract its largest picture as PNG"),
    (rb"icns", "an icon: extract its largest picture as PNG"),
    (rb"DDS |BLP[12]|FTEX|FTC", "a texture of a game: convert it to PNG"),
    (rb"....[\x11\x12]\xaf", "an animation (FLI): export a frame as PNG"),
    (rb"gimp xcf", "a project of GIMP: export it as PNG"),
    (rb"\x93NUMPY", "an array of NumPy: load it and pass the array"),
    (rb"SIMPLE  =|\x89HDF|CDF[\x01\x02]|GRIB|BUFR", "scientific data, not a picture"),
    (rb"/\* XPM|#define ", "X11 pixmap, which is not read: convert it to PNG"),
    (rb"\x7fELF|MZ|#!", "a program"),
    (rb"SQLite format 3", "a database"),
)
# The formats that are read, by Pillow's names.
_IMAGES: tuple[tuple[bytes, str], ...] = (
    (rb"\x89PNG", "PNG"),
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"GIF8[79]a", "GIF"),
    (rb"II\x2a\x00|MM\x00\x2a|II\x2b\x00|MM\x00\x2b|MM\x2a\x00|II\x00\x2a", "TIFF"),
    (rb"RIFF....WEBP", "WEBP"),
    (rb"....ftyp(avif|avis)", "AVIF"),
    (rb"....ftyp(heic|heix|heim|heis|hevc|hevx|mif1|msf1)", "HEIF"),
    (rb"BM", "BMP"),
    (rb"8BPS", "PSD"),
    (rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", "JPEG2000"),
    (rb"P[0-6yfF]|Pf", "PPM"),
    (rb"qoif", "QOI"),
    (rb"\x01\xda", "SGI"),
    (rb"\x59\xa6\x6a\x95", "SUN"),
    (rb"\x0a[\x00\x02\x03\x05]\x01", "PCX"),
)


def format_of(data: bytes) -> str | None:
    """Pillow's name of the format that the first bytes announce, if it is one of those that are read."""
    return _first(data, _IMAGES)


def kind_of(data: bytes) -> str | None:
    """Names the kind of a file by its first bytes, and what to do with it, if it is none that is read."""
    if not data:
        return "an empty file"
    if not data.strip(b"\0"):
        return "nothing but zeros"
    return _first(data, _KINDS)


def _first(data: bytes, table: tuple[tuple[bytes, str], ...]) -> str | None:
    start = data[:64]
    return next((name for pattern, name in table if re.match(pattern, start, re.DOTALL | re.IGNORECASE)), None)
