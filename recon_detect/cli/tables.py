"""Results for people."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recon_detect.results import Row, RunInfo


def print_table(rows: Sequence[Row], run: RunInfo) -> None:
    """One line per image, in input order."""
    table = Table(box=None, pad_edge=False)
    table.add_column("image", overflow="fold")
    table.add_column("score", justify="right")
    models = [model.name for model in run.models]
    if len(models) > 1:
        for model in models:
            table.add_column(model, justify="right")
    table.add_column("size", justify="right")
    table.add_column("format")
    table.add_column("remarks", overflow="fold")
    for row in rows:
        known = row.provenance
        values = [f"{row.per_model[model]:.4f}" if row.per_model else "" for model in models] if len(models) > 1 else []
        remarks = row.error or "; ".join((*(known.notes if known else ()), *row.notes))
        table.add_row(
            Text(row.path),
            "" if row.error else f"{row.score:.4f}",
            *values,
            f"{known.width}x{known.height}" if known else "",
            (f"{known.format} q{known.jpeg_quality}" if known.jpeg_quality else known.format) if known else "",
            Text(remarks, style="red" if row.error else ""),
        )
    stdout_console().print(table)


def print_summary(rows: Sequence[Row], run: RunInfo, output: Path | None) -> None:
    """On stderr: what was done, how to read it, and how well it separates where labels are known."""
    console = Console(stderr=True, highlight=False)
    models = ", ".join(f"{model.name} ({model.dtype})" for model in run.models)
    failed = sum(row.error is not None for row in rows)
    console.print(
        f"{len(rows)} images, {failed} failed; {run.method} with {models}, {run.distance}, on {run.device}; "
        f"run {run.fingerprint}" + (f"; written to {output}" if output else "")
    )
    console.print("Higher means more likely generated. A score is no probability and has no threshold of its own.")
    if (area := _auroc(rows)) is not None:
        console.print(area)


def _auroc(rows: Sequence[Row]) -> str | None:
    scores = {label: [r.score for r in rows if r.label == label and not r.error] for label in ("real", "generated")}
    if not all(scores.values()):
        return None
    from sklearn.metrics import roc_auc_score

    real, generated = scores["real"], scores["generated"]
    area = roc_auc_score([0] * len(real) + [1] * len(generated), real + generated)
    return (
        f"AUROC {area:.3f} (n = {len(real)} real, {len(generated)} generated, by the labels of the input; "
        "as they are: formats and sizes not matched)"
    )


def stdout_console() -> Console:
    """A console for tables and lines, which are not folded in a pipe."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
