"""Folders of data and results, and reading and writing of their tables."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recon_detect.atomic import replacing

# A line of a manifest.csv, by column.
ManifestRow = dict[str, str]

RESULTS = Path(__file__).parents[1] / "results"


def journal_of(output: Path) -> Path:
    """Path of the journal with the scores behind a table (`recon_detect.output.PartialFile`)."""
    return output.with_suffix(".scores.jsonl.partial")


def read_manifest(data: Path) -> list[dict[str, str]]:
    """The rows of the ``manifest.csv`` of a folder; columns path, label, generator, autoencoder and others."""
    manifest = data / "manifest.csv"
    if not manifest.is_file():
        raise SystemExit(
            f"{data} has no manifest.csv; of a folder with real/ and generated/ below it, or another manifest, "
            f"python -m benchmarks.datasets {data} --output {manifest} writes one"
        )
    with manifest.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_manifest(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes what `read_manifest` reads, with the columns of the first row."""
    with replacing(folder / "manifest.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def large_enough(rows: Sequence[dict[str, str]], side: int) -> list[dict[str, str]]:
    """The rows of images from which a square of this side can be cropped."""
    return [row for row in rows if min(int(row["width"]), int(row["height"])) >= side]


def read_table(path: Path) -> tuple[str, list[dict[str, str]]]:
    """The conditions above a table of results, or of an audit in its column ``about``, and its lines."""
    with path.open(newline="", encoding="utf-8") as file:
        first = file.readline()
        if first.startswith("# "):
            return first[2:].strip(), list(csv.DictReader(file))
        file.seek(0)
        lines = list(csv.DictReader(file))
    return max((line.pop("about") for line in lines), default=""), lines


def write_table(output: Path, conditions: str, table: Sequence[Mapping[str, Any]]) -> None:
    """A CSV under a line that says under which conditions its numbers hold."""
    with replacing(output) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {conditions}\n")
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    print(f"written to {output}", file=sys.stderr)
