"""The cost of being wrong: how often pictures that no known decoder wrote are called found, by kind.

    python -m benchmarks.wrong --data kinds/ --efforts quick --folds folds --number 40
    python -m benchmarks.wrong --data kinds/ --efforts quick --folds folds --report

`--data` is the folder that `assets.kinds` wrote; files are scored as they are. Pictures of the kinds are taken in turn,
so that a run that was killed, or one with a smaller ``--number``, has scores of every kind. Journals, folds and
reports are those of `benchmarks.web`.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.conditions import FILE
from benchmarks.common.data import RESULTS, ManifestRow, read_manifest, write_table
from benchmarks.common.folds import FOLDS
from benchmarks.common.metrics import RATES
from benchmarks.common.scores import Entry, computed_by
from benchmarks.today import answers_of, nominal, shares
from benchmarks.web import Scored, Trial, add_trials, of_method, scored_under, scores_of, trials_of
from recon_detect.answers import FOUND
from recon_detect.methods.trace.trace import TRACE
from recon_detect.results import RunInfo


def kinds_in_turn(rows: Sequence[ManifestRow], number: int | None) -> list[ManifestRow]:
    """At most a number of pictures of each kind, one of each kind after the other."""
    by_kind = {kind: [row for row in rows if row["kind"] == kind] for kind in dict.fromkeys(r["kind"] for r in rows)}
    turns = itertools.zip_longest(*(of_kind[:number] for of_kind in by_kind.values()))
    return [row for turn in turns for row in turn if row]


def conformal_threshold(scores: NDArray[np.float64], rate: float) -> float | None:
    """The score that a further picture like these n exceeds with a probability of at most `rate`.

    The k-th largest, k = floor(rate (n + 1)) (Vovk et al., 2005). None where that is 0, as of fewer than 99 pictures at
    a rate of 0.01, or 19 at 0.05.
    """
    k = int(np.floor(rate * (len(scores) + 1) + 1e-9))
    return float(np.sort(scores)[-k]) if k else None


def line_of(scored: Scored, run: RunInfo) -> dict[str, Any]:
    """Answers, rates above nominal thresholds and thresholds of a kind."""
    answers = answers_of(scored, run)
    decoders = Counter(
        of_method(entry["details"]).get("decoder") or "none"
        for entry, answer in zip(scored.entries, answers, strict=True)
        if answer == FOUND
    )
    thresholds = {rate: conformal_threshold(scored.scores, rate) for rate in RATES}
    return (
        {"real": len(answers)}
        | shares(answers)
        | nominal(scored.scores)
        | {f"threshold_{rate:g}": "" if value is None else round(value, 3) for rate, value in thresholds.items()}
        | {"decoders": ", ".join(f"{name} {count}" for name, count in decoders.most_common()), "failed": scored.failed}
    )


def lines_of(
    trial: Trial, run: RunInfo, entries: Sequence[Entry], rows: Sequence[ManifestRow]
) -> Iterator[dict[str, Any]]:
    """One line per kind that has scores."""
    for kind in dict.fromkeys(row["kind"] for row in rows):
        scored = scored_under(trial, entries, [row for row in rows if row["kind"] == kind], FILE)
        if scored.entries:
            yield {"method": trial.method, "effort": trial.effort or "", "kind": kind} | line_of(scored, run)


def by_fold(trial: Trial, rows: Sequence[ManifestRow], options: argparse.Namespace) -> tuple[RunInfo, list[Entry]]:
    """Scores with the templates that were made without the fold of each picture, or with those of the package."""
    if not options.folds or trial.method != TRACE.name:
        return scores_of(trial, rows, [FILE], options)
    runs, entries = zip(
        *(
            scores_of(replace(trial, fold=fold), [row for row in rows if row["fold"] == str(fold)], [FILE], options)
            for fold in range(FOLDS)
        ),
        strict=True,
    )
    return runs[0], [entry for of_fold in entries for entry in of_fold]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_trials(parser)
    parser.add_argument("--number", type=int, default=None, help="at most so many pictures of each kind; default: all")
    parser.add_argument("--output", type=Path, default=RESULTS / "wrong.csv")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    rows = kinds_in_turn(read_manifest(options.data), options.number)
    table: list[dict[str, Any]] = []
    runs = []
    for trial in trials_of(options.methods, options.efforts):
        run, entries = by_fold(trial, rows, options)
        runs.append(f"{trial.name}: {computed_by(run)}")
        table += lines_of(trial, run, entries, rows)
    templates = "made without the half that is scored" if options.folds else "as shipped"
    write_table(options.output, f"files as they are; templates {templates}; {' / '.join(runs)}", table)


if __name__ == "__main__":
    main()
