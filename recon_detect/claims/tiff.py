"""Tags of EXIF and TIFF: those that are asked for, within the bytes that are there.

Pillow reads all tags, and copies the value of each: of a file that is made for it, gigabytes.
"""

from __future__ import annotations

import struct
from collections.abc import Collection

_EXIF_DIRECTORY = 0x8769
# Bytes of each type of value (TIFF 6.0, section 2).
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_LONGEST = 1 << 25


def read_tags(data: bytes, wanted: Collection[int]) -> dict[int, bytes]:
    """Values of tags of the first directory and of that of EXIF, as they are stored; broken ones are left out.

    Raises:
        ValueError: Not a TIFF structure.
    """
    order = {b"II\x2a\0": "<", b"MM\0\x2a": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        raise ValueError("expected a TIFF structure")
    tags: dict[int, bytes] = {}
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    for _ in range(2):
        following = _read_directory(data, order, start, wanted, tags)
        if following is None:
            break
        start = following
    return tags


def _read_directory(data: bytes, order: str, start: int, wanted: Collection[int], tags: dict[int, bytes]) -> int | None:
    """Adds the tags of one directory; returns the place of that of EXIF, if it names it."""
    exif = None
    count = int.from_bytes(data[start : start + 2], "little" if order == "<" else "big")
    for at in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", data, at)
        if tag == _EXIF_DIRECTORY:
            (exif,) = struct.unpack_from(f"{order}I", data, at + 8)
        elif tag in wanted and tag not in tags:
            length = _SIZES.get(kind, 0) * number
            (place,) = (at + 8,) if length <= 4 else struct.unpack_from(f"{order}I", data, at + 8)
            if 0 < length <= min(_LONGEST, len(data) - place):
                tags[tag] = data[place : place + length]
    return exif
