"""Every method under every condition, both classes alike, from one evidence pass per image.

    python -m benchmarks.robustness --data ../shared/eval
    python -m benchmarks.robustness --data ../shared/eval --methods all --models tiny --conditions png,jpeg,webp

Without ``--methods`` and ``--models``, the detector is the one that users get who name none. Photographs and generated
images are taken in turn, in random order with each decoder family in its share, and each under all conditions before
the next, so that any first part is a sample of the whole. A run that was killed goes on where it stopped, and one with
more ``--images`` goes on from there. ``--report`` writes the results of what is there already: a table (CSV), the AUROC
against the strength of each curve of conditions (PNG), and a report (HTML).

Thresholds at a nominal rate are those of scores in standard deviations of photographs, which come from other
photographs than these; the other methods have none.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from benchmarks.common.conditions import CURVES, SINGLE, curve_of, expand
from benchmarks.common.data import RESULTS, ManifestRow, journal_of, large_enough, read_manifest, write_table
from benchmarks.common.families import FAMILIES
from benchmarks.common.metrics import RESAMPLES, auroc, intervals, tpr_at_fpr
from benchmarks.common.sampling import SAMPLE, add_argument, in_turn, number_of
from benchmarks.common.scores import Input, batch_size, computed_by, computed_name, read_journal, score
from benchmarks.detection import find_methods
from benchmarks.report.report import accompany
from recon_detect import load_detector
from recon_detect.images.transform import GRID
from recon_detect.methods import DEFAULT_METHOD, Need, find_method


def line(method: str, scores: np.ndarray, decoders: list[str], rows: list[ManifestRow]) -> dict[str, Any]:
    """One method under one condition."""
    real = np.array([row["label"] == "real" for row in rows])
    family = np.array([row["autoencoder"] for row in rows])
    values: dict[str, Any] = {"real": int(real.sum()), "generated": int((~real).sum())}
    values |= summary(scores, rows) | {f"{name} n": int((family == name).sum()) for name in FAMILIES}
    nominal = Need.NULLS in find_method(method).needs
    for rate in (0.05, 0.01):
        threshold = norm.isf(rate)
        values[f"fpr_at_nominal_{rate:g}"] = np.mean(scores[real] > threshold) if nominal else ""
        values[f"tpr_at_nominal_{rate:g}"] = np.mean(scores[~real] > threshold) if nominal else ""
    hits = [
        decoder == FAMILIES[row["autoencoder"]]
        for decoder, row, value in zip(decoders, rows, scores, strict=True)
        if decoder and row["autoencoder"] in FAMILIES and value > norm.isf(0.05)
    ]
    values["decoder_right"] = np.mean(hits) if hits else ""
    return {name: round(float(v), 4) if isinstance(v, float | np.floating) else v for name, v in values.items()}


def summary(score: np.ndarray, rows: list[ManifestRow]) -> dict[str, object]:
    """Area, rates at fixed false-positive rates, and the area of each family of decoders."""
    real = np.array([row["label"] == "real" for row in rows])
    family = np.array([row["autoencoder"] for row in rows])
    low, high = intervals(score[real], score[~real])["auroc"]
    line: dict[str, object] = {
        "auroc": round(auroc(score[real], score[~real]), 4),
        "auroc_low": round(low, 4),
        "auroc_high": round(high, 4),
        "tpr_at_1_fpr": round(tpr_at_fpr(score[real], score[~real], 0.01), 4),
        "tpr_at_5_fpr": round(tpr_at_fpr(score[real], score[~real], 0.05), 4),
    }
    for name in FAMILIES:
        members = score[family == name]
        line[name] = round(auroc(score[real], members), 4) if len(members) else ""
    return line


def report(entries: list[dict[str, Any]], rows: list[ManifestRow], conditions: list[str]) -> list[dict[str, Any]]:
    """One line per method and condition, of the images that have been scored under it."""
    by_path = {row["path"]: row for row in rows}
    table = []
    for condition in conditions:
        scored = [
            (by_path[path], entry)
            for entry in entries
            for name, _, path in [entry["path"].partition(":")]
            if name == condition and path in by_path and not entry["error"]
        ]
        family, strength = curve_of(condition) or ("", "")
        for method in scored[0][1]["scores"] if scored else ():
            pairs = [(row, entry) for row, entry in scored if entry["scores"][method] is not None]
            images = [row for row, _ in pairs]
            if len({row["label"] for row in images}) < 2:
                continue
            scores = np.array([entry["scores"][method] for _, entry in pairs], dtype=np.float64)
            decoders = [entry["details"].get(method, {}).get("decoder", "") for _, entry in pairs]
            about = {"method": method, "condition": condition, "family": family, "strength": strength}
            table.append(about | line(method, scores, decoders, images))
    return table


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--methods", default=DEFAULT_METHOD, help="separated by commas: one pass for all; or 'all'")
    parser.add_argument("--models", default=None, help="names separated by commas; default: those of the package")
    parser.add_argument(
        "--conditions",
        default=",".join([*SINGLE, *CURVES]),
        help=f"chains (benchmarks/common/conditions.py) and curves ({', '.join(CURVES)}), separated by commas",
    )
    parser.add_argument("--crop", type=int, default=320)
    add_argument(parser, f"{SAMPLE} on a CPU, all on a GPU")
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--batch-size", type=int, default=None, help="default: 1 on the CPU")
    parser.add_argument("--report", action="store_true", help="compute nothing, write the table of what is there")
    parser.add_argument("--output", type=Path, default=None, help="default: a name with the conditions in results/")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    conditions = expand(options.conditions.split(","))
    detector = load_detector(
        find_methods(options.methods),
        models=options.models.split(",") if options.models else None,
        device=options.device,
        dtype=options.dtype,
        batch_size=batch_size(options.device, options.batch_size),
    )
    by = computed_name(detector.run_info, options.methods)
    output = options.output or RESULTS / f"robustness-{by}-crop{options.crop}-{detector.device.type}.csv"
    rows = in_turn(large_enough(read_manifest(options.data), options.crop))
    rows = rows[: number_of(options.images, detector.device, long=True)]
    if options.report:
        run, entries = read_journal(journal_of(output))
    else:
        inputs = [
            Input(options.data / row["path"], f"{condition}:{row['path']}", row["label"], options.crop, condition)
            for row, condition in itertools.product(rows, conditions)
        ]
        run, entries = score(detector, inputs, output)
    write_table(
        output,
        f"{options.data.resolve().name}, centre crop of {options.crop} px on the {GRID}-px grid, then the condition, "
        f"both classes alike; the largest score over the models; nulls of other photographs, as shipped; intervals by "
        f"{RESAMPLES} bootstrap resamples; {computed_by(run)}",
        report(entries, rows, conditions),
    )
    accompany(output, options.data)


if __name__ == "__main__":
    main()
