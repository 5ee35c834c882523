"""Warnings and log lines of Pillow, collected for the image that they are about.

Pillow reports through `warnings` and `logging`, which belong to the process: `warnings.catch_warnings` in one thread
hides or releases what others say, and a warning is shown once for a line of code, not once for a file. So each module
of Pillow gets a stand-in for `warnings`, and its logger a filter. While a thread collects, they hand over what its
decoder says; otherwise they do what they always did.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from PIL import Image

from recon_detect.images.libtiff import hand_over_errors

_MOST = 3  # of one file: a broken directory has a warning for every tag
_LONGEST = 160

_messages: ContextVar[list[str] | None] = ContextVar("recon_detect_messages", default=None)


@contextmanager
def collected() -> Iterator[list[str]]:
    """Collects what Pillow reports in this thread while the block runs; the list fills as it goes."""
    _listen()
    messages: list[str] = []
    token = _messages.set(messages)
    try:
        yield messages
    finally:
        _messages.reset(token)


def printable(text: str, longest: int = _LONGEST) -> str:
    """One line without control characters, cut to a length: messages of decoders may quote the file."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * longest]).split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def _note(message: object) -> bool:
    """True while messages are collected."""
    messages = _messages.get()
    line = printable(str(message))
    if messages is not None and line not in messages and len(messages) < _MOST:
        messages.append(line)
    return messages is not None


class _Warnings:
    """The module `warnings` as a module of Pillow sees it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)

    def warn(self, message: Any, category: Any = None, stacklevel: int = 1, **options: Any) -> None:
        if _messages.get() is None:
            warnings.warn(message, category, stacklevel + 1, **options)
        elif category is not Image.DecompressionBombWarning:  # the settings have a limit of their own
            _note(message)


class _Filter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if _messages.get() is None:
            return True
        if record.levelno >= logging.WARNING:
            _note(record.getMessage())
        return False


@cache
def _listen() -> None:
    Image.init()
    stand_in, handed_over = _Warnings(), _Filter()
    for name, module in list(sys.modules.items()):
        if name.startswith("PIL.") and getattr(module, "warnings", None) is warnings:
            vars(module)["warnings"] = stand_in
        if name.startswith("PIL.") and isinstance(logger := getattr(module, "logger", None), logging.Logger):
            logger.addFilter(handed_over)
    hand_over_errors(_note)
