"""The evidence of a data set, computed once: error maps by condition, scale, model, view, pass and distance.

    python -m assets.evidence --data ../shared/eval --conditions png,jpeg-75 --output evidence/

One safetensors file per image and condition, with tensors ``SCALE/MODEL/VIEW/PASSES/DISTANCE`` of means over blocks of
32 px of the error map, turned back upright, from which `benchmarks.ablation` computes every combination without a
network. Existing files stay: a run that was killed continues.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from tqdm import tqdm

from benchmarks.ablation import VIEWS as ABLATION_VIEWS
from benchmarks.common.conditions import prepare
from benchmarks.common.data import large_enough, read_manifest
from recon_detect import load_detector, open_picture
from recon_detect.atomic import replacing
from recon_detect.evidence import Evidence
from recon_detect.evidence.texture import block_means
from recon_detect.evidence.views import VIEWS
from recon_detect.methods.grain.contrasts import POSES
from recon_detect.methods.grain.crops import CROP_SIDE, crop
from recon_detect.models.lpips import load_lpips

DISTANCES = ("lpips_vgg_2", "lpips_vgg_1", "bandpass_l2", "highpass_l2", "l2", "l1")
# View that lays the map of a view back over the image, by the beginning of its name.
BACK = {"hflip": "hflip", "rot90": "rot270", "rot180": "rot180"}


def collect(e: Evidence, views: list[str], passes: int) -> dict[str, np.ndarray]:
    """All block means of one image."""
    wanted = [(view, 1) for view in views] + [("identity", number) for number in range(2, passes + 1)]

    def blocks(model: int, view: str, number: int, distance: str) -> np.ndarray:
        error_map = e.error_map(model, distance, view=view, passes=number)
        turned = BACK.get(view.partition("+")[0])
        return block_means(VIEWS[turned](error_map) if turned else error_map, e.image())[0].numpy()

    return {
        f"{autoencoder.name}/{view}/{number}/{distance}": blocks(model, view, number, distance)
        for model, autoencoder in enumerate(e.reconstructors)
        for view, number in wanted
        for distance in e.distances.names
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--conditions", default="png", help="separated by commas: see benchmarks/common/conditions.py")
    parser.add_argument("--output", type=Path, required=True, help="folder for the evidence (gigabytes)")
    parser.add_argument("--models", default="tiny")
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--side", type=int, default=CROP_SIDE, help="side of the crop in pixels, after scaling")
    parser.add_argument("--scales", default="1", help="scales of the crops, separated by commas; fractions as 4/3")
    parser.add_argument("--distances", default=",".join(DISTANCES))
    parser.add_argument(
        "--views", default=";".join(POSES), help="separated by semicolons; 'ablation' for all that it compares"
    )
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--images", type=int, default=None, help="only the first of the random order")
    parser.add_argument("--part", default="0/1", help="K/N: every Nth image from the Kth, for several processes")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    part, parts = map(int, options.part.split("/"))

    rows = large_enough(read_manifest(options.data), options.crop)
    # The order is random, so that a part of the work is a sample of the whole.
    order = np.random.default_rng(0).permutation(len(rows))[: options.images][part::parts]
    detector = load_detector("aeroblade", models=options.models.split(","), dtype=options.dtype, device="cpu")
    lowered = torch.bfloat16 if options.dtype == "bfloat16" else torch.float32
    distances = tuple(options.distances.split(","))
    models = replace(detector.models, distances=distances, lpips=load_lpips(distances, detector.device, lowered))
    views = ABLATION_VIEWS if options.views == "ablation" else options.views.split(";")
    scales = [float(Fraction(scale)) for scale in options.scales.split(",")]
    for condition in options.conditions.split(","):
        folder = options.output / condition
        folder.mkdir(parents=True, exist_ok=True)
        for number in tqdm(order, desc=condition, unit="image"):
            row = rows[number]
            path = folder / f"{row['sha256'][:16]}.safetensors"
            if path.exists():
                continue
            picture = prepare(options.data / row["path"], options.crop, condition)
            x = open_picture(picture).tensor()[None]
            tensors: dict[str, np.ndarray] = {}
            with torch.inference_mode():
                for scale in scales:
                    view, _ = crop(x, scale, options.side)
                    means = collect(Evidence(view, models), views, options.passes)
                    tensors |= {f"{scale:.4f}/{key}": np.ascontiguousarray(value) for key, value in means.items()}
            with replacing(path) as temporary:
                save_file(tensors, temporary, metadata={"path": row["path"]})


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
