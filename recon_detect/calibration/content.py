"""JSON values of a calibration file, checked as they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = Mapping[str, Json]


def number(value: Json) -> float:
    """Reads a number.

    Raises:
        ValueError: Another value.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {value!r}")
    return float(value)


def text(value: Json) -> str:
    """Reads a text.

    Raises:
        ValueError: Another value.
    """
    if not isinstance(value, str):
        raise ValueError(f"expected a text, got {value!r}")
    return value


def items(value: Json) -> Sequence[Json]:
    """Reads a list.

    Raises:
        ValueError: Another value.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"expected a list, got {value!r}")
    return value


def members(value: Json) -> JsonObject:
    """Reads an object.

    Raises:
        ValueError: Another value.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"expected an object, got {value!r}")
    return value


def numbers(value: Json) -> tuple[float, ...]:
    """Reads a list of numbers; see `number`."""
    return tuple(map(number, items(value)))


def texts(value: Json) -> tuple[str, ...]:
    """Reads a list of texts; see `text`."""
    return tuple(map(text, items(value)))


def matrix(value: Json) -> tuple[tuple[float, ...], ...]:
    """Reads a list of lists of numbers; see `number`."""
    return tuple(map(numbers, items(value)))
