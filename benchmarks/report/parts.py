"""Parts of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure

from benchmarks.report.layouts import Table


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts or shares by row and column, shaded from 0 to 1."""

    title: str
    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[str, float]]]]
    note: str

    def table(self) -> Table:
        """Without shades."""
        rows = [[name, *(text for text, _ in cells)] for name, cells in self.rows]
        return Table([self.corner, *self.columns], rows, self.note, self.title)


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure, with the name of its file and what it shows, for those who do not see it."""

    title: str
    name: str
    drawing: Figure
    alt: str
    note: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A thumbnail: a data URI, its title and its caption."""

    uri: str
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """Thumbnails in a row; wide ones below each other."""

    title: str
    pictures: Sequence[Picture]
    note: str
    wide: bool = False


Part = Table | Matrix | Chart | Gallery


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter; parts that few readers need are folded."""

    title: str
    intro: str
    parts: list[Part] = field(default_factory=list)
    folded: list[Part] = field(default_factory=list)
