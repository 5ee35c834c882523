r"""Names of files as text: what an output holds, and what a person is shown.

A name that is not UTF-8 is in Python's strings as `os.fsdecode` has it: a byte that cannot be decoded is a lone
surrogate, which no file format and no terminal takes. `written` gives such a byte as ``\xNN``, and `path_of` reads it
back. A backslash that would read as the start of such an escape becomes ``\x5c``; all other names are written as they
are.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Sequence

# Bytes of the longest name that common file systems take.
LONGEST = 255

_UNWRITABLE = re.compile(r"[\ud800-\udfff]|\\(?=x[0-9a-f]{2}|ud[89a-f][0-9a-f]{2})")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})|\\u(d[89a-f][0-9a-f]{2})")


def written(name: str) -> str:
    r"""Escapes what no output can hold: a byte that is not UTF-8 becomes ``\xNN``; `path_of` is the inverse."""
    return _UNWRITABLE.sub(lambda match: _escape(match[0]), name)


def path_of(text: str) -> str:
    """Reads a path in an output as the system knows it: the inverse of `written`."""
    return _ESCAPED.sub(_unescape, text)


def shown(text: str) -> str:
    r"""Escapes what a terminal would obey or hide: control characters, marks of direction, lone surrogates.

    One line comes out; ESC is ``\x1b`` and U+202E is ``\u202e``.
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def shown_lines(text: str) -> str:
    """Escapes like `shown`, but for the ends of lines."""
    return "\n".join(map(shown, text.split("\n")))


def listed(names: Sequence[str], most: int = 4) -> str:
    """The first of several names for people: ``a, b, c, d and 2 more``; long ones as by `short`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(short(name, 24) for name in names[:most]) + more


def short(text: str, longest: int) -> str:
    """Text as `shown`, with its middle left out where it is longer."""
    line, half = shown(text), (longest - 3) // 2
    return line if len(line) <= longest else f"{line[:half]}...{line[-half:]}"


def counted(number: int, what: str) -> str:
    """A number of things for people: ``1 image``, ``2 images``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def short_stem(stem: str, key: str) -> str:
    """A stem of letters, digits, ``_``, ``-`` and ``.`` of at most 160 bytes, and eight digits of the hash of a key."""
    plain = re.sub(r"[^\w.-]", "_", stem)[:80].encode()[:160].decode(errors="ignore")
    return f"{plain}.{hashlib.sha256(written(key).encode()).hexdigest()[:8]}"


def is_too_long(name: str) -> bool:
    """True for a name of a file with more bytes than file systems take."""
    return len(os.fsencode(name)) > LONGEST


def _escape(character: str) -> str:
    code = ord(character)
    # os.fsdecode maps the byte NN to U+DCNN.
    return rf"\x{code & 0xFF:02x}" if code < 0x80 or 0xDC80 <= code <= 0xDCFF else rf"\u{code:04x}"


def _unescape(match: re.Match[str]) -> str:
    if match[2]:
        return chr(int(match[2], 16))
    byte = int(match[1], 16)
    return chr(byte if byte < 0x80 else 0xDC00 + byte)


def _visible(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    if "\ud800" <= character <= "\udfff":
        return _escape(character)
    return character.encode("unicode_escape").decode("ascii")
