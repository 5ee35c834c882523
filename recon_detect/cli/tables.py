"""Results for people."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from recon_detect.answers import ERROR, FOUND, NOTHING, TERMS, UNDECIDED, answer_in
from recon_detect.names import counted, shown
from recon_detect.results import Row, RunInfo
from recon_detect.settings import MODES
from recon_detect.tried import has_threshold

# A table is for reading; beyond this the file or the pipe is.
_TABLE_ROWS = 200


def print_table(rows: Sequence[Row], run: RunInfo, more: int = 0) -> None:
    """Prints one line per image, in input order; `more` were left out."""
    table = Table(box=None, pad_edge=False)
    for heading in ("image", "answer"):
        table.add_column(heading, overflow="fold")
    table.add_column("score", justify="right")
    # Several methods: a column each. One whose numbers have no threshold and no words: a column for each of its models.
    several, method = len(run.methods) > 1, run.methods[0]
    columns = [of.name for of in run.methods[1:]] if several else [] if has_threshold(method) else list(method.models)
    columns = columns if several or len(columns) > 1 else []
    for column in columns:
        table.add_column(column, justify="right")
    if run.calibration:
        table.add_column("p", justify="right")
    table.add_column("size", justify="right")
    table.add_column("format")
    table.add_column("remarks", overflow="fold")
    for row in rows:
        table.add_row(*_cells(row, columns, run))
    console = stdout_console()
    console.print(table)
    if more:
        console.print(f"... and {more} more; use --output FILE to keep them")


def print_answers(rows: Sequence[Row], run: RunInfo) -> None:
    """Prints for each image what was found and what that means, for people who have read nothing else."""
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 120)
    for row in rows:
        answer = answer_in(row, run)
        lines = [
            answer.meaning,
            answer.tried,
            *(f"Limit: {limit}." for limit in answer.limits),
        ]
        console.print(f"\n{shown(row.path)}: {shown(answer.headline)}")
        for line in filter(None, lines):
            console.print(Padding(Text(shown(line)), (0, 0, 0, 2)))
    if has_threshold(run.methods[0]) and not all(row.error for row in rows):
        console.print(f"\n{TERMS} More: docs/guide/answers.md")


def print_claims(rows: Sequence[Row]) -> None:
    """Prints what each file says of itself, below its name, where that was read."""
    console = stdout_console()
    for row in rows:
        if row.claims:
            console.print(f"\n{shown(row.path)} says of itself:")
            for sentence in row.claims["sentences"]:
                console.print(f"  {shown(sentence)}")


def _cells(row: Row, columns: Sequence[str], run: RunInfo) -> list[str | Text]:
    file = row.provenance
    several = len(run.methods) > 1
    numbers = {name: score.value for name, score in row.scores.items()} if several else row.per_model
    values = [f"{numbers[column]:.4f}" if column in numbers else "" for column in columns]
    if run.calibration:
        values.append(f"{row.verdict.p_value:.3f}" if row.verdict else "")
    in_words = {score.remark for score in row.scores.values()}  # the answer has them
    remarks = "; ".join((*(file.notes if file else ()), *(note for note in row.notes if note not in in_words)))
    return [
        Text(shown(row.path)),
        Text(shown(answer_in(row, run).headline), style="red" if row.error else ""),
        "" if row.error else f"{row.score:.{2 if has_threshold(run.methods[0]) else 4}f}",
        *values,
        f"{file.width}x{file.height}" if file else "",
        (f"{file.format} q{file.jpeg_quality}" if file.jpeg_quality else file.format) if file else "",
        Text(shown(remarks)),
    ]


class Tally:
    """Counts of a run for its summary, and the first rows for a table, without holding the others.

    Attributes:
        answers: Number of images by the kind of their answer.
        shown: The first of the rows that are to be shown.
        more: Number of those that are to be shown and are not in `shown`.
    """

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.scores: dict[str, list[float]] = {"real": [], "generated": []}
        self.shown: list[Row] = []
        self.more = 0

    @property
    def images(self) -> int:
        """Number of images."""
        return self.answers.total()

    @property
    def failed(self) -> int:
        """Number of images that could not be scored."""
        return self.answers[ERROR]

    def add(self, row: Row, kind: str, *, show: bool = True) -> None:
        """Counts a row by the kind of its answer."""
        self.answers[kind] += 1
        if show and len(self.shown) < _TABLE_ROWS:
            self.shown.append(replace(row, map=None))
        elif show:
            self.more += 1
        if row.error is None and row.label in self.scores and math.isfinite(row.score):
            self.scores[row.label].append(row.score)


def print_summary(tally: Tally, run: RunInfo, output: Path | None) -> None:
    """Prints on stderr what was done, how to read it, and how well it separates where labels are known."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    models = ", ".join(f"{model.name} ({model.dtype})" for model in run.models)
    networks = f" with {models}" if models else ""
    methods = ", ".join(f"{method.name} ({method.distance})" for method in run.methods)
    console.print(
        f"{counted(tally.images, 'image')}, {tally.failed} failed; {methods}{networks} on {run.device}; "
        f"run {run.fingerprint}" + (f"; written to {shown(str(output))}" if output else "")
    )
    counts = {words: tally.answers[kind] for kind, words in _KINDS.items() if tally.answers[kind]}
    # One picture has an answer, not a count: "1 nothing found" reads as a find.
    answers = "; ".join(words if tally.images == 1 else f"{count:,} {words}" for words, count in counts.items())
    if tally.images == tally.failed:
        console.print(answers or "nothing scored")
        return
    console.print(f"{answers}{_basis(run)}")
    if not (run.calibration or has_threshold(run.methods[0])):
        console.print(
            "Higher means more likely generated. A score is not a probability and has no threshold of its own."
        )
    real, generated = tally.scores["real"], tally.scores["generated"]
    if real and generated:
        from sklearn.metrics import roc_auc_score

        area = roc_auc_score([0] * len(real) + [1] * len(generated), real + generated)
        console.print(
            f"AUROC {area:.3f} (n = {len(real)} real, {len(generated)} generated, by the labels of the input; "
            "images as they are: formats and sizes not matched)"
        )


_KINDS = {FOUND: "found", NOTHING: "nothing found", UNDECIDED: "undecided", ERROR: "not scored"}


def _basis(run: RunInfo) -> str:
    """Basis on which the answers of a run were decided."""
    if run.threshold is not None:
        return f" (scores above {run.threshold:g})"
    if run.calibration:
        return " (by the calibration; p is the share of its photographs that score as high)"
    if not has_threshold(run.methods[0]):
        return ""
    share = f"1 photograph in {1 / MODES[run.mode]:,.0f}"
    return f" (mode {run.mode}: by the method's estimate, at most {share} is found by mistake)"


def stdout_console() -> Console:
    """Makes a console for tables and lines, which are not folded in a pipe."""
    return Console(highlight=False, soft_wrap=True, markup=False, width=None if sys.stdout.isatty() else 200)
