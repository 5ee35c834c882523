"""Schema of results files, and the check of values from outside against a type."""

from __future__ import annotations

import dataclasses
import re
import reprlib
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import UnionType
from typing import Any, NotRequired, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

from recon_detect.answers import Details
from recon_detect.images import Provenance
from recon_detect.methods import METHODS
from recon_detect.results import INCONCLUSIVE, LIKELY_GENERATED, LIKELY_REAL, RunInfo, Verdict
from recon_detect.settings import MODES


class Entry(TypedDict):
    """JSON values of a row, besides those of `Provenance` and `Verdict`, which lie among them."""

    path: str
    scores: dict[str, float | None]
    per_model: dict[str, dict[str, float | None]]
    details: dict[str, dict[str, Any]]
    label: str | None
    notes: list[str]
    error: str | None
    texture: NotRequired[float | None]
    claims: NotRequired[dict[str, Any] | None]


# Least and largest value of numbers that have them.
_RANGES = {
    **dict.fromkeys(("width", "height"), (1, 1 << 31)),
    "jpeg_quality": (1, 100),
    "exif_orientation": (1, 8),
    "file_bytes": (0, 1 << 62),
    **dict.fromkeys(("texture", "probability"), (0, 1)),
    "p_value": (sys.float_info.min, 1),
}
_SIZE = re.compile(r"[0-9]{1,9}x[0-9]{1,9}")
_SIMPLE: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("text", lambda value: isinstance(value, str)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda value: type(value) is int and abs(value) < 1 << 63),
    # Compared, not converted: a whole number may be too large for a float. No comparison holds for NaN.
    float: ("a finite number", lambda value: type(value) in (int, float) and abs(value) <= sys.float_info.max),
}  # fmt: skip


def check_entry(entry: Any) -> None:
    """Checks the JSON values of a row.

    Raises:
        ValueError: One has another type, or is out of its range; the message names it.
    """
    check(entry, Entry)
    if entry.get("width") is not None:
        check(entry, Provenance)
    if entry.get("verdict") is not None:
        check(entry, Verdict)
        _check_choice(entry, "verdict", (LIKELY_GENERATED, INCONCLUSIVE, LIKELY_REAL))
    for name, (least, largest) in _RANGES.items():
        if (value := entry.get(name)) is not None and not least <= value <= largest:
            raise _unfit(name, f"{least:g} to {largest:g}", value)
    for method in METHODS.keys() & entry["details"].keys():
        details, name = entry["details"][method], f"details.{method}"
        check(details, Details, name)
        for size in details.get("sizes", ()):
            if not _SIZE.fullmatch(size):
                raise _unfit(f"{name}.sizes", "WIDTHxHEIGHT", size)


def check_run(content: Any) -> None:
    """Checks the JSON values of the description of a run.

    Raises:
        ValueError: One has another type, or is none of those that there are; the message names it.
    """
    check(content, RunInfo)
    if not content["methods"]:
        raise ValueError("methods: expected one at least")
    if "mode" in content:
        _check_choice(content, "mode", MODES)


def check(value: Any, kind: Any, name: str = "") -> None:
    """Checks a JSON value against a type.

    Types are simple ones, Any, lists, dicts with text for keys, and dataclasses and typed dicts, besides whose fields
    there may be others; each of them or None.

    Raises:
        ValueError: It has another type, or a number is not finite; `name` is that of the value.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or (value is None and type(None) in arguments):
        return
    if origin in (Union, UnionType, NotRequired):
        check(value, arguments[0], name)
    elif origin in (list, tuple):
        fixed = origin is tuple and Ellipsis not in arguments
        if not isinstance(value, list | tuple) or (fixed and len(value) != len(arguments)):
            raise _unfit(name, f"a list{f' of {len(arguments)}' if fixed else ''}", value)
        for place, item in enumerate(value):
            check(item, arguments[0], f"{name}[{place}]")
    elif origin is dict or kind not in _SIMPLE:
        if not isinstance(value, Mapping):
            raise _unfit(name, "an object", value)
        fields = _fields(kind) if origin is None else dict.fromkeys(value, (arguments[1], True))
        for key, (of_key, required) in fields.items():
            if key in value:
                check(value[key], of_key, f"{name}.{key}" if name else key)
            elif required:
                raise ValueError(f"{name or 'values'}: expected {key!r} among them")
    elif not _SIMPLE[kind][1](value):
        raise _unfit(name, _SIMPLE[kind][0], value)


@cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    """Type of each field, and whether it is required."""
    hints = get_type_hints(kind, include_extras=True)
    if is_typeddict(kind):
        is_total = vars(kind)["__total__"]
        return {name: (hint, is_total and get_origin(hint) is not NotRequired) for name, hint in hints.items()}
    missing = dataclasses.MISSING
    return {
        field.name: (hints[field.name], field.default is missing and field.default_factory is missing)
        for field in dataclasses.fields(kind)
    }


def _check_choice(content: Mapping[str, Any], name: str, choices: Iterable[str]) -> None:
    if content[name] not in choices:
        raise _unfit(name, f"one of {', '.join(choices)}", content[name])


def _unfit(name: str, expected: str, value: Any) -> ValueError:
    return ValueError(f"{name or 'values'}: expected {expected}, got {reprlib.repr(value)}")
