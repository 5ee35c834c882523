"""Bytes of files that people, lists and data sets name: regular files only, and no more of them than is allowed."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import IO, Any

from recon_detect import names
from recon_detect.errors import ImageTooLarge, UnreadableImage, UsageError
from recon_detect.images.heard import printable
from recon_detect.settings import DEFAULTS, Settings

# A path that begins so, after Path has removed one of two slashes.
_URL = re.compile(r"(https?|ftp|s3|gs|file|hf):/", re.IGNORECASE)
_SHOWN = 80
_OTHER_FILES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_file(path: Path, settings: Settings = DEFAULTS) -> bytes:
    """The bytes of an image file.

    Raises:
        UnreadableImage: There is no such file, it cannot be read, or it is a pipe, a device, a socket or a folder.
        ImageTooLarge: More bytes than the settings allow.
    """
    name = shown(path)
    if (text := os.fspath(path)) and (what := _no_path(text)):
        raise UnreadableImage(f"{name}: {what}")
    try:
        # Without O_NONBLOCK a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableImage(f"{name}: {_other(status.st_mode)}, not a file")
            if status.st_size > settings.max_bytes:
                raise _too_large(name, f"{status.st_size:,}", settings)
            data = file.read(settings.max_bytes + 1)
    except (OSError, ValueError) as error:
        try:
            other = _other(path.stat().st_mode)
        except (OSError, ValueError):
            other = ""
        reason = f"{other}, not a file" if other else getattr(error, "strerror", None) or error
        raise UnreadableImage(f"{name}: {reason}") from error
    if len(data) > settings.max_bytes:  # it grew, or says nothing of its size
        raise _too_large(name, f"more than {settings.max_bytes:,}", settings)
    return data


def read_stream(file: IO[bytes], settings: Settings = DEFAULTS) -> bytes:
    """The bytes of an open file or `io.BytesIO`, from its start where it can be rewound, as Pillow reads them.

    Raises:
        UnreadableImage: It is closed or cannot be read.
        ImageTooLarge: More bytes than the settings allow.
        UsageError: It was opened as text.
    """
    try:
        if file.seekable():
            file.seek(0)
        data: Any = file.read(settings.max_bytes + 1)
    except (OSError, ValueError, AttributeError) as error:
        raise UnreadableImage(f"an open file that cannot be read: {printable(str(error))}") from error
    if not isinstance(data, bytes):
        raise UsageError(f"expected a file opened in binary mode ('rb'); reading it gave {type(data).__name__}")
    if len(data) > settings.max_bytes:
        raise _too_large("an open file", f"more than {settings.max_bytes:,}", settings)
    return data


def shown(path: str | Path) -> str:
    """A path as errors name it: cut where it is very long, with control characters escaped."""
    return printable(names.shown(os.fspath(path)[: 16 * _SHOWN]), 4 * _SHOWN)


def _no_path(text: str) -> str | None:
    """Describes a text that cannot be a path; None where it may be one."""
    if "\0" in text:
        return "a name with a NUL byte, which no file has"
    if text[:5].lower() == "data:" and not os.path.lexists(text):
        return "a data: URL: decode it and pass the bytes"
    if (match := _URL.match(text)) and not os.path.lexists(text):
        return f"a {match[1].lower()} URL, which is not fetched: download the file first"
    return None


def _other(mode: int) -> str:
    return next((name for test, name in _OTHER_FILES if test(mode)), "")


def _too_large(name: str, size: str, settings: Settings) -> ImageTooLarge:
    return ImageTooLarge(f"{name}: {size} bytes, limit {settings.max_bytes:,}; raise max_bytes to read it")
