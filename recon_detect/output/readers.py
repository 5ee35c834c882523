"""Complete results as rows again: what the writers wrote, and what ``score`` printed into a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from recon_detect.errors import UsageError
from recon_detect.methods import METHODS, find_method
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
        UsageError: No such file, another suffix, or a file of something else; while rows are read too.
    """
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise UsageError(f"{path}: expected a results file ({', '.join(_READERS)}), or a folder of shards of them")
    suffix = files[0].suffix.lower()
    if suffix not in _READERS:
        raise UsageError(f"{path}: expected a results file that ends in {', '.join(_READERS)}")
    entries = _checked(path, chain.from_iterable(map(_READERS[suffix], files)))
    first = next(entries, None)
    rows = (row for row in chain([first] if first else [], entries))
    return _described(path, files[0]) or _guessed(first), rows


def _checked(path: Path, entries: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    index = 0
    try:
        for index, entry in enumerate(entries):
            yield Row.from_dict(entry, index)
    except (KeyError, TypeError, AttributeError, ValueError, csv.Error) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(f"{path}: row {index + 1} is none of 'recon-detect score' ({reason}); score again") from error


def _jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    before = csv.field_size_limit(_LARGEST_CELL)  # of the whole process: given back at the end
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                yield _nested({name: _typed(name, value) for name, value in line.items()})
    finally:
        csv.field_size_limit(before)


def _typed(name: str, value: str) -> Any:
    return None if value == "" else _NUMBERS.get(name, str)(value)


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(4096):
                yield from map(_nested, batch.to_pylist())
    except pa.ArrowInvalid as error:
        raise ValueError(str(error)) from error


_READERS: dict[str, Callable[[Path], Iterator[Mapping[str, Any]]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}


def _nested(line: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a row of a table as `Row.to_dict` has them: the inverse of `writers.flat`."""
    names = list(line)
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


def _described(path: Path, first: Path) -> RunInfo | None:
    """The run as it is described in a folder, beside a file, or in a Parquet file; None where it is not."""
    if path.is_dir():
        return _run(path / "run.json", "detector")
    if run := _run(first.with_name(first.name + ".run.json")):
        return run
    if first.suffix.lower() != ".parquet":
        return None
    import pyarrow.parquet as pq

    content = (pq.read_schema(first).metadata or {}).get(b"recon_detect")
    return RunInfo.from_dict(json.loads(content)) if content else None


def _run(path: Path, key: str = "") -> RunInfo | None:
    try:
        content = json.loads(path.read_bytes())
        return RunInfo.from_dict(content[key] if key else content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: expected the description of a run ({type(error).__name__}: {error})") from error


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
