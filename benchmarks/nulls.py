r"""Fits the distributions of the grain's contrasts over photographs and writes recon_detect/nulls.json.

    python -m benchmarks.photographs --packages packages/ --output photographs/
    python -m benchmarks.evidence --data photographs/ --crop 512 --scales 1,4/3,2,2/3 \
        --distances lpips_vgg_1,lpips_vgg_2 --output null/
    python -m benchmarks.nulls --evidence null/png --source "what the photographs are"

Any folder with a manifest.csv (path, label, width, height, sha256) of photographs that no benchmark uses will do. From
each look, windows of several sizes are taken. Mean and variance of the contrast of each pose are those of
greatest likelihood, the variance as `recon_detect.nulls.Nulls` has it.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from scipy.optimize import minimize

from recon_detect import nulls
from recon_detect.files import replacing
from recon_detect.looks import SCALES
from recon_detect.methods.grain import FLOOR, GRAIN, POSES, PRIOR
from recon_detect.models.registry import AUTOENCODERS, MODEL_SETS

MODELS = MODEL_SETS["tiny"]
# Autoencoders with 16 channels keep finer detail than those with 4, and so is their grain finer (docs/methods.md).
DISTANCES = {4: ("lpips_vgg_2",), 16: ("lpips_vgg_2", "lpips_vgg_1")}
WINDOWS = (4, 6, 8, 10)


def windows(size: int, window: int) -> list[tuple[slice, slice]]:
    """Windows without overlap, as many as fit, from the top left."""
    starts = range(0, size - window + 1, window)
    return [(slice(y, y + window), slice(x, x + window)) for y in starts for x in starts]


def measure(blocks: dict[str, np.ndarray], model: str, part: tuple[slice, slice], scale: float = 1.0) -> np.ndarray:
    """The contrasts of the poses in a window, and over how many blocks the error spreads."""

    def error_map(pose: str, distance: str) -> np.ndarray:
        return blocks[f"{scale:.4f}/{model}/{pose}/1/{distance}"][part]

    logs = {
        pose: np.mean([np.log(error_map(pose, distance).mean() + FLOOR) for distance in distances_of(model)])
        for pose in POSES
    }
    sought = np.array([logs[pose] for pose in PRIOR])
    upright = error_map("identity", GRAIN.distance)
    contrasts = (sum(logs.values()) - sought) / (len(POSES) - 1) - sought
    return np.r_[contrasts, upright.sum() ** 2 / np.square(upright).sum()]


def distances_of(model: str) -> tuple[str, ...]:
    return DISTANCES[AUTOENCODERS[model].latent_channels]


def fit(by_window: dict[int, np.ndarray]) -> dict[str, Any]:
    """The parameters of greatest likelihood of (N, P + 1) measured windows of each size; all sizes count alike."""
    measured = np.concatenate(list(by_window.values()))
    weights = np.concatenate([np.full(len(part), 1 / len(part)) for part in by_window.values()])
    unit = measured[:, :-1].std()  # the search wants parameters of one size
    contrasts, log_blocks = measured[:, :-1] / unit, np.log(measured[:, -1:])
    poses = contrasts.shape[1]

    def cost(parameters: np.ndarray) -> float:
        mean, log_variance, area = parameters[:poses], parameters[poses:-1], parameters[-1]
        log_variance = log_variance - area * log_blocks
        costs = log_variance + np.square(contrasts - mean) * np.exp(-log_variance)
        return float(np.average(costs.mean(axis=1), weights=weights))

    start = np.r_[np.zeros(poses), np.full(poses, log_blocks.mean()), 1.0]
    found = minimize(cost, start, method="L-BFGS-B").x
    mean, variance = (dict(zip(PRIOR, part.round(7).tolist(), strict=True)) for part in
                      (unit * found[:poses], unit**2 * np.exp(found[poses:-1])))  # fmt: skip
    return {"mean": mean, "variance": variance, "area": round(float(found[-1]), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evidence", type=Path, required=True)
    parser.add_argument("--source", required=True, help="what the photographs are, for the file")
    options = parser.parse_args()
    images = [load_file(path) for path in sorted(options.evidence.glob("*.safetensors"))]
    table: dict[str, Any] = {}
    for model, scale in itertools.product(MODELS, SCALES):
        size = images[0][f"{scale:.4f}/{model}/identity/1/{GRAIN.distance}"].shape[0]
        by_window = {
            window: np.array([measure(b, model, part, scale) for b in images for part in windows(size, window)])
            for window in WINDOWS
            if window <= size
        }
        found = fit(by_window)
        table.setdefault(model, {"distances": list(distances_of(model)), "scales": {}})
        table[model]["scales"][f"{scale:.4f}"] = found
        mean, variance = (np.array(list(found[name].values())) for name in ("mean", "variance"))
        for window, measured in by_window.items():
            z = (measured[:, :-1] - mean) * np.sqrt(measured[:, -1:] ** found["area"] / variance)
            print(f"{model:8} x {scale:.2f} {window * 32:4} px n={len(z):4} upright: deviation {z[:, 0].std():.2f}, "
                  f"above 1.645: {np.mean(z[:, 0] > 1.645):.3f}, above 2.326: {np.mean(z[:, 0] > 2.326):.3f}; "
                  f"all poses: {z.std(axis=0).round(2)}")  # fmt: skip
    content = {"source": options.source, "photographs": len(images), GRAIN.name: table}
    with replacing(nulls.FILE) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
