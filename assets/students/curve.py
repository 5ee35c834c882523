r"""Learning curve of a student: AUROC by its decibels, and by the hours of training.

    for n in 100 350 700 1400; do
        python -m assets.students.autoencoders taesd --photographs photographs/ --runs runs-$n/ --rounds $n
    done
    python -m assets.students.curve taesd --data ../shared/eval --runs runs-*/ --output results/curve.csv

Each run has a schedule of its own length. The contrast, with the distance of the package, on images of the teacher's
decoder family against photographs; the last line is the teacher's own.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file

from assets.students.ship import last_of, likeness, weights_of
from benchmarks.common.data import large_enough, read_manifest, write_table
from benchmarks.common.families import SD
from benchmarks.common.metrics import RESAMPLES, auroc, intervals
from benchmarks.common.scores import Input, batch_size, computed_by, score
from recon_detect import load_detector
from recon_detect.evidence.distances import FEATURES
from recon_detect.models.pixel_diffusion import WEIGHTS
from recon_detect.models.weights import Weights, find_weights
from recon_detect.results import RunInfo

MEASURED = ("latents", "decoder", "both")


def unpacked(run: Path, teacher: Weights) -> Path:
    """The student of a run as a folder in diffusers' format, in float16 as it would be shipped."""
    folder = run / "student"
    folder.mkdir(exist_ok=True)
    save_file(weights_of(run, "student"), folder / WEIGHTS)
    (folder / "config.json").write_text((teacher.folder / "config.json").read_text(encoding="utf-8"), encoding="utf-8")
    return folder


def separation(model: str, inputs: list[Input], output: Path, options: argparse.Namespace) -> tuple[RunInfo, Any]:
    """AUROC with its interval."""
    size = batch_size(options.device, None)
    detector = load_detector(
        "contrast", models=model, distance=FEATURES, device=options.device, dtype=options.dtype, batch_size=size
    )
    run, rows = score(detector, inputs, output)
    scores = np.array([row["score"] for row in rows])
    real = np.array([row["label"] == "real" for row in rows])
    low, high = intervals(scores[real], scores[~real], ())["auroc"]
    columns = {"photographs": int(real.sum()), "generated": int((~real).sum())}
    figures = {"auroc": auroc(scores[real], scores[~real]), "auroc_low": low, "auroc_high": high}
    return run, columns | {name: round(value, 4) for name, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", help="name of a tiny autoencoder")
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="folders of runs of that teacher")
    parser.add_argument("--autoencoder", default=SD, help="of the generated images, as in the manifest")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    inputs = [
        Input(options.data / row["path"], row["path"], row["label"], options.crop, "png")
        for row in large_enough(read_manifest(options.data), options.crop)
        if row["label"] == "real" or row["autoencoder"] == options.autoencoder
    ]
    teacher = find_weights(options.teacher)
    original = load_file(teacher.folder / teacher.filename)
    lines = []
    for run in sorted((runs / options.teacher for runs in options.runs), key=lambda run: last_of(run)["round"]):
        last = last_of(run)
        folder = unpacked(run, teacher)
        _, figures = separation(str(folder), inputs, run / "scores.csv", options)
        alike = round(likeness(load_file(folder / WEIGHTS), original), 4)
        trained = {"rounds": last["round"], "hours": round(last["seconds"] / 3600, 3)}
        lines.append(
            {"model": "student", **trained, **{f"{n} dB": last[n] for n in MEASURED}, "cosine": alike, **figures}
        )
    info, figures = separation(options.teacher, inputs, options.output, options)
    lines.append(dict.fromkeys(lines[0], "") | {"model": options.teacher} | figures)
    conditions = (
        f"students of {options.teacher}, contrast with {FEATURES}; {options.data.resolve().name}, images of "
        f"{options.autoencoder}, centre crop of {options.crop} px, both classes as png; intervals by {RESAMPLES} "
        f"bootstrap resamples; trained on one core; {computed_by(info)}"
    )
    write_table(options.output, conditions, lines)
    print(json.dumps(lines, indent=1))


if __name__ == "__main__":
    main()
