r"""Fits how the best of each search of the grain is distributed over photographs, into methods/grain/nulls-grain.json.

    python -m assets.searches --data photographs/ --dtype bfloat16 --trials searches.jsonl

To be run after `assets.nulls`, on the same photographs. Every stage of the search looks for the largest of many
contrasts that are not independent; how large that is in photographs is measured by making the same search in them. The
trials are stored, and a run that was killed continues where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.common.conditions import prepare
from benchmarks.common.data import read_manifest
from recon_detect import load_detector, open_picture
from recon_detect.atomic import replacing
from recon_detect.methods.grain import nulls
from recon_detect.methods.grain.grain import GRAIN
from recon_detect.methods.grain.search import STAGES, Crops
from recon_detect.models.registry import MODEL_SETS

MODELS = MODEL_SETS["tiny"]
# The image as it is is tested in a few poses only, for which Sidak's correction will do.
SEARCHES = ("scales", "places")

Trials = dict[str, dict[str, list[float]]]


def searched(detector: Any, x: torch.Tensor) -> dict[str, list[float]]:
    """The best of each search in one image (1, 3, H, W), by stage, in the order of the models."""
    null = nulls.find_nulls(GRAIN.name, MODELS)
    crops = Crops(detector.evidence(x).using(GRAIN.distance, MODELS), null)
    by_stage = {}
    for stage in SEARCHES:
        best = {trial.model: trial.best_pose()[0] for trial in STAGES[stage](crops, np.arange(1))}
        by_stage[stage] = [best[model] for model in range(len(MODELS))]
    return by_stage


def read(path: Path) -> Trials:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {row["image"]: row["best"] for row in map(json.loads, lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--conditions", default="png,jpeg-75+offgrid-7")
    parser.add_argument("--crop", type=int, default=512)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--trials", type=Path, required=True, help="file of the trials")
    options = parser.parse_args()
    paths = [row["path"] for row in read_manifest(options.data)]
    wanted = [(f"{condition}:{path}", condition, path) for path in paths for condition in options.conditions.split(",")]
    done = read(options.trials)
    detector = load_detector(GRAIN.name, models=MODELS, dtype=options.dtype, device="cpu")
    with options.trials.open("a", encoding="utf-8") as file:
        for name, condition, path in tqdm(wanted, unit="image"):
            if name not in done:
                x = open_picture(prepare(options.data / path, options.crop, condition)).tensor()[None]
                with torch.inference_mode():
                    best = searched(detector, x)
                file.write(json.dumps({"image": name, "best": best}) + "\n")
                file.flush()
    trials = read(options.trials)
    content = json.loads(nulls.file_of(GRAIN.name).read_text(encoding="utf-8"))
    for stage in SEARCHES:
        values = np.array([trials[name][stage] for name, _, _ in wanted])
        for model, of_model in zip(MODELS, values.T, strict=True):
            mean, deviation = float(of_model.mean()), float(of_model.std(ddof=1))
            content[GRAIN.name][model]["searches"][stage] = {"mean": round(mean, 4), "deviation": round(deviation, 4)}
            z = (of_model - mean) / deviation
            print(f"{stage:7} {model:8} n={len(z)}, mean {mean:.2f}, deviation {deviation:.2f}, above 1.645: "
                  f"{np.mean(z > 1.645):.3f}, 2.326: {np.mean(z > 2.326):.3f}, largest {z.max():.2f}")  # fmt: skip
    with replacing(nulls.file_of(GRAIN.name)) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
