"""The parts of a file that hold its first picture, without the metadata and later frames that may be broken."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from itertools import islice

_PNG = b"\x89PNG\r\n\x1a\n"
# What decides pixels (PNG, third edition, section 5.6), and the orientation.
_PNG_PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf")
_PNG_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SOS, _EOI, _APP0, _APP14, _APP15, _COMMENT = 0xDA, 0xD9, 0xE0, 0xEE, 0xEF, 0xFE
# JFIF and Adobe say how colours are stored. Fewer bytes are not theirs, by libjpeg.
_COLOUR_SEGMENTS = {_APP0: 18, _APP14: 16}
_ANIMATION, _ALPHA = 0x02, 0x10  # flags of VP8X
_WEBP_STILL = (b"VP8X", b"ALPH", b"VP8 ", b"VP8L")


def picture_alone(data: bytes) -> bytes | None:
    """The same picture in a file of its own, or None where it cannot be taken out of the format.

    Metadata is left out but for the names of text entries, which audits look for; of an animation the first frame
    stays.
    """
    try:
        if data.startswith(_PNG):
            return _png(data)
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError):
        return None
    return None


def scans(data: bytes, most: int) -> int:
    """Counts the scans of the first picture of a JPEG, up to `most`."""
    return sum(1 for _ in islice((start for marker, start, _ in segments(data) if marker == _SOS), most))


def _png(data: bytes) -> bytes:
    parts = [_PNG]
    at = len(_PNG)
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        name, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data) and name != b"IDAT":
            break
        if name in _PNG_PICTURE and (name != b"eXIf" or _sum_fits(data, at, end)):
            parts.append(data[at:end])
        elif name in _PNG_TEXT and (keyword := data[at + 8 : at + 8 + min(length, 80)].partition(b"\0")[0]):
            parts.append(_chunk(b"tEXt", keyword + b"\0"))
        at = end
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _sum_fits(data: bytes, start: int, end: int) -> bool:
    return data[end - 4 : end] == struct.pack(">I", zlib.crc32(data[start + 4 : end - 4]))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment of the first picture in a JPEG; that of a scan includes its data."""
    at = 2
    while match := _NEXT_MARKER.search(data, at):
        start, marker = match.start(), data[match.start() + 1]
        if marker in (0xD8, 0x01):
            at = start + 2
            continue
        if marker == _EOI or start + 4 > len(data):
            yield marker, start, start + 2
            return
        end = start + 2 + struct.unpack_from(">H", data, start + 2)[0]
        if marker == _SOS:
            following = _NEXT_MARKER.search(data, end)
            end = following.start() if following else len(data)
        yield marker, start, end
        at = end


def _jpeg(data: bytes) -> bytes:
    parts = [
        data[start:end]
        for marker, start, end in segments(data)
        if not (_APP0 <= marker <= _APP15 or marker == _COMMENT)
        or (marker in _COLOUR_SEGMENTS and end - start >= _COLOUR_SEGMENTS[marker])
    ]
    return data[:2] + b"".join(parts)


def _webp(data: bytes) -> bytes | None:
    """One still picture, or an animation of one frame."""
    chunks = []
    at = 12
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        chunks.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    names = [name for name, _ in chunks]
    if b"ANMF" in names:
        first = names.index(b"ANMF")
        still = [chunk for chunk in chunks[:first] if chunk[0] in (b"VP8X", b"ANIM")] + [chunks[first]]
    else:
        still = [chunk for chunk in chunks if chunk[0] in _WEBP_STILL]
    if not still:
        return None
    if still[0][0] == b"VP8X":
        flags = still[0][1][0] & (_ANIMATION | _ALPHA)
        still[0] = (b"VP8X", bytes([flags]) + still[0][1][1:])
    body = b"".join(name + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for name, part in still)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
