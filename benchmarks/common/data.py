"""Folders of data and results, and reading and writing of their tables."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recon_detect.atomic import replacing
from recon_detect.output import csvw

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
    """Conditions and lines of a table of results, as `write_table` wrote it, or of an audit.

    Raises:
        ValueError: It has no description, or begins with a comment as tables of earlier versions do.
    """
    description = csvw.metadata_path(path)
    with path.open(newline="", encoding="utf-8") as file:
        if file.read(1) == "#":
            raise ValueError(
                f"{path}: expected the header, got a comment, as in tables of earlier versions: move it into "
                f'{description.name} as "dc:description", or measure again'
            )
        file.seek(0)
        lines = list(csv.DictReader(file))
    try:
        conditions = json.loads(description.read_text(encoding="utf-8"))["dc:description"]
        if not isinstance(conditions, str):
            raise TypeError(conditions)
    except FileNotFoundError as error:
        raise ValueError(f"{path}: expected {description.name} beside it with its conditions; measure again") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{description}: expected JSON with "dc:description"; measure again') from error
    return conditions, lines


def write_table(output: Path, conditions: str, table: Sequence[Mapping[str, Any]]) -> None:
    """Writes a table of results, and the conditions under which its numbers hold beside it."""
    csvw.write_table(output, table, conditions)
    print(f"written to {output}", file=sys.stderr)
