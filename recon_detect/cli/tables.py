"""Results for people."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recon_detect.names import shown
from recon_detect.results import Row, RunInfo

# A table is for reading; beyond this the file or the pipe is.
_TABLE_ROWS = 200


def print_table(rows: Sequence[Row], run: RunInfo, more: int = 0) -> None:
    """Prints one line per image, in input order; `more` were left out."""
    table = Table(box=None, pad_edge=False)
    table.add_column("image", overflow="fold")
    table.add_column("score", justify="right")
    # Several methods: a column each; one method with several models: a column for each of these.
    several = len(run.methods) > 1
    columns = [method.name for method in run.methods[1:]] if several else list(run.methods[0].models)
    columns = columns if several or len(columns) > 1 else []
    for column in columns:
        table.add_column(column, justify="right")
    if run.calibration:
        table.add_column("p", justify="right")
        table.add_column("verdict")
    table.add_column("size", justify="right")
    table.add_column("format")
    table.add_column("remarks", overflow="fold")
    for row in rows:
        table.add_row(*_cells(row, columns, run))
    console = stdout_console()
    console.print(table)
    if more:
        console.print(f"... and {more} more; use --output FILE to keep them")


def _cells(row: Row, columns: Sequence[str], run: RunInfo) -> list[str | Text]:
    file = row.provenance
    several = len(run.methods) > 1
    numbers = {name: score.value for name, score in row.scores.items()} if several else row.per_model
    values = [f"{numbers[column]:.4f}" if column in numbers else "" for column in columns]
    if run.calibration:
        values += [f"{row.verdict.p_value:.3f}", row.verdict.verdict] if row.verdict else ["", ""]
    remarks = row.error or "; ".join((*(file.notes if file else ()), *row.notes))
    return [
        Text(shown(row.path)),
        "" if row.error else f"{row.score:.4f}",
        *values,
        f"{file.width}x{file.height}" if file else "",
        (f"{file.format} q{file.jpeg_quality}" if file.jpeg_quality else file.format) if file else "",
        Text(shown(remarks), style="red" if row.error else ""),
    ]


class Tally:
    """Counts of a run for its summary, and the first rows for a table, without holding the others."""

    def __init__(self) -> None:
        self.images = 0
        self.failed = 0
        self.scores: dict[str, list[float]] = {"real": [], "generated": []}
        self.verdicts: Counter[str] = Counter()
        self.shown: list[Row] = []

    def add(self, row: Row) -> None:
        """Counts a row."""
        self.images += 1
        if len(self.shown) < _TABLE_ROWS:
            self.shown.append(replace(row, map=None))
        if row.verdict:
            self.verdicts[row.verdict.verdict] += 1
        if row.error is not None:
            self.failed += 1
        elif row.label in self.scores and math.isfinite(row.score):
            self.scores[row.label].append(row.score)


def print_summary(tally: Tally, run: RunInfo, output: Path | None) -> None:
    """Prints on stderr what was done, how to read it, and how well it separates where labels are known."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    models = ", ".join(f"{model.name} ({model.dtype})" for model in run.models)
    networks = f" with {models}" if models else ""
    methods = ", ".join(f"{method.name} ({method.distance})" for method in run.methods)
    console.print(
        f"{tally.images} images, {tally.failed} failed; {methods}{networks} on {run.device}; "
        f"run {run.fingerprint}" + (f"; written to {shown(str(output))}" if output else "")
    )
    reading = (
        "The score is in standard deviations of photographs: about one photograph in a hundred exceeds 2.3."
        if run.methods[0].null
        else "A score is not a probability and has no threshold of its own."
    )
    console.print(f"Higher means more likely generated. {reading}")
    if tally.verdicts:
        console.print("; ".join(f"{count} {verdict}" for verdict, count in tally.verdicts.most_common()))
    real, generated = tally.scores["real"], tally.scores["generated"]
    if real and generated:
        from sklearn.metrics import roc_auc_score

        area = roc_auc_score([0] * len(real) + [1] * len(generated), real + generated)
        console.print(
            f"AUROC {area:.3f} (n = {len(real)} real, {len(generated)} generated, by the labels of the input; "
            "images as they are: formats and sizes not matched)"
        )


def stdout_console() -> Console:
    """Makes a console for tables and lines, which are not folded in a pipe."""
    return Console(highlight=False, soft_wrap=True, markup=False, width=None if sys.stdout.isatty() else 200)
