"""Separation of photographs and generated images by method and decoder family, on a data set with a manifest.

    python -m benchmarks.detection --data ../shared/eval --models taesd --crop 320

The manifest is a ``manifest.csv`` with the columns path, label, generator and autoencoder. Both classes go through the
same centre crop on the 32-pixel grid and the same re-encoding, so that neither size nor file format can separate them.
Methods that search take a sample of the images on a CPU, unless ``--images`` says otherwise.
Scores are kept beside the results by the content of the images, and a run that was killed goes on where it stopped.
Writes a table (CSV), ROC curves (PNG) and a report (HTML).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.data import RESULTS, ManifestRow, large_enough, read_manifest, write_table
from benchmarks.common.metrics import CONFIDENCE, FOLDS, RESAMPLES, summary
from benchmarks.common.sampling import SAMPLE, SEARCHING, add_argument, in_turn, number_of
from benchmarks.common.scores import Input, batch_size, computed_by, computed_name, score
from benchmarks.report.report import accompany
from recon_detect import Detector, load_detector
from recon_detect.images.transform import GRID
from recon_detect.methods import FORMER_NAMES, METHODS, Need, find_method
from recon_detect.results import MethodInfo, RunInfo


def find_methods(names: str) -> list[str]:
    """The methods of a list; of "all" those that need nothing but autoencoders, each by one name."""
    if names != "all":
        return [find_method(name).name for name in names.split(",")]
    methods = [find_method(name) for name in METHODS if name not in FORMER_NAMES]
    return [m.name for m in methods if m.models and m.needs <= {Need.AUTOENCODERS, Need.NULLS}]


def evaluate(rows: list[ManifestRow], scores: list[float], fpr: float) -> list[dict[str, object]]:
    """One line for all images, one per decoder family, one per generator; the photographs are always all."""
    real = np.array([value for row, value in zip(rows, scores, strict=True) if row["label"] == "real"])
    generated = [(row, value) for row, value in zip(rows, scores, strict=True) if row["label"] != "real"]
    groups = {"all": [value for _, value in generated]}
    for column in ("autoencoder", "generator"):
        for row, value in generated:
            groups.setdefault(f"{column}: {row[column]}", []).append(value)
    return [{"group": name, **summary(real, np.array(values), fpr)} for name, values in groups.items()]


def lines_of(
    method: MethodInfo, entries: list[dict[str, Any]], rows: list[ManifestRow], run: RunInfo, fpr: float
) -> list[dict[str, object]]:
    """The lines of one method, each with what it was computed by."""
    pairs = [(row, entry["scores"].get(method.name)) for row, entry in zip(rows, entries, strict=True)]
    pairs = [(row, score) for row, score in pairs if score is not None]
    settings: dict[str, object] = {
        "method": f"{method.name}, as published" if run.compat else method.name,
        "distance": method.distance,
        "models": "+".join(method.models).replace("/", "_"),
        "dtype": run.models[0].dtype,
    }
    if len({row["label"] for row, _ in pairs}) < 2:
        raise SystemExit(f"{method.name}: expected scores of photographs and of generated images; look at the journal")
    images, scores = zip(*pairs, strict=True)
    return [settings | line for line in evaluate(list(images), list(scores), fpr)]


def conditions_of(run: RunInfo, options: argparse.Namespace, sample: str, small: int, failed: int) -> str:
    """Conditions of the table."""
    return (
        f"{options.data.resolve().name}{sample}, centre crop of {options.crop} px on the {GRID}-px grid, both classes "
        f"as {options.encoding}, {small} smaller images left out, {failed} failed; intervals by {RESAMPLES} bootstrap "
        f"resamples; thresholds for {options.fpr:.0%} false positives with {CONFIDENCE:.0%} confidence, each "
        f"photograph held against that of the other {FOLDS - 1} of {FOLDS} folds; {computed_by(run)}"
    )


def name_of(detector: Detector, options: argparse.Namespace) -> str:
    """Name of the results: hardware, settings and data."""
    by = computed_name(detector.run_info, options.methods)
    return f"detection-{by}-crop{options.crop}-{options.encoding}-{detector.device.type}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--methods", default="aeroblade", help="separated by commas: one pass for all; or 'all'")
    parser.add_argument("--models", default=None, help="names separated by commas; default: the method's own")
    parser.add_argument("--distance", default=None)
    add_argument(parser, f"all; {SAMPLE} on a CPU if {', '.join(SEARCHING)} is among the methods")
    parser.add_argument("--crop", type=int, default=320, help="side of the centre crop; 0 keeps images whole")
    parser.add_argument("--encoding", default="png", help="png, jpeg-75, webp-80, ...: applied to both classes")
    parser.add_argument("--fpr", type=float, default=0.05, help="what thresholds are calibrated for")
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--batch-size", type=int, default=None, help="default: 1 on the CPU")
    parser.add_argument("--compat", default=None, help="published")
    parser.add_argument("--output", type=Path, default=None, help="default: a name with the conditions in results/")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    detector = load_detector(
        find_methods(options.methods),
        models=options.models.split(",") if options.models else None,
        distance=options.distance,
        device=options.device,
        dtype=options.dtype,
        compat=options.compat,
        batch_size=batch_size(options.device, options.batch_size),
    )
    every = read_manifest(options.data)
    rows = large_enough(every, options.crop)
    small, name, sample = len(every) - len(rows), name_of(detector, options), ""
    searching = any(method.name in SEARCHING for method in detector.run_info.methods)
    number = number_of(options.images, detector.device, long=searching)
    if number < len(rows):
        name, sample = f"{name}-{number}", f" (a sample of {number} of {len(rows)} images)"
        print(f"{options.data}{sample}; --images all takes all", file=sys.stderr)
        rows = in_turn(rows)[:number]
    output = options.output or RESULTS / f"{name}.csv"
    inputs = [
        Input(options.data / row["path"], row["path"], row["label"], options.crop, options.encoding) for row in rows
    ]
    run, entries = score(detector, inputs, output)
    failed = sum(entry["error"] is not None for entry in entries)
    table = [line for method in run.methods for line in lines_of(method, entries, rows, run, options.fpr)]
    write_table(output, conditions_of(run, options, sample, small, failed), table)
    accompany(output, options.data)
    for line in table:
        print(f"{line['method']:18} {line['group']:45} n={line['generated']:3} AUROC {line['auroc']:.3f} "
              f"[{line['auroc_low']:.3f}, {line['auroc_high']:.3f}] TPR@5%FPR {line['tpr_at_5_fpr']:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
