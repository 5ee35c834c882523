"""List files and manifests: paths that a file names, and what it says of them."""

from __future__ import annotations

import codecs
import csv
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from recon_detect.errors import UsageError
from recon_detect.images.folders import LABELS, NUMBERS
from recon_detect.names import path_of

PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path")
LABEL_COLUMNS = ("label", "class", "target")
# Bytes that are read of the description of an output.
_LONGEST_DESCRIPTION = 1_000_000
_MARKS = (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")


def list_file(path: Path) -> Iterator[str]:
    """The lines of a list file, but empty ones and comments (``#``).

    Raises:
        UsageError: It cannot be read, or is no text.
    """
    with _text(path) as lines:
        for line in lines:
            if (name := line.strip()) and not name.startswith("#"):
                yield name


def manifest(path: Path, unknown: Counter[str]) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    """Path, label and other columns of each row of a ``.csv`` or ``.jsonl`` manifest.

    Args:
        path: The manifest.
        unknown: Counts labels that are not known; their rows have none.

    Raises:
        UsageError: It cannot be read, or a row has no path column.
    """
    numbers = NUMBERS if set(NUMBERS) <= {_value(row, LABEL_COLUMNS) for row in _rows(path)} else {}
    for row in _rows(path):
        columns = _columns(row)
        path_column = next((columns[c] for c in PATH_COLUMNS if c in columns), None)
        if path_column is None:
            got = ", ".join(columns) or "none"
            raise UsageError(f"{path}: expected a column {' or '.join(PATH_COLUMNS)}; got {got}")
        if _value(row, PATH_COLUMNS):
            name = _value(row, LABEL_COLUMNS)
            label = LABELS.get(name) or numbers.get(name)
            if name and label is None:
                unknown[name] += 1
            label_column = next((columns[c] for c in LABEL_COLUMNS if c in columns), None)
            about = {key: value for key, value in row.items() if key not in (path_column, label_column)}
            yield str(row[path_column]).strip(), label, about


def folder_of(path: Path) -> Path:
    """The folder that relative paths in a manifest belong to: its own; of an output the one it was computed in."""
    description = path.with_name(path.name + ".run.json")
    try:
        with description.open("rb") as file:
            folder = json.loads(file.read(_LONGEST_DESCRIPTION))["folder"]
        return path.parent / path_of(folder)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return path.parent


def named(folder: Path, name: str) -> Path:
    """The file that a list in this folder names; `names.path_of` of it, where that is there.

    Names that are not UTF-8 are tried as bytes, then as Windows-1252.
    """
    path = folder / name
    try:
        if (read_back := path_of(name)) != name and not os.path.lexists(path):
            return folder / read_back
        raw = os.fsencode(name)
        if not os.path.lexists(path) and raw.decode("utf-8", "replace") != name:
            other = folder / raw.decode("cp1252")
            return other if os.path.lexists(other) else path
    except (UnicodeError, ValueError):
        pass
    return path


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    return _json_lines(path) if path.suffix.lower() == ".jsonl" else _table(path)


def _columns(row: dict[str, Any]) -> dict[str, str]:
    return {name.strip().lower(): name for name in row if isinstance(name, str)}


def _value(row: dict[str, Any], names: tuple[str, ...]) -> str:
    columns = _columns(row)
    column = next((columns[name] for name in names if name in columns), None)
    value = "" if column is None or row[column] is None else str(row[column]).strip()
    return value if names is PATH_COLUMNS else value.lower()


def _text(path: Path) -> IO[str]:
    """UTF-8, or what the byte order mark says; bytes that are neither are kept as the system keeps them in names."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
        encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
        if encoding == "utf-8" and b"\0" in start:
            raise UsageError(f"{path}: expected text, one path a line or a table; got binary data")
        return path.open(encoding=encoding, errors="surrogateescape" if encoding != "utf-16" else "replace", newline="")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error


def _table(path: Path) -> Iterator[dict[str, Any]]:
    with _text(path) as lines:
        try:
            yield from csv.DictReader(lines, restkey="")
        except csv.Error as error:
            raise UsageError(f"{path}: expected a table with commas ({error})") from error


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with _text(path) as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line) if line.strip() else None
            except (ValueError, RecursionError) as error:
                raise UsageError(f"{path}, line {number}: expected a JSON object ({error})") from error
            if isinstance(row, dict):
                yield row
            elif row is not None:
                raise UsageError(f"{path}, line {number}: expected a JSON object; got {type(row).__name__}")
