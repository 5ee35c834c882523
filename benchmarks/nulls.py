"""Fits the distributions of the grain's contrasts over photographs and writes recon_detect/nulls.json.

    python -m benchmarks.photographs --packages packages/ --output photographs/
    python -m benchmarks.evidence --data photographs/ --crop 512 --distances lpips_vgg_2 --output null/
    python -m benchmarks.nulls --evidence null/png --source "what the photographs are"

Any folder with a manifest.csv (path, label, width, height, sha256) of photographs that no benchmark uses will do. From
each crop, windows of several sizes are taken. Mean and variance of the contrast of each pose are those of
greatest likelihood, the variance as `recon_detect.nulls.Nulls` has it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from scipy.optimize import minimize

from recon_detect import nulls
from recon_detect.files import replacing
from recon_detect.methods.grain import FLOOR, GRAIN, POSES, PRIOR
from recon_detect.models.registry import MODEL_SETS

MODELS = MODEL_SETS["tiny"]
WINDOWS = (4, 6, 8, 10)


def windows(size: int, window: int) -> list[tuple[slice, slice]]:
    """Windows without overlap, as many as fit, from the top left."""
    starts = range(0, size - window + 1, window)
    return [(slice(y, y + window), slice(x, x + window)) for y in starts for x in starts]


def measure(blocks: dict[str, np.ndarray], model: str, part: tuple[slice, slice], scale: float = 1.0) -> np.ndarray:
    """The contrasts of the poses in a window, and over how many blocks the error spreads."""
    maps = {pose: blocks[f"{scale:.4f}/{model}/{pose}/1/{GRAIN.distance}"][part] for pose in POSES}
    logs = {pose: np.log(values.mean() + FLOOR) for pose, values in maps.items()}
    sought = np.array([logs[pose] for pose in PRIOR])
    upright = maps["identity"]
    contrasts = (sum(logs.values()) - sought) / (len(POSES) - 1) - sought
    return np.r_[contrasts, upright.sum() ** 2 / np.square(upright).sum()]


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
    size = images[0][f"1.0000/{MODELS[0]}/identity/1/lpips_vgg_2"].shape[0]
    table: dict[str, Any] = {}
    for model in MODELS:
        by_window = {
            window: np.array([measure(blocks, model, part) for blocks in images for part in windows(size, window)])
            for window in WINDOWS
            if window <= size
        }
        table[model] = fit(by_window)
        mean, variance = (np.array(list(table[model][name].values())) for name in ("mean", "variance"))
        for window, measured in by_window.items():
            z = (measured[:, :-1] - mean) * np.sqrt(measured[:, -1:] ** table[model]["area"] / variance)
            print(f"{model:8} {window * 32:4} px n={len(z):4} upright: deviation {z[:, 0].std():.2f}, "
                  f"above 1.645: {np.mean(z[:, 0] > 1.645):.3f}, above 2.326: {np.mean(z[:, 0] > 2.326):.3f}; "
                  f"all poses: {z.std(axis=0).round(2)}")  # fmt: skip
    content = {"source": options.source, "photographs": len(images), GRAIN.name: {GRAIN.distance: table}}
    with replacing(nulls.FILE) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
