"""Notes on copies: a row says which earlier one has the same pixels."""

from __future__ import annotations

from dataclasses import replace

from recon_detect.results import Row


class Seen:
    """The pictures of a run by their pixels.

    Args:
        limit: Pictures that are remembered, the first ones: some 200 bytes each, however long the run is.
    """

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self._paths: dict[str, str] = {}  # by 64 bits of the sum

    def noted(self, row: Row) -> Row:
        """The row, with a note where its pixels are those of a picture before it."""
        if row.provenance is None:
            return row
        key = row.provenance.sha256[:16]
        if first := self._paths.get(key):
            return replace(row, notes=tuple(dict.fromkeys((*row.notes, f"same pixels as {first}"))))
        if len(self._paths) < self._limit:
            self._paths[key] = row.path
        return row
