"""Results on disk while a run lasts: JSON lines, moved into place or converted when it is complete.

A run that is killed leaves them behind; the same command goes on after the last whole line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Self

from recon_detect.atomic import replacing
from recon_detect.errors import UsageError
from recon_detect.output.writers import WRITERS, json_line
from recon_detect.results import Row, RunInfo


class PartialFile:
    """Entries of one output file, ``NAME.partial`` beside it: a head that says what they are of, and one a line.

    Args:
        output: Path of the complete file.
        head: Description of the run, with a fingerprint under ``"run"``.
        resume: Go on after the entries that are there already; False starts over.

    Attributes:
        done: ``"path"`` of the entries that were there already.

    Raises:
        UsageError: On entering: entries of another configuration.
    """

    def __init__(self, output: Path, head: dict[str, Any], *, resume: bool = True) -> None:
        self.output = output
        self.path = output.with_name(output.name + ".partial")
        self.head = head
        self.resume = resume
        self.done: set[str] = set()
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        self.output.parent.mkdir(parents=True, exist_ok=True)
        if self.resume and self.path.exists():
            self._resume()
        self._file = self.path.open("a" if self.resume else "w", encoding="utf-8")
        if self._file.tell() == 0:
            self.write(self.head)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, entry: dict[str, Any]) -> None:
        """Appends an entry and hands it to the operating system."""
        assert self._file is not None
        self._file.write(json_line(entry))
        self._file.flush()

    def entries(self) -> Iterator[dict[str, Any]]:
        """Reads the entries so far."""
        with self.path.open(encoding="utf-8") as file:
            next(file)  # the head
            for line in file:
                yield json.loads(line)

    def finish(self) -> None:
        """Moves the entries into place, and the head beside them as ``NAME.run.json``."""
        assert self._file is not None
        self._file.close()
        with replacing(self.output) as path:
            self._complete(path)
        with replacing(self._head_path) as path:
            path.write_text(json.dumps(self.head, indent=2) + "\n", encoding="utf-8")
        self.path.unlink()

    def _complete(self, path: Path) -> None:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(map(json_line, self.entries()))

    @property
    def _head_path(self) -> Path:
        return self.output.with_name(self.output.name + ".run.json")

    def _resume(self) -> None:
        with self.path.open("rb+") as file:
            whole = 0
            for number, line in enumerate(file):
                try:
                    entry = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    entry = None
                if entry is None:  # the line that was being written when the run was killed
                    break
                if number == 0 and entry.get("run") != self.head["run"]:
                    raise UsageError(
                        f"{self.path}: partial results of another configuration (run {entry.get('run')}, now "
                        f"{self.head['run']}); finish that run, or delete the file"
                    )
                if number > 0:
                    self.done.add(entry["path"])
                whole += len(line)
            file.truncate(whole)


class Journal(PartialFile):
    """Rows of a run; the suffix of the output chooses its format: ``.jsonl``, ``.csv`` or ``.parquet``.

    Args:
        output: Path of the complete file.
        run: Run of the rows.
        resume: Go on after the rows that are there already; False starts over.

    Raises:
        UsageError: An unknown suffix; on entering: rows of another configuration.
    """

    def __init__(self, output: Path, run: RunInfo, *, resume: bool = True) -> None:
        if output.suffix.lower() not in WRITERS:
            raise UsageError(f"{output}: expected a name that ends in {', '.join(WRITERS)}")
        super().__init__(output, run.to_dict(), resume=resume)
        self.run = run

    def add(self, row: Row) -> None:
        """Appends a row."""
        self.write(row.to_dict(self.head["run"]))

    def rows(self) -> Iterator[Row]:
        """Reads the rows so far; `Row.index` is the place in the journal."""
        for index, entry in enumerate(self.entries()):
            yield Row.from_dict(entry, index)

    def reuse(self, still_valid: Callable[[Row], bool]) -> None:
        """Takes over rows of the complete file of JSON lines, where that is of a run with the same scores."""
        if not (self.output.is_file() and self._head_path.is_file()):
            return
        if json.loads(self._head_path.read_text(encoding="utf-8")).get("run") != self.head["run"]:
            return
        with self.output.open(encoding="utf-8") as file:
            for row in map(Row.from_dict, map(json.loads, file)):
                if row.error is None and row.path not in self.done and still_valid(row):
                    self.add(row)
                    self.done.add(row.path)

    def _complete(self, path: Path) -> None:
        rows: Iterable[Row] = self.rows()
        WRITERS[self.output.suffix.lower()](path, rows, self.run)
