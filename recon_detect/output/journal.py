"""Results on disk: a journal of JSON lines while a run lasts, moved into place or converted when it is complete.

A run that is killed leaves the journal behind; the same command goes on after its last whole line.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from recon_detect.atomic import replacing
from recon_detect.errors import UsageError

_BLOCK = 10_000


class Journal:
    """The partial results of one output file, ``NAME.partial`` beside it.

    Its first line is the description of the run; the others are one result each.

    Args:
        output: The file to be; its suffix chooses the format: ``.jsonl``, ``.csv`` or ``.parquet``.
        run: Description of the run, with its fingerprint under ``"run"``.
        resume: Go on after the results that are there already; False starts over.

    Raises:
        UsageError: An unknown suffix, or partial results of another configuration.
    """

    def __init__(self, output: Path, run: dict[str, Any], *, resume: bool = True) -> None:
        if output.suffix.lower() not in WRITERS:
            raise UsageError(f"{output}: expected a name that ends in {', '.join(WRITERS)}")
        self.output = output
        self.path = output.with_name(output.name + ".partial")
        self.run = run
        self.resume = resume
        self.done: set[str] = set()
        self._file: IO[str] | None = None

    def __enter__(self) -> Journal:
        self.output.parent.mkdir(parents=True, exist_ok=True)
        if self.resume and self.path.exists():
            self._resume()
        self._file = self.path.open("a" if self.resume else "w", encoding="utf-8")
        if self._file.tell() == 0:
            self._write(self.run)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, row: dict[str, Any]) -> None:
        """Appends a result and hands it to the operating system."""
        self._write(row)

    def finish(self) -> None:
        """Moves the results into place, and the description of the run beside them as ``NAME.run.json``."""
        assert self._file is not None
        self._file.close()
        with replacing(self.output) as path:
            WRITERS[self.output.suffix.lower()](path, self.rows(), self.run)
        with replacing(self.output.with_name(self.output.name + ".run.json")) as path:
            path.write_text(json.dumps(self.run, indent=2) + "\n", encoding="utf-8")
        self.path.unlink()

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
                if number == 0 and entry.get("run") != self.run["run"]:
                    raise UsageError(
                        f"{self.path}: partial results of another configuration (run {entry.get('run')}, now "
                        f"{self.run['run']}); finish that run, or delete the file"
                    )
                if number > 0:
                    self.done.add(entry["path"])
                whole += len(line)
            file.truncate(whole)

    def _write(self, entry: dict[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._file.flush()

    def rows(self) -> Iterator[dict[str, Any]]:
        """The results so far."""
        with self.path.open(encoding="utf-8") as file:
            next(file)  # the run
            for line in file:
                yield json.loads(line)


def flatten(row: dict[str, Any]) -> dict[str, Any]:
    """A row for tables: a column per method and model, ``METHOD`` and ``METHOD.MODEL``; notes joined."""
    flat = {key: value for key, value in row.items() if key not in ("scores", "per_model", "details", "notes")}
    flat |= row["scores"]
    flat |= {f"{method}.{model}": value for method, found in row["per_model"].items() for model, value in found.items()}
    details = json.dumps(row["details"], ensure_ascii=False) if row["details"] else ""
    return flat | {"details": details, "notes": "; ".join(row["notes"])}


def _write_jsonl(path: Path, rows: Iterable[dict[str, Any]], run: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_csv(path: Path, rows: Iterable[dict[str, Any]], run: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _columns(run))
        writer.writeheader()
        writer.writerows(flatten(row) for row in rows)


def _write_parquet(path: Path, rows: Iterable[dict[str, Any]], run: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    floats = ["score", "texture", *_score_columns(run), *(name for name, kind in _VERDICT.items() if kind is float)]
    types = dict.fromkeys(_INTEGERS, pa.int64()) | dict.fromkeys(floats, pa.float64())
    columns = [pa.field(name, types.get(name, pa.string())) for name in _columns(run)]
    schema = pa.schema(columns, metadata={"recon_detect": json.dumps(run)})
    with pq.ParquetWriter(path, schema) as writer:
        block: list[dict[str, Any]] = []
        for row in rows:
            block.append(flatten(row))
            if len(block) == _BLOCK:
                writer.write_table(pa.Table.from_pylist(block, schema=schema))
                block.clear()
        writer.write_table(pa.Table.from_pylist(block, schema=schema))


def _score_columns(run: dict[str, Any]) -> list[str]:
    return [
        column
        for method in run["methods"]
        for column in (method["name"], *(f"{method['name']}.{model}" for model in method["models"]))
    ]


def _columns(run: dict[str, Any]) -> list[str]:
    return [
        "path",
        "score",
        *_score_columns(run),
        *(_VERDICT if run.get("calibration") else ()),
        "label",
        "error",
        *_INTEGERS,
        "format",
        "mode",
        "sha256",
        "texture",
        "details",
        "notes",
        "run",
    ]


_VERDICT = {
    "verdict": str,
    "combined": float,
    "p_value": float,
    "probability": float,
    "stratum": str,
    "threshold": float,
    "family": str,
    "decoder": str,
}
_INTEGERS = ("schema", "width", "height", "file_bytes", "jpeg_quality", "exif_orientation")

WRITERS: dict[str, Callable[[Path, Iterable[dict[str, Any]], dict[str, Any]], None]] = {
    ".jsonl": _write_jsonl,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
