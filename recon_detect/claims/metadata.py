"""Metadata of a file, taken out of its container as bytes, within bounds; nothing is decoded."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from PIL import Image

from recon_detect.claims.jumbf import boxes_of
from recon_detect.claims.tiff import read_tags
from recon_detect.images.containers import segments
from recon_detect.images.decode import FORMATS
from recon_detect.images.heard import collected, printable
from recon_detect.images.kinds import format_of

# Bytes of one text entry, parts of a file that are looked at, and text entries among them.
LONGEST_TEXT, _MOST_PARTS, _MOST_TEXTS = 1 << 20, 100_000, 100
# Bytes of what is read, by its name in `Metadata`.
_LONGEST = {"exif": 1 << 24, "xmp": 1 << 20, "iptc": 1 << 20, "manifest": 1 << 25}
_SOS, _APP1, _APP11, _APP13, _COMMENT = 0xDA, 0xE1, 0xEB, 0xED, 0xFE
_EXIF, _XMP, _PHOTOSHOP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
# C2PA 2.1, appendix A: the box of a BMFF file, and the tag of a TIFF file.
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_TIFF_TAGS = {700: "xmp", 33723: "iptc", 0xCD41: "manifest"}
_MOST_REMARKS = 10
# ImageMagick stores EXIF in a PNG as hexadecimal digits behind a name and a length.
_RAW_EXIF = ("raw profile type exif", "raw profile type app1")


@dataclass(slots=True)
class Metadata:
    """Metadata of one file.

    Attributes:
        exif: A TIFF structure, without the marker of JPEG.
        xmp: An XMP packet.
        iptc: Data sets of IPTC IIM.
        texts: Text entries by keyword; the first of each.
        manifest: The JUMBF boxes of C2PA.
        remarks: What was left out.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    texts: dict[str, str] = field(default_factory=dict)
    manifest: bytes = b""
    remarks: list[str] = field(default_factory=list)

    def take(self, name: str, part: memoryview) -> None:
        """Keeps the first part of a name, unless it is larger than any that is not made to harm."""
        if len(part) > _LONGEST[name]:
            self.remark(f"{name} of {len(part):,} bytes")
        elif part and not getattr(self, name):
            setattr(self, name, bytes(part))

    def take_text(self, keyword: str, text: str) -> None:
        """Keeps the first text of a keyword, unless it is very long."""
        if len(text) > LONGEST_TEXT:
            self.remark(f"text {printable(keyword)!r} of more than {LONGEST_TEXT:,} characters")
        else:
            self.texts.setdefault(keyword, text)

    def remark(self, what: str) -> None:
        """Remarks that something was left out, once."""
        line = f"Left out of the metadata: {what}."
        if line not in self.remarks and len(self.remarks) < _MOST_REMARKS:
            self.remarks.append(line)


def metadata_of(data: bytes) -> Metadata:
    """Finds the metadata of an encoded picture. What is broken or too large is left out, with a remark."""
    metadata = Metadata()
    readers = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "AVIF": _bmff, "HEIF": _bmff, "TIFF": _tiff}
    read = readers.get(format_of(data) or "")
    try:
        if read:
            read(memoryview(data), metadata)
    except (struct.error, IndexError, ValueError, zlib.error):
        metadata.remark("a part that is broken, and what follows it")
    return metadata


def _starts(part: memoryview, prefix: bytes) -> bool:
    return part[: len(prefix)] == prefix


def _without(part: memoryview, prefix: bytes) -> memoryview:
    return part[len(prefix) :] if _starts(part, prefix) else part


def _jpeg(data: memoryview, metadata: Metadata) -> None:
    boxes: dict[int, list[tuple[int, bytes]]] = {}
    for marker, start, end in islice(segments(bytes(data)), _MOST_PARTS):
        if marker == _SOS:
            break
        body = data[start + 4 : end]
        if marker == _APP1 and _starts(body, _EXIF):
            metadata.take("exif", body[len(_EXIF) :])
        elif marker == _APP1 and _starts(body, _XMP):
            metadata.take("xmp", body[len(_XMP) :])
        elif marker == _APP11 and _starts(body, b"JP"):
            number, place = struct.unpack_from(">HI", body, 2)
            boxes.setdefault(number, []).append((place, bytes(body[8:])))
        elif marker == _APP13 and _starts(body, _PHOTOSHOP):
            metadata.take("iptc", _photoshop(body))
        elif marker == _COMMENT:
            metadata.take_text("comment", bytes(body).decode(errors="replace").rstrip("\0"))
    joined = (_joined(parts) for parts in boxes.values())
    metadata.take("manifest", memoryview(next((box for box in joined if b"jumdc2pa" in box[:64]), b"")))


