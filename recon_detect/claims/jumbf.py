"""Boxes of JUMBF (ISO 19566-5) and values of CBOR (RFC 8949): as much of both as C2PA manifests need."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_DEEPEST, _MOST_BOXES, _MOST_ITEMS = 16, 10_000, 10_000
_LABELLED, _LONGEST_DESCRIPTION = 0x02, 1000
_BREAK = 0xFF


@dataclass(slots=True)
class Superbox:
    """A box with a description: its label, its type, and the boxes in it, by kind."""

    label: str
    type: bytes
    boxes: list[Superbox] = field(default_factory=list)
    contents: dict[bytes, bytes] = field(default_factory=dict)


def read_boxes(data: bytes) -> list[Superbox]:
    """The superboxes at the top of some bytes.

    Raises:
        ValueError: Broken, or more or deeper than manifests are.
    """
    left = [_MOST_BOXES]
    return _superboxes(_counted(memoryview(data), left), 0, left)


def boxes_of(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and content of each box, by ISO 14496-12, which JUMBF shares with HEIF and AVIF.

    Raises:
        ValueError: A box that ends behind the data.
    """
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        end = at + length if length else len(data)
        if 0 < length < head or end > len(data):
            raise ValueError("a box ends behind its data")
        yield kind, data[at + head : end]
        at = end


def _counted(data: memoryview, left: list[int]) -> list[tuple[bytes, memoryview]]:
    """The boxes of some bytes, as long as any are left of those that a manifest may have."""
    boxes = []
    for box in boxes_of(data):
        left[0] -= 1
        if left[0] < 0:
            raise ValueError("too many boxes")
        boxes.append(box)
    return boxes


def _superboxes(boxes: list[tuple[bytes, memoryview]], depth: int, left: list[int]) -> list[Superbox]:
    if depth > _DEEPEST:
        raise ValueError("boxes are nested too deep")
    return [_superbox(content, depth, left) for kind, content in boxes if kind == b"jumb"]


def _superbox(data: memoryview, depth: int, left: list[int]) -> Superbox:
    parts = _counted(data, left)
    if not parts or parts[0][0] != b"jumd" or len(parts[0][1]) < 17:
        raise ValueError("a superbox without a description")
    description = bytes(parts[0][1][:_LONGEST_DESCRIPTION])
    label = description[17:].split(b"\0")[0] if description[16] & _LABELLED else b""
    contents = {kind: bytes(content) for kind, content in reversed(parts[1:]) if kind != b"jumb"}
    return Superbox(label.decode(errors="replace"), description[:4], _superboxes(parts, depth + 1, left), contents)


def read_cbor(data: bytes) -> Any:
    """The value that some bytes of CBOR begin with; tags are left out, and integers and texts are keys of maps.

    Raises:
        ValueError: Broken, nested too deep, or of very many values.
    """
    try:
        return _Cbor(data).value(0)
    except (IndexError, struct.error, TypeError) as error:
        raise ValueError(f"broken CBOR: {error}") from error


class _Cbor:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._left = _MOST_ITEMS

    def value(self, depth: int) -> Any:
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            raise ValueError("CBOR is nested too deep, or has too many values")
        first = self._take(1)[0]
        major, extra = first >> 5, first & 31
        if major == 7:
            return self._simple(extra)
        if extra == 31:
            return self._indefinite(major, depth)
        number = self._number(extra)
        if major <= 1:
            return number if major == 0 else -1 - number
        if major <= 3:
            part = self._take(number)
            return part if major == 2 else part.decode(errors="replace")
        if major == 4:
            return [self.value(depth + 1) for _ in range(self._bounded(number))]
        if major == 5:
            return {self.value(depth + 1): self.value(depth + 1) for _ in range(self._bounded(number))}
        return self.value(depth + 1)

    def _take(self, length: int) -> bytes:
        part = self._data[self._at : self._at + length]
        if len(part) < length:
            raise ValueError("CBOR ends early")
        self._at += length
        return part

    def _number(self, extra: int) -> int:
        if extra < 24:
            return extra
        if extra > 27:
            raise ValueError("broken CBOR")
        return int.from_bytes(self._take(1 << (extra - 24)), "big")

    def _bounded(self, number: int) -> int:
        """A number of values, each of which needs a byte."""
        if number > len(self._data) - self._at:
            raise ValueError("CBOR ends early")
        return number

    def _simple(self, extra: int) -> Any:
        if extra in (25, 26, 27):
            return struct.unpack({25: ">e", 26: ">f", 27: ">d"}[extra], self._take(1 << (extra - 24)))[0]
        if extra == 24:
            self._take(1)
        if extra > 24:
            raise ValueError("broken CBOR")
        return {20: False, 21: True}.get(extra)

    def _indefinite(self, major: int, depth: int) -> Any:
        values = []
        while self._data[self._at] != _BREAK:
            values.append(self.value(depth + 1))
        self._at += 1
        if major == 5:
            return dict(zip(values[::2], values[1::2], strict=True))
        if major == 4:
            return values
        return b"".join(values) if major == 2 else "".join(values)
