"""Reading of the claims of one file, which is hostile until it has been read."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, JpegImagePlugin

from recon_detect.claims.claims import Camera, Claims, JpegEncoding, JpegPast
from recon_detect.claims.manifest import read_manifest
from recon_detect.claims.metadata import Metadata, metadata_of
from recon_detect.claims.texts import LONGEST_NAME, read_texts
from recon_detect.claims.tiff import read_tags
from recon_detect.claims.xmp import read_xmp
from recon_detect.errors import InputError, UsageError
from recon_detect.images.archives import Member
from recon_detect.images.containers import picture_alone
from recon_detect.images.heard import collected, printable
from recon_detect.images.jpeg import estimate_quality, is_libjpeg
from recon_detect.images.kinds import format_of
from recon_detect.images.picture import image_of_dict, open_picture
from recon_detect.images.reading import read_file
from recon_detect.settings import DEFAULTS, Settings

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("recon_detect")

_MAKE, _MODEL, _DESCRIPTION, _SOFTWARE, _DATE, _DATE_TAKEN, _COMMENT = (
    0x010F, 0x0110, 0x010E, 0x0131, 0x0132, 0x9003, 0x9286,
)  # fmt: skip
_TAGS = frozenset((_MAKE, _MODEL, _DESCRIPTION, _SOFTWARE, _DATE, _DATE_TAKEN, _COMMENT))
# Data sets of IPTC IIM, record 2: originating program, and credit.
_PROGRAM, _CREDIT = 65, 110
# Cosine with JPEG that no picture exceeds that was never one, of 298 (docs/guide/provenance.md).
_WAS_JPEG = 0.15
_SUBSAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}


def read_claims(
    image: str | Path | bytes | Member,
    *,
    pixels: np.ndarray[Any, np.dtype[np.uint8]] | None = None,
    settings: Settings = DEFAULTS,
) -> Claims:
    """Reads what a file says of itself. Metadata that is broken or very large is left out, with a remark.

    Args:
        image: Path or encoded bytes: pixels alone say nothing.
        pixels: Its pixels (H, W, 3), where the caller has decoded them: they show whether it was stored as JPEG before.
        settings: Limits of reading.

    Raises:
        InputError: The file cannot be read. One that cannot be decoded has claims, but no earlier JPEG.
        UsageError: Neither a path nor bytes.
    """
    data = _bytes_of(image, settings)
    metadata = metadata_of(data)
    tags = _exif(metadata)
    properties = _xmp(metadata)
    texts = metadata.texts | _comments(tags)
    names = (properties.get("creator_tool"), properties.get("ai_system"), properties.get("credit"), *_iptc(metadata))
    credit = tuple(dict.fromkeys(printable(name, LONGEST_NAME) for name in names if name and name.strip()))
    source_type = properties.get("source_type", "").rstrip("/").rpartition("/")[2]
    return Claims(
        c2pa=read_manifest(data, metadata.manifest) if metadata.manifest else None,
        source_type=printable(source_type, LONGEST_NAME) or None,
        generation=read_texts(texts),
        camera=_camera(tags),
        credit=credit,
        jpeg=_jpeg_encoding(data),
        past=_jpeg_past(data, pixels, settings),
        remarks=tuple(metadata.remarks),
    )


def claims_of(
    image: Any, *, pixels: np.ndarray[Any, np.dtype[np.uint8]] | None = None, settings: Settings = DEFAULTS
) -> Claims | None:
    """The claims of any `ImageLike`, by `read_claims`; None of pixels, and of a file that cannot be read."""
    try:
        file = image_of_dict(image) if isinstance(image, Mapping) else image
        return read_claims(file, pixels=pixels, settings=settings)
    except (InputError, UsageError):
        return None
    except Exception:  # metadata is hostile input: whatever a reader of it missed, no image loses its score
        log.warning("what a file says of itself could not be read", exc_info=log.isEnabledFor(logging.DEBUG))
        return None


def _bytes_of(image: Any, settings: Settings) -> bytes:
    if isinstance(image, str | Path):
        return read_file(Path(image), settings)
    if isinstance(image, Member):
        return image.read(settings)
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    raise UsageError(f"claims are of files: expected a path or encoded bytes; got {type(image).__name__}")


def _exif(metadata: Metadata) -> dict[int, str]:
    """Text of the tags that are looked at."""
    try:
        raw = read_tags(metadata.exif, _TAGS) if metadata.exif else {}
    except ValueError:
        metadata.remark("EXIF, which is broken")
        return {}
    return {tag: _comment(value) if tag == _COMMENT else _text(value) for tag, value in raw.items()}


def _text(value: bytes) -> str:
    return value.split(b"\0")[0].decode(errors="replace").strip()


def _comment(value: bytes) -> str:
    """A user comment: its code in 8 bytes, and the text (EXIF 2.32, tag 37510)."""
    code, text = value[:8], value[8:]
    if code == b"UNICODE\0":  # in either order, which nothing says: of Latin text every second byte is zero
        order = "utf-16-be" if text[:200:2].count(0) >= text[1:200:2].count(0) else "utf-16-le"
        return text.decode(order, "replace").strip("\ufeff\0 ")
    is_utf8 = code in (b"ASCII\0\0\0", bytes(8))
    return (text if is_utf8 else value).decode(errors="replace").strip("\0 ")


def _comments(tags: dict[int, str]) -> dict[str, str]:
    """Texts in EXIF; ComfyUI writes its entries as ``prompt:...`` and ``workflow:...`` into WebP."""
    named = {"UserComment": tags.get(_COMMENT, ""), "ImageDescription": tags.get(_DESCRIPTION, "")}
    for tag in (_MAKE, _MODEL, _DESCRIPTION, _COMMENT):
        keyword, colon, text = tags.get(tag, "").partition(":")
        if colon and keyword.lower() in ("prompt", "workflow"):
            named[keyword.lower()] = text
    return {name: text for name, text in named.items() if text}


def _xmp(metadata: Metadata) -> dict[str, str]:
    try:
        return read_xmp(metadata.xmp) if metadata.xmp else {}
    except ValueError:
        metadata.remark("XMP, which is broken")
        return {}


def _iptc(metadata: Metadata) -> Iterator[str]:
    """Program and credit of IPTC IIM 4.2: data sets of a marker, record, number, and length."""
    data, at = metadata.iptc, 0
    while data[at : at + 1] == b"\x1c" and at + 5 <= len(data):
        record, number, length = data[at + 1], data[at + 2], int.from_bytes(data[at + 3 : at + 5], "big")
        if record == 2 and number in (_PROGRAM, _CREDIT):
            yield data[at + 5 : at + 5 + length].decode(errors="replace")
        at += 5 + length


def _camera(tags: dict[int, str]) -> Camera | None:
    make, model, software, date = (
        printable(text, LONGEST_NAME) or None
        for text in (
            *(tags.get(tag, "") for tag in (_MAKE, _MODEL, _SOFTWARE)),
            tags.get(_DATE_TAKEN) or tags.get(_DATE, ""),
        )
    )
    if any(name and name.lower().startswith(("prompt:", "workflow:")) for name in (make, model)):
        make = model = None
    return Camera(make, model, software, date) if make or model or software or date else None


def _jpeg_encoding(data: bytes) -> JpegEncoding | None:
    """The encoding by the head of a JPEG, without its metadata."""
    alone = picture_alone(data) if format_of(data) == "JPEG" else None
    if alone is None:
        return None
    with collected():
        try:
            with Image.open(io.BytesIO(alone), formats=("JPEG",)) as image:
                tables = getattr(image, "quantization", None)
                subsampling = _SUBSAMPLING.get(JpegImagePlugin.get_sampling(image), "other")
                return JpegEncoding(
                    estimate_quality(tables),
                    is_libjpeg(tables),
                    subsampling if len(image.getbands()) > 1 else None,
                    bool(image.info.get("progressive")),
                )
        except Exception:  # decoders raise nearly anything on hostile data
            return None


def _jpeg_past(data: bytes, pixels: np.ndarray[Any, np.dtype[np.uint8]] | None, settings: Settings) -> JpegPast | None:
    """An earlier JPEG, as the grid of 8 px in the pixels shows; None of a JPEG file, whose own grid hides others."""
    if format_of(data) == "JPEG":
        return None
    from recon_detect.methods.grid.jpeg import jpeg_match

    if pixels is None:
        try:
            pixels = open_picture(data, settings).bytes()
        except InputError:
            return None
    match = jpeg_match(pixels)
    return JpegPast(round(match[0], 3), match[1]) if match and match[0] >= _WAS_JPEG else None