def _joined(parts: list[tuple[int, bytes]]) -> bytes:
    """The box of JUMBF that segments of JPEG hold: each of the later ones repeats its head (ISO 19566-5, annex D)."""
    parts.sort(key=lambda part: part[0])
    head = 16 if parts[0][1][:4] == b"\0\0\0\1" else 8
    return parts[0][1] + b"".join(body[head:] for _, body in parts[1:])


def _photoshop(body: memoryview) -> memoryview:
    """The IPTC data of an image resource block of Photoshop."""
    at = len(_PHOTOSHOP)
    while _starts(body[at:], b"8BIM"):
        (resource,) = struct.unpack_from(">H", body, at + 4)
        at += 6 + (body[at + 6] + 2) // 2 * 2  # a name with its length, even together
        (length,) = struct.unpack_from(">I", body, at)
        if resource == 0x0404:
            return body[at + 4 : at + 4 + length]
        at += 4 + length + length % 2
    return body[:0]


def _png(data: memoryview, metadata: Metadata) -> None:
    entries = 0
    for name, content in islice(_chunks(data), _MOST_PARTS):
        if name == b"eXIf":
            metadata.take("exif", _without(content, _EXIF))
        elif name == b"caBX":
            metadata.take("manifest", content)
        elif name in (b"tEXt", b"zTXt", b"iTXt") and entries < _MOST_TEXTS:
            entries += 1
            keyword, text = _png_text(name, bytes(content[: 4 * LONGEST_TEXT + 1000]))
            if keyword == "XML:com.adobe.xmp":
                metadata.take("xmp", memoryview(text.encode()))
            elif keyword.lower() in _RAW_EXIF:
                digits = text.split(maxsplit=2)[2]
                metadata.take("exif", _without(memoryview(bytes.fromhex(digits)), _EXIF))
            else:
                metadata.take_text(keyword, text)


def _chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Name and content of each chunk of a PNG."""
    at = 8
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield bytes(data[at + 4 : at + 8]), data[at + 8 : at + 8 + length]
        at += 12 + length


def _png_text(name: bytes, content: bytes) -> tuple[str, str]:
    """Keyword and text of an entry, of which too much is not decompressed (PNG, third edition, section 11.3.3)."""
    keyword, _, rest = content.partition(b"\0")
    text, compressed = rest, name == b"zTXt"
    if name == b"iTXt":
        text, compressed = rest[2:].split(b"\0", 2)[2], rest[0] == 1
    if name == b"zTXt":
        text = rest[1:]
    if compressed:
        text = zlib.decompressobj().decompress(text, 4 * LONGEST_TEXT + 4)
    return keyword[:79].decode("latin-1"), _decoded(text)


def _decoded(text: bytes) -> str:
    """Text as UTF-8, which many programs write where Latin-1 is prescribed, or else as Latin-1."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _webp(data: memoryview, metadata: Metadata) -> None:
    names = {b"EXIF": "exif", b"XMP ": "xmp", b"C2PA": "manifest"}
    at = 12
    for _ in range(_MOST_PARTS):
        if at + 8 > len(data):
            return
        (length,) = struct.unpack_from("<I", data, at + 4)
        if name := names.get(bytes(data[at : at + 4])):
            metadata.take(name, _without(data[at + 8 : at + 8 + length], _EXIF))
        at += 8 + length + length % 2


def _bmff(data: memoryview, metadata: Metadata) -> None:
    """Boxes of the file for C2PA and XMP; EXIF and XMP that other boxes index are found by Pillow."""
    for kind, content in islice(boxes_of(data), _MOST_PARTS):
        if kind == b"uuid" and _starts(content, _XMP_UUID):
            metadata.take("xmp", content[16:])
        elif kind == b"uuid" and _starts(content, _C2PA_UUID + bytes(4) + b"manifest\0"):
            metadata.take("manifest", content[16 + 4 + 9 + 8 :])  # behind an offset
    with collected():
        try:
            with Image.open(io.BytesIO(data), formats=(*FORMATS, "HEIF")) as image:
                info = {name: image.info.get(name) for name in ("exif", "xmp")}
        except Exception:  # Pillow raises nearly anything on hostile data
            return
    for name, part in info.items():
        if isinstance(part, bytes):
            metadata.take(name, _without(memoryview(part), _EXIF))


def _tiff(data: memoryview, metadata: Metadata) -> None:
    metadata.exif = bytes(data)
    tags = read_tags(metadata.exif, _TIFF_TAGS)
    for tag, name in _TIFF_TAGS.items():
        metadata.take(name, memoryview(tags.get(tag, b"")))
