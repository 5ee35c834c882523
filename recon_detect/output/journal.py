"""Results on disk while a run lasts: JSON lines, moved into place or converted when it is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from recon_detect.answers import FOUND, answer_in
from recon_detect.errors import UsageError
from recon_detect.output.partial import Entry, PartialFile
from recon_detect.output.writers import WRITERS
from recon_detect.results import Row, RunInfo


class Journal(PartialFile):
    """Rows of a run; the suffix of the output chooses its format: ``.jsonl``, ``.csv`` or ``.parquet``.

    Args:
        output: Path of the complete file.
        run: Run of the rows.
        limits: Settings that decide which images become errors (`Settings.limits`).
        resume: Go on after the rows that are there already; False starts over.
        csv_safe: See `write_csv`.

    Raises:
        UsageError: An unknown suffix; on entering: see `PartialFile`.
    """

    def __init__(
        self,
        output: Path,
        run: RunInfo,
        *,
        limits: Mapping[str, Any] | None = None,
        resume: bool = True,
        csv_safe: bool = False,
    ) -> None:
        if output.suffix.lower() not in WRITERS:
            raise UsageError(f"{output}: expected a name that ends in {', '.join(WRITERS)}")
        inputs = {"inputs": dict(limits)} if limits else {}
        cells = {"csv_safe": True} if csv_safe else {}
        super().__init__(output, run.to_dict() | inputs | cells, resume=resume)
        self.run = run
        self.csv_safe = csv_safe

    def add(self, row: Row) -> None:
        """Appends a row."""
        self.write(row.to_dict(self.head["run"]))

    def row(self, name: str, index: int = 0) -> Row:
        """Reads the row of an image.

        Raises:
            KeyError: It has none.
        """
        return Row.from_dict(self.entry(name), index)

    def rows(self) -> Iterator[Row]:
        """Reads the rows that the complete file gets; `Row.index` is their place in it."""
        for index, entry in enumerate(self.current()):
            yield Row.from_dict(entry, index)

    def reuse(self, still_valid: Callable[[Row], bool]) -> None:
        """Takes over rows of the complete file of JSON lines, where that is of a run with the same scores."""
        if not self.output.is_file() or self._described().get("run") != self.head["run"]:
            return
        with self.output.open("rb") as file:
            for entry in filter(None, map(self._whole, file)):
                row = Row.from_dict(entry)
                if row.error is None and row.path not in self._places and still_valid(row):
                    self.add(row)

    def _complete(self, path: Path) -> dict[str, int]:
        counts = {"images": 0, "failed": 0, "likely_generated": 0}

        def counted() -> Iterator[Row]:
            for row in self.rows():
                counts["images"] += 1
                counts["failed"] += row.error is not None
                counts["likely_generated"] += answer_in(row, self.run).kind == FOUND
                yield row

        WRITERS[self.output.suffix.lower()](path, counted(), self.run, self.csv_safe)
        return counts

    def _whole(self, line: bytes) -> Entry | None:
        entry = super()._whole(line)
        try:
            return entry if entry and Row.from_dict(entry) else None
        except (KeyError, TypeError, AttributeError, ValueError):
            return None
