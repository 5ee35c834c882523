"""Results for people."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recon_detect.results import Row, RunInfo

# Rows that are kept to be compared with a calibration's photographs.
_SAMPLE = 5000


def print_table(rows: Sequence[Row], run: RunInfo, more: int = 0) -> None:
    """One line per image, in input order; `more` were left out."""
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
        known = row.provenance
        found = {name: score.value for name, score in row.scores.items()} if several else row.per_model
        values = [f"{found[column]:.4f}" if column in found else "" for column in columns]
        if run.calibration:
            values += [f"{row.verdict.p_value:.3f}", row.verdict.verdict] if row.verdict else ["", ""]
        remarks = row.error or "; ".join((*(known.notes if known else ()), *row.notes))
        table.add_row(
            Text(row.path),
            "" if row.error else f"{row.score:.4f}",
            *values,
            f"{known.width}x{known.height}" if known else "",
            (f"{known.format} q{known.jpeg_quality}" if known.jpeg_quality else known.format) if known else "",
            Text(remarks, style="red" if row.error else ""),
        )
    console = stdout_console()
    console.print(table)
    if more:
        console.print(f"... and {more} more; use --output FILE to keep them")


class Tally:
    """What a summary needs of the rows, without keeping them."""

    def __init__(self) -> None:
        self.images = 0
        self.failed = 0
        self.scores: dict[str, list[float]] = {"real": [], "generated": []}
        self.verdicts: Counter[str] = Counter()
        # A random part of the rows, for questions about all of them.
        self.sample: list[dict[str, Any]] = []
        self._generator = random.Random(0)

    def add(self, entry: dict[str, Any]) -> None:
        """Counts a row, as `Row.to_dict` gives it."""
        self.images += 1
        if "verdict" in entry:
            self.verdicts[entry["verdict"]] += 1
            if len(self.sample) < _SAMPLE:
                self.sample.append(entry)
            elif (place := self._generator.randrange(self.images)) < _SAMPLE:
                self.sample[place] = entry
        if entry["error"] is not None:
            self.failed += 1
        elif entry["label"] in self.scores:
            self.scores[entry["label"]].append(entry["score"])


def print_summary(tally: Tally, run: RunInfo, output: Path | None) -> None:
    """On stderr: what was done, how to read it, and how well it separates where labels are known."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    models = ", ".join(f"{model.name} ({model.dtype})" for model in run.models)
    methods = ", ".join(f"{method.name} ({method.distance})" for method in run.methods)
    console.print(
        f"{tally.images} images, {tally.failed} failed; {methods} with {models} on {run.device}; "
        f"run {run.fingerprint}" + (f"; written to {output}" if output else "")
    )
    reading = (
        "The score is in standard deviations of photographs: about one in a hundred passes 2.3."
        if run.methods[0].null
        else "A score is no probability and has no threshold of its own."
    )
    console.print(f"Higher means more likely generated. {reading}")
    if run.methods[0].name == "glance":
        console.print(
            "A first look, at the image as it is. --models tiny (40 MB from the hub) or full also finds what was "
            "resized, cropped or turned since."
        )
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
    """A console for tables and lines, which are not folded in a pipe."""
    return Console(highlight=False, soft_wrap=True, markup=False, width=None if sys.stdout.isatty() else 200)
