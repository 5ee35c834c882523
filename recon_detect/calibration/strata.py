"""Kinds of photographs, each with a threshold of its own (Mondrian; Vovk et al., 2005), thin ones pooled.

What divides photographs is known without their scores, so that the bound on false positives holds in every kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from recon_detect.errors import UsageError
from recon_detect.images import Provenance
from recon_detect.results import Row

# The stratum of all images.
ALL = "all"
# Stratum of an image whose kind no photograph of the calibration had; its threshold is that of all.
UNLIKE = "all, none like it"

Cell = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Facet:
    """One way to divide photographs.

    Attributes:
        levels: Names, in an order in which neighbours are alike.
        level_of: Position of an image in them, by its row.
    """

    levels: tuple[str, ...]
    level_of: Callable[[Row], int]


def _compression(row: Row) -> int:
    file = _provenance(row)
    if file.jpeg_quality is None:
        return 4 if file.format in ("WEBP", "AVIF") else 0
    return 1 if file.jpeg_quality >= 90 else 2 if file.jpeg_quality >= 70 else 3


def _size(row: Row) -> int:
    file = _provenance(row)
    pixels = file.width * file.height
    return 0 if pixels < 300_000 else 1 if pixels < 1_500_000 else 2


def _texture(row: Row) -> int:
    share = row.texture or 0.0
    return 0 if share < 0.4 else 1 if share < 0.8 else 2


def _provenance(row: Row) -> Provenance:
    if row.provenance is None:
        raise UsageError(f"{row.path}: its kind is unknown, because it has no provenance; calibrate with strata=()")
    return row.provenance


FACETS: dict[str, Facet] = {
    "compression": Facet(
        ("lossless", "JPEG 90 and above", "JPEG 70 to 89", "JPEG below 70", "other lossy"), _compression
    ),
    "size": Facet(("below 0.3 Mpx", "0.3 to 1.5 Mpx", "above 1.5 Mpx"), _size),
    "texture": Facet(("smooth", "half textured", "textured"), _texture),
}


def cell_of(row: Row, facets: Sequence[str]) -> str:
    """Names the finest kind of an image, by the levels of all facets."""
    return _named([FACETS[name].level_of(row) for name in facets], facets)


def strata_of(rows: Iterable[Row], facets: Sequence[str], enough: int) -> tuple[dict[str, str], list[str]]:
    """Finds the stratum of each kind that is among the rows (`cell_of`), and of each row.

    Divided by one facet after the other. A level with fewer than `enough` images is pooled with the thinner of its
    neighbours until none is left, so that each image belongs to one stratum and each stratum has enough, if all have.
    """
    cells = [tuple(FACETS[name].level_of(row) for name in facets) for row in rows]
    names = {cell: ", ".join(name) or ALL for cell, name in _pooled(Counter(cells), facets, enough).items()}
    return {_named(cell, facets): name for cell, name in names.items()}, [names[cell] for cell in cells]


def _pooled(cells: Counter[Cell], facets: Sequence[str], enough: int) -> dict[Cell, list[str]]:
    if not facets:
        return {cell: [] for cell in cells}
    depth = len(next(iter(cells))) - len(facets)
    groups = [[level] for level in sorted({cell[depth] for cell in cells})]

    def count(group: list[int]) -> int:
        return sum(n for cell, n in cells.items() if cell[depth] in group)

    while len(groups) > 1 and count(thin := min(groups, key=count)) < enough:
        at = groups.index(thin)
        beside = [number for number in (at - 1, at + 1) if 0 <= number < len(groups)]
        first, last = sorted((at, min(beside, key=lambda number: count(groups[number]))))
        groups[first : last + 1] = [groups[first] + groups[last]]
    levels = FACETS[facets[0]].levels
    names: dict[Cell, list[str]] = {}
    for group in groups:
        ends = dict.fromkeys(levels[level] for level in (group[0], group[-1]))
        name = [" to ".join(ends)] if len(groups) > 1 else []
        members = Counter({cell: n for cell, n in cells.items() if cell[depth] in group})
        names |= {cell: name + rest for cell, rest in _pooled(members, facets[1:], enough).items()}
    return names


def _named(cell: Sequence[int], facets: Sequence[str]) -> str:
    return " | ".join(FACETS[name].levels[level] for name, level in zip(facets, cell, strict=True))
