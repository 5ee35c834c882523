"""Every method under every condition, both classes alike, from one evidence pass per image.

    python -m benchmarks.robustness --data ../shared/eval --dtype bfloat16

The detectors are those that users run. Photographs and generated images are taken in turn, in random order with each
decoder family in its share, and each under all conditions before the next, so that a run that is stopped early is a
sample of the whole; a run that was killed goes on where it stopped. ``--report`` writes the tables of what is there
already.

Thresholds at a nominal rate are those of scores in standard deviations of photographs, which come from other
photographs than these; the other methods have none.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import platform
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm
from tqdm import tqdm

from benchmarks.ablation import FAMILIES, summary
from benchmarks.conditions import prepare
from benchmarks.detection import RESAMPLES, RESULTS, known_methods, write_table
from benchmarks.scored import read_journal
from recon_detect import Source, load_detector
from recon_detect.images.transform import GRID
from recon_detect.methods import find_method
from recon_detect.output import Journal

CONDITIONS = (
    "png,jpeg-75,resize-0.75,resize-0.5,offgrid-7,mirror,jpeg-90,jpeg-50,webp-80,resize-1.5,turn,blur-0.5,noise-2"
)
DECODERS = dict(zip(FAMILIES, ("sd", "sdxl", "flux1", "sd3"), strict=True))

Row = dict[str, str]


def in_turn(rows: list[Row], seed: int = 0) -> list[Row]:
    """Photographs and generated images in turn, in random order but for the decoder families.

    Of those, any first part has about the share that each has of all images.
    """
    shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    families = Counter(row["autoencoder"] for row in rows)
    seen: Counter[str] = Counter()
    position = {}
    for row in shuffled:
        position[row["path"]] = (seen[row["autoencoder"]] + 0.5) / families[row["autoencoder"]]
        seen[row["autoencoder"]] += 1
    shuffled.sort(key=lambda row: position[row["path"]])
    classes = [[row for row in shuffled if (row["label"] == "real") == real] for real in (True, False)]
    return [row for pair in itertools.zip_longest(*classes) for row in pair if row]


def sources(data: Path, rows: list[Row], crop: int, conditions: list[str], done: set[str]) -> Iterator[Source]:
    """Prepared images that have no scores yet."""
    for row, condition in itertools.product(rows, conditions):
        if (name := f"{condition}:{row['path']}") not in done:
            yield Source(prepare(data / row["path"], crop, condition), name, row["label"])


def line(method: str, scores: np.ndarray, decoders: list[str], rows: list[Row]) -> dict[str, Any]:
    """One method under one condition."""
    real = np.array([row["label"] == "real" for row in rows])
    family = np.array([row["autoencoder"] for row in rows])
    found: dict[str, Any] = {"real": int(real.sum()), "generated": int((~real).sum())}
    found |= summary(scores, rows) | {f"{name} n": int((family == name).sum()) for name in FAMILIES}
    nominal = find_method(method).null
    for rate in (0.05, 0.01):
        threshold = norm.isf(rate)
        found[f"fpr_at_nominal_{rate:g}"] = np.mean(scores[real] > threshold) if nominal else ""
        found[f"tpr_at_nominal_{rate:g}"] = np.mean(scores[~real] > threshold) if nominal else ""
    told = [
        decoder == DECODERS[row["autoencoder"]]
        for decoder, row, value in zip(decoders, rows, scores, strict=True)
        if decoder and row["autoencoder"] in DECODERS and value > norm.isf(0.05)
    ]
    found["decoder_right"] = np.mean(told) if told else ""
    return {name: round(float(v), 4) if isinstance(v, float | np.floating) else v for name, v in found.items()}


def report(entries: list[dict[str, Any]], rows: list[Row], conditions: list[str]) -> list[dict[str, Any]]:
    """One line per method and condition, of the images that have been scored under it."""
    by_path = {row["path"]: row for row in rows}
    table = []
    for condition in conditions:
        kept = [entry for entry in entries if entry["path"].startswith(f"{condition}:") and not entry["error"]]
        images = [by_path[entry["path"].partition(":")[2]] for entry in kept]
        if len({row["label"] for row in images}) < 2:
            continue
        for method in kept[0]["scores"]:
            scores = np.array([entry["scores"][method] for entry in kept], dtype=np.float64)
            decoders = [entry["details"].get(method, {}).get("decoder", "") for entry in kept]
            table.append({"method": method, "condition": condition} | line(method, scores, decoders, images))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--methods", default=",".join(known_methods()))
    parser.add_argument("--models", default="tiny")
    parser.add_argument("--conditions", default=CONDITIONS, help="separated by commas: see benchmarks/conditions.py")
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--images", type=int, default=None, help="only the first of the random order")
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--batch-size", type=int, default=None)
    parser.add_argument("--report", action="store_true", help="compute nothing, write the table of what is there")
    parser.add_argument("--output", type=Path, default=RESULTS / "robustness-crop320.csv")
    options = parser.parse_args()
    conditions = options.conditions.split(",")
    with (options.data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if min(int(row["width"]), int(row["height"])) >= options.crop]
    rows = in_turn(rows)[: options.images]
    detector = load_detector(
        options.methods.split(","),
        models=options.models.split(","),
        device=options.device,
        dtype=options.dtype,
        batch_size=options.batch_size,
    )
    run = detector.run_info
    journal = Journal(options.output.with_suffix(".scores.jsonl"), run.to_dict())
    if not options.report:
        with journal:
            waiting = sources(options.data, rows, options.crop, conditions, journal.done)
            total = len(rows) * len(conditions)
            for result in tqdm(detector.stream(waiting), total=total, initial=len(journal.done), unit="image"):
                journal.add(result.to_dict(run.fingerprint))
    _, entries = read_journal(journal.path)
    table = report(entries, rows, conditions)
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    write_table(
        options.output,
        f"{options.data.name}, centre crop of {options.crop} px on the {GRID}-px grid, then the condition, "
        f"both classes alike; {', '.join(model.name for model in run.models)} in {run.models[0].dtype}, the largest "
        "score over the models; nulls of other photographs, as shipped; intervals by "
        f"{RESAMPLES} bootstrap resamples; {run.device} {platform.machine()}; {versions}",
        table,
    )


if __name__ == "__main__":
    main()
