"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

_AS_IN_SCORE = "As in 'score'."

Methods: TypeAlias = Annotated[list[str] | None, typer.Option("--method", "-m", help=_AS_IN_SCORE)]
Models: TypeAlias = Annotated[list[str] | None, typer.Option("--models", help=_AS_IN_SCORE)]
Distance: TypeAlias = Annotated[str | None, typer.Option(help=_AS_IN_SCORE)]
Device: TypeAlias = Annotated[str | None, typer.Option(help=_AS_IN_SCORE)]
Dtype: TypeAlias = Annotated[str, typer.Option(help=_AS_IN_SCORE)]
BatchSize: TypeAlias = Annotated[int | None, typer.Option(min=1, help=_AS_IN_SCORE)]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no remarks.")]


def split(names: list[str] | None) -> list[str] | None:
    """The values of an option that may be repeated, separated by commas, or both."""
    return [part for name in names for part in name.split(",") if part] if names else None
