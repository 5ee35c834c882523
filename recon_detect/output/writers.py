"""Complete results as JSON lines, CSV or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from recon_detect.answers import answer_in
from recon_detect.images import Provenance
from recon_detect.results import Row, RunInfo, Verdict

if TYPE_CHECKING:
    import pyarrow as pa

# Rows that are held in memory for a block of a Parquet file.
_BLOCK = 10_000
# What spreadsheets take for the start of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def json_line(entry: dict[str, Any]) -> str:
    """One entry as a line of JSON; what a terminal would obey is escaped as JSON has it, and nothing is lost."""
    line = json.dumps(entry, ensure_ascii=False)
    return (line if line.isprintable() else "".join(map(_escaped, line))) + "\n"


def _escaped(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


def columns_of(run: RunInfo) -> dict[str, type]:
    """Name and type of each column of a table, with one per method and model: ``METHOD`` and ``METHOD.MODEL``."""
    scores = [
        column
        for method in run.methods
        for column in (method.name, *(f"{method.name}.{model}" for model in method.models))
    ]
    origin = {name: kind for name, kind in _types(Provenance).items() if name != "notes"}
    numbers = {name: kind for name, kind in origin.items() if kind is int}
    return {
        "path": str,
        **dict.fromkeys(("score", *scores), float),
        "answer": str,
        "headline": str,
        "one_in": float,
        **(_types(Verdict) if run.calibration else {}),
        "label": str,
        "error": str,
        "schema": int,
        **numbers,
        **{name: kind for name, kind in origin.items() if name not in numbers},
        "texture": float,
        "details": str,
        **({"claims": str} if run.provenance else {}),
        "notes": str,
        "run": str,
    }


def entry_of(row: Row, run: RunInfo, fingerprint: str) -> dict[str, Any]:
    """JSON values of a row, with its answer in words; `fingerprint` is that of the run."""
    return row.to_dict(fingerprint) | {"answer": answer_in(row, run).to_dict()}


def flat(row: Row, run: RunInfo, fingerprint: str) -> dict[str, Any]:
    """Values of a row by column; notes joined, details as JSON, and of the answer kind, headline and `one_in`."""
    entry = row.to_dict(fingerprint)
    answer = answer_in(row, run)
    entry |= {"answer": answer.kind, "headline": answer.headline, "one_in": answer.one_in}
    scores, per_model, details, notes = (entry.pop(name) for name in ("scores", "per_model", "details", "notes"))
    if claims := entry.pop("claims", None):
        entry["claims"] = json.dumps(claims, ensure_ascii=False)
    by_model = {f"{method}.{model}": value for method, values in per_model.items() for model, value in values.items()}
    text = json.dumps(details, ensure_ascii=False) if details else ""
    values = {**entry, **scores, **by_model, "details": text, "notes": "; ".join(notes)}
    return {name: _encodable(value) if isinstance(value, str) else value for name, value in values.items()}


def _encodable(text: str) -> str:
    """Text that UTF-8 takes, whatever a method or a file put into it."""
    return text.encode("utf-8", "backslashreplace").decode()


def write_jsonl(path: Path, rows: Iterable[Row], run: RunInfo, csv_safe: bool = False) -> None:
    """Writes a line of JSON a row; `csv_safe` has no meaning here."""
    fingerprint = run.fingerprint
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json_line(entry_of(row, run, fingerprint)) for row in rows)


def write_csv(path: Path, rows: Iterable[Row], run: RunInfo, csv_safe: bool = False) -> None:
    """Writes a table with a head.

    Args:
        path: The file.
        rows: Its rows.
        run: Their run.
        csv_safe: Put ``'`` before text that a spreadsheet would take for a formula.
    """
    fingerprint = run.fingerprint
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns_of(run)))
        writer.writeheader()
        for row in rows:
            values = flat(row, run, fingerprint)
            writer.writerow({name: _harmless(value) for name, value in values.items()} if csv_safe else values)


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def write_parquet(path: Path, rows: Iterable[Row], run: RunInfo, csv_safe: bool = False) -> None:
    """Writes a typed table, with the description of the run in its metadata under ``recon_detect``.

    `csv_safe` has no meaning here.
    """
    import pyarrow.parquet as pq

    remaining = iter(rows)
    block = table_of(islice(remaining, _BLOCK), run)
    with pq.ParquetWriter(path, block.schema) as writer:
        while block.num_rows:
            writer.write_table(block)
            block = table_of(islice(remaining, _BLOCK), run)


def table_of(rows: Iterable[Row], run: RunInfo) -> pa.Table:
    """Rows as a typed table of Arrow, with the description of the run in its metadata under ``recon_detect``."""
    import pyarrow as pa

    types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    columns = [pa.field(name, types[kind]) for name, kind in columns_of(run).items()]
    schema = pa.schema(columns, metadata={"recon_detect": json.dumps(run.to_dict())})
    fingerprint = run.fingerprint
    return pa.Table.from_pylist([flat(row, run, fingerprint) for row in rows], schema=schema)


def _types(of: type) -> dict[str, type]:
    """Type of each field of a dataclass, without None."""
    hints = get_type_hints(of)
    return {f.name: next(iter(get_args(hints[f.name])), hints[f.name]) for f in fields(of)}


WRITERS: dict[str, Callable[[Path, Iterable[Row], RunInfo, bool], None]] = {
    ".jsonl": write_jsonl,
    ".csv": write_csv,
    ".parquet": write_parquet,
}
