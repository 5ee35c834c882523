"""Questions to Pillow's libtiff that Pillow does not ask: error lines, and whether fax codes fill the picture.

libtiff writes errors to stderr by itself. And it calls a strip of fax codes read when one line of it is; Pillow then
shows as the rest what the memory held before, other pixels each time. Linux alone: elsewhere the library is not found.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_handlers: list[object] = []  # for as long as the library may call them
# Compression of TIFF: CCITT modified Huffman, group 3, group 4, and modified Huffman aligned to words.
_FAX = frozenset((2, 3, 4, 32771))
_SIGNATURES = {
    "TIFFFdOpen": (ctypes.c_void_p, [ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p]),
    "TIFFClose": (None, [ctypes.c_void_p]),
    "TIFFIsTiled": (ctypes.c_int, [ctypes.c_void_p]),
    "TIFFNumberOfStrips": (ctypes.c_uint32, [ctypes.c_void_p]),
    "TIFFNumberOfTiles": (ctypes.c_uint32, [ctypes.c_void_p]),
    "TIFFStripSize": (ctypes.c_ssize_t, [ctypes.c_void_p]),
    "TIFFTileSize": (ctypes.c_ssize_t, [ctypes.c_void_p]),
    "TIFFReadEncodedStrip": (ctypes.c_ssize_t, [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_ssize_t]),
    "TIFFReadEncodedTile": (ctypes.c_ssize_t, [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_ssize_t]),
    "TIFFSetErrorHandler": (ctypes.c_void_p, [_HANDLER]),
    "TIFFSetErrorHandlerExt": (ctypes.c_void_p, [ctypes.c_void_p]),
}


@cache
def _library() -> ctypes.CDLL | None:
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return None
    try:
        maps = Path("/proc/self/maps").read_text()
        library = ctypes.CDLL(next(line[line.index("/") :] for line in maps.splitlines() if "/libtiff" in line))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, StopIteration, AttributeError):
        return None
    return library


def hand_over_errors(report: Callable[[str], bool]) -> None:
    """Gives each error line to `report`, in the thread that decodes, and to stderr where that returns False."""
    library = _library()
    if library is None:
        return
    format_line = ctypes.CDLL(None).vsnprintf
    # A va_list is passed as a pointer on these machines.
    format_line.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p]

    def handle(module: bytes | None, form: bytes, values: int) -> None:
        buffer = ctypes.create_string_buffer(512)
        format_line(buffer, len(buffer), form, values)
        line = b": ".join(filter(None, (module, buffer.value))).decode("latin-1")
        if not report(line):
            print(line, file=sys.stderr)

    _handlers.append(_HANDLER(handle))
    library.TIFFSetErrorHandler(_handlers[-1])
    library.TIFFSetErrorHandlerExt(None)


def ends_early(image: Image.Image, data: bytes) -> bool:
    """True for a fax-compressed TIFF whose codes do not fill the picture: tried in buffers of 0 and of 1."""
    library = _library()
    if library is None or not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    if image.tag_v2.get(TiffImagePlugin.COMPRESSION) not in _FAX:
        return False
    descriptor = os.memfd_create("tiff")
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    file = library.TIFFFdOpen(descriptor, b"tiff", b"rm")  # not mapped into memory
    if not file:
        os.close(descriptor)
        return True
    try:
        kind = "Tile" if library.TIFFIsTiled(file) else "Strip"
        width = 0 if kind == "Tile" else image.width
        size, read = getattr(library, f"TIFF{kind}Size")(file), getattr(library, f"TIFFReadEncoded{kind}")
        buffers = [ctypes.create_string_buffer(fill * size, size) for fill in (b"\x00", b"\xff")]
        for number in range(getattr(library, f"TIFFNumberOf{kind}s")(file)):
            lengths = [read(file, number, buffer, size) for buffer in buffers]
            first, second = (buffer.raw[: lengths[0]] for buffer in buffers)
            if min(lengths) < 0 or _differ(first, second, width):
                return True
            for buffer, fill in zip(buffers, (0, 255), strict=True):
                ctypes.memset(buffer, fill, size)
        return False
    finally:
        library.TIFFClose(file)


def _differ(first: bytes, second: bytes, width: int) -> bool:
    """True where rows of bits differ, not counting those that fill the last byte of each row of a strip."""
    if width % 8 == 0:
        return first != second
    row = (width + 7) // 8
    bits = np.frombuffer(first, np.uint8) ^ np.frombuffer(second, np.uint8)
    bits = bits[: len(bits) // row * row].reshape(-1, row)
    return bool(bits[:, :-1].any() or (bits[:, -1] >> (8 - width % 8)).any())
