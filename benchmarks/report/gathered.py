"""The results that a report is of: tables with what they are, and the scores behind them where these were kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.data import journal_of, read_manifest, read_table
from benchmarks.common.metrics import Scores
from benchmarks.common.scores import Entry, read_journal
from benchmarks.report.layouts import Lines
from recon_detect.results import MethodInfo, RunInfo

PHOTOGRAPHS = "photographs"
# Kinds of tables, by columns that no other kind has; the first that fits.
KINDS = {
    "today": ("method", "recipe", "expected", "found"),
    "wrong": ("kind", "found", "decoders"),
    "web": ("method", "recipe", "auroc"),
    "detection": ("method", "group", "auroc"),
    "robustness": ("method", "condition", "auroc"),
    "ablation": ("views", "pooling", "auroc"),
    "thresholds": ("score", "splits_above"),
    "shipped": ("scored in", "false positives"),
    "classifiers": ("classifier", "trained on all"),
    "crossed": ("classifier", "trained on"),
    "attribution": ("by", "true"),
    "audit": ("measurement", "shortcut"),
    "localisation": ("map", "changed"),
    "footprint": ("what", "value", "unit"),
    "speed": ("images_per_s",),
}


@dataclass(frozen=True, slots=True)
class Result:
    """A table of results.

    Attributes:
        path: Its CSV.
        kind: One of `KINDS`; empty of a table that a report does not show.
        conditions: Under which its numbers hold.
        lines: By column.
        run: Run that scored the images, where the scores are stored.
        rows: Rows of a detection: its images without errors, with ``family`` and ``made_by`` where the data is at hand.
    """

    path: Path
    kind: str
    conditions: str
    lines: Lines
    run: RunInfo | None = None
    rows: list[Entry] = field(default_factory=list)

    @property
    def data(self) -> str:
        """Data and their preparation: the beginning of the conditions."""
        return ", ".join(self.conditions.partition(";")[0].split(", ")[: 3 if self.kind == "detection" else 2])

    @property
    def form(self) -> str:
        """Short form of the conditions."""
        return self.data.rpartition(", ")[2].removeprefix("both classes as ")

    @property
    def methods(self) -> tuple[MethodInfo, ...]:
        """Names of the methods with scores."""
        return self.run.methods if self.run else ()

    def scores(self, method: str) -> tuple[Scores, Scores]:
        """Scores of photographs and of generated images."""
        values = [(row["label"], row["scores"].get(method)) for row in self.rows]
        real, generated = (
            np.array([value for of, value in values if of == label and value is not None], dtype=np.float64)
            for label in ("real", "generated")
        )
        return real, generated


def read_result(path: Path, data: Path | None) -> Result | None:
    """A table of results, with its scores; None of a CSV that is something else, which is reported."""
    try:
        conditions, lines = read_table(path)
    except ValueError as error:
        print(f"left out: {error}", file=sys.stderr)
        return None
    if not lines:
        return None
    kind = next((kind for kind, columns in KINDS.items() if set(columns) <= set(lines[0])), "")
    journal = journal_of(path)
    if kind != "detection" or not journal.exists():
        return Result(path, kind, conditions, lines)
    run, rows = read_journal(journal)
    return Result(path, kind, conditions, lines, run, list(_joined(rows, data)))


def _joined(rows: Iterable[Entry], data: Path | None) -> Iterable[Entry]:
    """Rows without errors, with what the manifest says; what it does not name is of an earlier state of the data."""
    entries = {row["path"]: row for row in read_manifest(data)} if data else None
    for row in rows:
        about = entries.get(row["path"]) if entries is not None else {}
        if row["error"] is None and about is not None:
            family = PHOTOGRAPHS if row["label"] == "real" else about.get("autoencoder") or "generated"
            yield row | {"family": family, "made_by": about.get("generator", "")}


def read_audits(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Reads the results of ``recon-detect audit`` on data sets: ``audit*.json``."""
    contents = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("audit*.json"))]
    return [(path, content) for path, content in contents if "verdict" in content]
