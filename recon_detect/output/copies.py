"""Notes on copies: a row says which earlier one has the same pixels."""

from __future__ import annotations

from dataclasses import replace

from recon_detect.names import written
from recon_detect.results import Row

# Begins the note of a copy.
_SAME_PIXELS = "same pixels as "


class Seen:
    """The pictures of a run by their pixels.

    Args:
        limit: Pictures that are remembered, the first ones: some 200 bytes each, however long the run is.
    """

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self._paths: dict[str, str] = {}  # by 64 bits of the sum

    def noted(self, row: Row) -> Row:
        """The row, with a note that names the first picture with the same pixels, where there is one."""
        if row.provenance is None:
            return row
        key = row.provenance.sha256[:16]
        first = self._paths.get(key)
        if first is None and len(self._paths) < self._limit:
            self._paths[key] = row.path
        # A row of an earlier start may name a picture that is not among the images any more.
        others = tuple(note for note in row.notes if not note.startswith(_SAME_PIXELS))
        return replace(row, notes=(*others, f"{_SAME_PIXELS}{written(first)}") if first else others)
