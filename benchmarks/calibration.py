r"""Error rates at thresholds that are calibrated on half of the photographs, measured on the other half.

    for e in png jpeg-75; do
        python -m benchmarks.detection --data ../shared/eval --methods contrast,aedr,hfi --models tiny --encoding $e \
            --output benchmarks/results/evidence-$e.csv
    done
    python -m benchmarks.calibration --data ../shared/eval

Two hundred random halves. A photograph is in one half in all its forms. "png and jpeg-75" are both forms of all images,
with one threshold or one a stratum; "png, used on jpeg-75" is a calibration where it does not belong.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from tqdm import tqdm

from benchmarks.common.data import RESULTS, write_table
from benchmarks.common.metrics import expected_calibration_error
from benchmarks.common.scores import Entry, computed_by, load, only, scores_of
from benchmarks.report.report import accompany
from recon_detect.calibration import FACETS, Calibration, calibrate, drift
from recon_detect.calibration.probability import probability_of
from recon_detect.results import Row, RunInfo

SPLITS = 200


@dataclass(frozen=True)
class Judged:
    """Methods that are calibrated, and their combination."""

    name: str
    methods: tuple[str, ...]
    combine: str | None = None


CANDIDATES = (
    Judged("contrast", ("contrast",)),
    Judged("contrast, cauchy", ("contrast",), "cauchy"),
    Judged("contrast and aedr, logistic", ("contrast", "aedr"), "logistic"),
    Judged("trace", ("trace",)),
)
FORMS = {"png": (["png"], ["png"]), "jpeg-75": (["jpeg-75"], ["jpeg-75"]),
         "png and jpeg-75": (["png", "jpeg-75"], ["png", "jpeg-75"]),
         "png, used on jpeg-75": (["png"], ["jpeg-75"])}  # fmt: skip


def halves(rows: dict[str, list[Entry]], seed: int) -> tuple[set[str], set[str]]:
    """Paths of each class at random in two halves; the first is for calibration."""
    generator = np.random.default_rng(seed)
    first: set[str] = set()
    paths = {(row["path"], row["label"]) for row in next(iter(rows.values()))}
    for label in ("real", "generated"):
        members = sorted(path for path, of in paths if of == label)
        first |= {members[i] for i in generator.permutation(len(members))[: len(members) // 2]}
    return first, {path for path, _ in paths} - first


def flagged(calibration: Calibration, rows: Sequence[Row]) -> np.ndarray[Any, Any]:
    """(N,) whether each is likely generated; never without a threshold."""
    thresholds = [calibration.held_against(calibration.stratum_of(row)).threshold for row in rows]
    return calibration.scores(rows) > np.array([np.inf if t is None else t for t in thresholds])


def trials(
    rows: dict[str, list[Entry]], run: RunInfo, judged: Judged, form: str, **options: Any
) -> Iterator[dict[str, float]]:
    """Results of each split."""
    run = replace(run, methods=tuple(m for name in judged.methods for m in run.methods if m.name == name))
    by_form = {name: [Row.from_dict(row) for row in only(of, judged.methods)] for name, of in rows.items()}
    before, after = FORMS[form]
    for seed in range(SPLITS):
        first, second = halves(rows, seed)
        fitted = [row for name in before for row in by_form[name] if row.path in first]
        calibration = calibrate(fitted, run, combine=judged.combine, fit_share=0.3, near_copies=True, **options)
        tried = [row for name in after for row in by_form[name] if row.path in second]
        hits = flagged(calibration, tried)
        real = np.array([row.label == "real" for row in tried])
        drifted = drift(calibration, tried)
        assert calibration.odds is not None
        p = np.array([probability_of(calibration.odds, score, 0.5) for score in calibration.scores(tried)])
        yield {
            "false": float(hits[real].sum()),
            "photographs": float(real.sum()),
            "tpr": float(hits[~real].mean()),
            "without": float(all(stratum.threshold is None for stratum in calibration.strata.values())),
            "strata": float(max(len(calibration.strata) - 1, 1)),
            "drift": float(bool(drifted and drifted.warnings)),
            "brier": float(np.mean((p - ~real) ** 2)),
            "ece": expected_calibration_error(p, ~real),
        }


def line(results: list[dict[str, float]], fpr: float) -> dict[str, Any]:
    """Over all splits, and the first of them by itself."""
    column = {name: np.array([result[name] for result in results]) for name in results[0]}
    rates = column["false"] / column["photographs"]
    tests = [
        binomtest(int(k), int(n), fpr, "greater") for k, n in zip(column["false"], column["photographs"], strict=True)
    ]
    first = tests[0].proportion_estimate, tests[0].k, tests[0].n
    interval = binomtest(tests[0].k, tests[0].n).proportion_ci(0.95)
    low, high = np.quantile(rates, [0.025, 0.975])
    figures = {
        "strata_found": column["strata"].mean(),
        "without_threshold": column["without"].mean(),
        "fpr": rates.mean(),
        "fpr_low": low,
        "fpr_high": high,
        # An unlucky half may have a few more than promised; what counts is more than chance explains.
        "splits_above": np.mean([test.pvalue < 0.05 for test in tests]),
        "tpr": column["tpr"].mean(),
        "drift_told": column["drift"].mean(),
        "brier": column["brier"].mean(),
        "ece": column["ece"].mean(),
        "first_split_fpr": first[0],
        "first_split_low": interval.low,
        "first_split_high": interval.high,
        "first_split_tpr": results[0]["tpr"],
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--scores", default="evidence", help="results/NAME-ENCODING.csv were made by detection")
    parser.add_argument("--fpr", type=float, default=0.1)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    loaded = {encoding: load(scores_of(encoding, options.scores), options.data) for encoding in ("png", "jpeg-75")}
    run, rows = loaded["png"][0], {encoding: scored for encoding, (_, scored) in loaded.items()}
    there = {method.name for method in run.methods}
    table = []
    for judged in [judged for judged in CANDIDATES if there.issuperset(judged.methods)]:
        for form, facets in ((form, facets) for form in FORMS for facets in ((), tuple(FACETS))):
            results = list(trials(rows, run, judged, form, fpr=options.fpr, strata=facets))
            settings = {"score": judged.name, "images": form, "strata": "with" if facets else "without"}
            table.append(settings | {"target": options.fpr} | line(results, options.fpr))
            tqdm.write(str(table[-1]))
    counts = [sum(row["label"] == label for row in rows["png"]) for label in ("real", "generated")]
    output = options.output or RESULTS / f"calibration-{options.scores}.csv"
    write_table(
        output,
        f"{options.data.name}, centre crop of 320 px, {counts[0]} photographs and {counts[1]} generated images, "
        f"{SPLITS} random halves, confidence 0.95; {computed_by(run)}",
        table,
    )
    accompany(output, options.data)


if __name__ == "__main__":
    main()
