"""Complete results as rows again: what the writers wrote, and what ``score`` printed into a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from recon_detect.errors import UsageError
from recon_detect.methods import METHODS, find_method
from recon_detect.output.schema import check_entry, check_run
from recon_detect.results import MethodInfo, Row, RunInfo

# The column of a table before those of the scores, and the first of those that may follow.
_SCORE, _AFTER = "score", ("answer", "verdict", "label")
# Columns that a CSV has as text, besides those of the scores.
_NUMBERS: dict[str, type] = {
    **dict.fromkeys(("schema", "width", "height", "file_bytes", "jpeg_quality", "exif_orientation"), int),
    **dict.fromkeys(("texture", "combined", "p_value", "probability", "threshold"), float),
}
_LARGEST_CELL = 1 << 24


def read_results(path: Path) -> tuple[RunInfo, Iterator[Row]]:
    """The run of a results file, or of the shards of a folder that ``run`` wrote, and its rows.

    The run is described beside the file, in the file (Parquet) or in the folder. Of results without a description, such
    as those of a pipe, only the names of methods and models are known.

    Raises:
        UsageError: No such file, another suffix, or values that no results have, with file and line; while rows are
            read too.
    """
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not path.exists():
        raise UsageError(f"{path}: no such file; 'recon-detect score IMAGES --output {path}' writes results")
    if not files or not files[0].is_file():
        raise UsageError(f"{path}: expected a results file ({', '.join(_FORMATS)}), or a folder of shards of them")
    if files[0].suffix.lower() not in _FORMATS:
        raise UsageError(f"{path}: expected a results file that ends in {', '.join(_FORMATS)}")
    entries, ahead = _rows(files), []
    run = _described(path, files[0])
    while run is None and (row := next(entries, None)):
        ahead.append(row)
        if row.scores:  # a row with an error names no method
            break
    run = run or _guessed(ahead[-1] if ahead else None)
    return run, _of_run(chain(ahead, entries), run, path)


@dataclass(frozen=True, slots=True)
class _Format:
    """Format of results: what a place in it is called, its raw rows with their places, and the entry of one."""

    unit: str
    raw: Callable[[Path], Iterator[tuple[int, Any]]]
    entry: Callable[[Any], Mapping[str, Any]]


def _rows(files: Iterable[Path]) -> Iterator[Row]:
    """The rows of some files; an error names file and line."""
    index = count()
    for file in files:
        of, place = _FORMATS[file.suffix.lower()], 0
        raw = of.raw(file)
        while True:
            try:
                place += 1  # where it breaks off
                place, content = next(raw)
                entry = of.entry(content)
                check_entry(entry)
                row = Row.from_dict(entry, next(index))
            except StopIteration:
                break
            except (KeyError, TypeError, AttributeError, ValueError, RecursionError, csv.Error) as error:
                raise UsageError(
                    f"{file}, {of.unit} {place}: not a row of 'recon-detect score' ({_reason(error)}); score again"
                ) from error
            yield row


def _of_run(rows: Iterable[Row], run: RunInfo, path: Path) -> Iterator[Row]:
    """The same rows, each with scores of the methods of the run."""
    methods = [method.name for method in run.methods]
    for row in rows:
        if row.scores and list(row.scores) != methods:
            raise UsageError(
                f"{path}, row {row.index + 1}: scores of {', '.join(row.scores)}, but the run is of "
                f"{', '.join(methods)}; score again"
            )
        yield row


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line


def _cells(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    before = csv.field_size_limit(_LARGEST_CELL)  # of the whole process: given back at the end
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            for line in reader:
                yield reader.line_num, line
    finally:
        csv.field_size_limit(before)


def _typed(line: Mapping[str, str]) -> dict[str, Any]:
    """The entry of a line of a CSV."""
    if None in line or None in line.values():
        raise ValueError("expected as many cells as columns")
    return _nested({
        name: None if value == "" else _NUMBERS.get(name, str)(value) for name, value in line.items()
    })  # fmt: skip


def _records(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield from enumerate(chain.from_iterable(batch.to_pylist() for batch in file.iter_batches(4096)), 1)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(str(error)) from error


def _nested(line: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a row of a table as `Row.to_dict` has them: the inverse of `writers.flat`."""
    names = list(line)
    if _SCORE not in names or not set(_AFTER) & set(names):
        raise ValueError(f"expected columns {_SCORE} and {_AFTER[0]}")
    start = names.index(_SCORE) + 1
    stop = min(names.index(name) for name in _AFTER if name in names[start:])
    scores: dict[str, float | None] = {}
    per_model: dict[str, dict[str, float | None]] = {}
    for name in names[start:stop]:
        value = None if line[name] is None else float(line[name])
        method = next(reversed(scores), "")
        if method and name.startswith(f"{method}."):
            per_model[method][name.removeprefix(f"{method}.")] = value
        else:
            scores[name], per_model[name] = value, {}
    failed = line["error"] is not None
    notes, details, claims = (line.get(name) or "" for name in ("notes", "details", "claims"))
    return dict(line) | {
        "scores": {} if failed else scores,
        "per_model": {} if failed else per_model,
        "details": json.loads(details) if details else {},
        "claims": json.loads(claims) if claims else None,
        "notes": notes.split("; ") if notes else [],
        "phash": line.get("phash") or "",
    }


_FORMATS = {
    ".jsonl": _Format("line", _lines, json.loads),
    ".csv": _Format("line", _cells, _typed),
    ".parquet": _Format("row", _records, _nested),
}


def _described(path: Path, first: Path) -> RunInfo | None:
    """The run as it is described in a folder, beside a file, or in a Parquet file; None where it is not."""
    if path.is_dir():
        return _run(path / "run.json", "detector")
    if run := _run(first.with_name(first.name + ".run.json")):
        return run
    return _run(first, of=_metadata) if first.suffix.lower() == ".parquet" else None


def _metadata(path: Path) -> bytes | None:
    """The description in a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        content: bytes | None = (pq.read_schema(path).metadata or {}).get(b"recon_detect")
    except (pa.ArrowException, OSError):
        return None  # its rows cannot be read either, which names the fault
    return content


def _run(path: Path, key: str = "", of: Callable[[Path], bytes | None] = Path.read_bytes) -> RunInfo | None:
    try:
        if (content := of(path)) is None:
            return None
        description = json.loads(content)
        description = description[key] if key else description
        check_run(description)
        return RunInfo.from_dict(description)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{path}: expected the description of a run ({_reason(error)}); score again") from error


def _guessed(first: Row | None) -> RunInfo:
    """A run of the methods and models that a row names; those of the package had its null distributions."""
    scores = first.scores if first else {}
    methods = tuple(
        MethodInfo(name, "", tuple(score.per_model), "not described" if _has_nulls(name) else None)
        for name, score in scores.items()
    )
    return RunInfo(methods or (MethodInfo("unknown", "", ()),), None, (), "unknown", False, "white", None, {})


def _has_nulls(name: str) -> bool:
    return name in METHODS and find_method(name).data is not None
