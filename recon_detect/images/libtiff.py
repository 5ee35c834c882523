"""Error lines of libtiff, which the library writes to stderr itself, handed to Python instead.

Pillow silences its warnings, not its errors. The handler is called in the thread that decodes.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Callable
from pathlib import Path

_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_installed: list[object] = []  # for as long as the library may call it


def hand_over(report: Callable[[str], bool]) -> None:
    """Gives each line to `report`, and to stderr where that returns False. Linux alone: elsewhere nothing changes.

    A `va_list` is passed as a pointer on x86-64 and AArch64, so that the C library can format the line.
    """
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return
    try:
        maps = Path("/proc/self/maps").read_text()
        path = next(line[line.index("/") :] for line in maps.splitlines() if "/libtiff" in line)
        set_handler = ctypes.CDLL(path).TIFFSetErrorHandler
        set_extended = ctypes.CDLL(path).TIFFSetErrorHandlerExt
        format_line = ctypes.CDLL(None).vsnprintf
    except (OSError, StopIteration, AttributeError):
        return
    format_line.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p]

    def handle(module: bytes | None, form: bytes, values: int) -> None:
        buffer = ctypes.create_string_buffer(512)
        format_line(buffer, len(buffer), form, values)
        line = b": ".join(filter(None, (module, buffer.value))).decode("latin-1")
        if not report(line):
            print(line, file=sys.stderr)

    handler = _HANDLER(handle)
    _installed.append(handler)
    for setter in (set_handler, set_extended):
        setter.restype = ctypes.c_void_p
    set_handler.argtypes, set_extended.argtypes = [_HANDLER], [ctypes.c_void_p]
    set_handler(handler)
    set_extended(None)
