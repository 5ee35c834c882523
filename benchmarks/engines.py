"""Scores and CPU seconds of a tiny autoencoder by torch and by ncnn, image by image in turn.

    python -m benchmarks.engines --data ../shared/eval --models mini-sd --number 20

The first 20 photographs and the first 20 images of the family, centre crops stored as PNG, on one thread. The images of
a round are scored by one engine after the other, so that what else the machine does changes both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from benchmarks.common.data import RESULTS, large_enough, read_manifest, write_table
from benchmarks.common.metrics import auroc
from benchmarks.methods_speed import cpu
from recon_detect import Detector, load_detector
from recon_detect.images.transform import Transform
from recon_detect.models.engines import ENGINE_VARIABLE, NCNN, TORCH

OUTPUT = RESULTS / "engines-cpu.csv"


def pictures(data: Path, family: str, number: int, side: int) -> dict[str, list[np.ndarray]]:
    """Centre crops of photographs and of images by one autoencoder."""
    rows = large_enough(read_manifest(data), side)
    chosen = {
        "real": [row for row in rows if row["label"] == "real"][:number],
        "generated": [row for row in rows if row["autoencoder"] == family][:number],
    }
    crop = Transform(side)
    return {label: [np.array(crop.image(data / row["path"])) for row in of_label] for label, of_label in chosen.items()}


def load(engine: str, method: str, models: str) -> Detector:
    """A detector by one engine."""
    with mock.patch.dict("os.environ", {ENGINE_VARIABLE: engine}):
        return load_detector(method, models=models, device="cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--method", default="trace")
    parser.add_argument("--models", default="mini-sd")
    parser.add_argument("--family", default="SD kl-f8")
    parser.add_argument("--number", type=int, default=20, help="of images of each class")
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    detectors = {engine: load(engine, options.method, options.models) for engine in (TORCH, NCNN)}
    images = pictures(options.data, options.family, options.number, options.size)
    scores: dict[str, dict[str, list[float]]] = {engine: {label: [] for label in images} for engine in detectors}
    seconds: dict[str, list[float]] = {engine: [] for engine in detectors}
    for label, of_label in images.items():
        for image in of_label:
            for engine, detector in detectors.items():
                started = time.process_time()
                scores[engine][label] += detector.score(image, progress=False).raise_for_errors().scores.tolist()
                seconds[engine].append(time.process_time() - started)
    every = {engine: np.concatenate(list(by_label.values())) for engine, by_label in scores.items()}
    ratios = {engine: np.divide(seconds[TORCH], taken) for engine, taken in seconds.items()}
    table = [
        {
            "engine": engine,
            "auroc": f"{auroc(*(np.array(part) for part in by_label.values())):.4f}",
            "largest_difference": f"{np.abs(every[engine] - every[TORCH]).max():.1e}",
            "scores_from": f"{every[engine].min():.3f}",
            "scores_to": f"{every[engine].max():.3f}",
            "seconds_least": round(min(seconds[engine]), 2),
            "ratio_of_least": round(min(seconds[TORCH]) / min(seconds[engine]), 2),
            "seconds": round(statistics.median(seconds[engine]), 2),
            "ratio": round(float(np.median(ratios[engine])), 2),
            "ratio_quarter": round(float(np.quantile(ratios[engine], 0.25)), 2),
            "ratio_three_quarters": round(float(np.quantile(ratios[engine], 0.75)), 2),
        }
        for engine, by_label in scores.items()
    ]
    busy = Path("/proc/loadavg").read_text(encoding="ascii").split()[1]
    conditions = (
        f"{options.method} with {options.models}, {len(images['real'])} photographs and {len(images['generated'])} "
        f"images by {options.family}, crops of {options.size} px; CPU seconds an image on one thread, least "
        f"and median; ratio: median and quartiles of the images; {cpu()}, load average {busy} of "
        f"{os.cpu_count()} cores; torch {torch.__version__}"
    )
    write_table(options.output, conditions, table)
    for line in table:
        print(line)


if __name__ == "__main__":
    main()
