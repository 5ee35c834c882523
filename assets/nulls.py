r"""Fits the distributions of the grain's contrasts over photographs and writes methods/grain/nulls-METHOD.json.

    python -m assets.photographs --packages packages/ --output photographs/
    python -m assets.evidence --data photographs/ --crop 512 --side 512 \
        --conditions png,jpeg-75,jpeg-50,webp-80 --distances lpips_vgg_1,lpips_vgg_2 --output null/
    python -m assets.evidence --data photographs/ --crop 512 --scales 4/3,2,2/3 \
        --conditions png,jpeg-75 --distances lpips_vgg_1,lpips_vgg_2 --output null-scaled/
    python -m assets.nulls --evidence null/* null-scaled/* --source "what the photographs are"
    python -m assets.searches --data photographs/ --trials searches.jsonl

    python -m assets.evidence --data photographs/ --crop 512 --side 512 --conditions png,jpeg-75 \
        --models embedded --distances encoder_features --views "identity;rot90;hflip" --output null-glance/
    python -m assets.nulls --method glance --evidence null-glance/* --source "what the photographs are"

Any folder with a manifest.csv (path, label, width, height, sha256) of photographs that no benchmark uses will do. From
each look, windows of several sizes are taken. All parameters of a model and a scale are those of greatest likelihood
of the contrasts together with the variances of the poses that they are held against (see `Nulls`).
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file
from scipy import stats
from scipy.optimize import minimize

from recon_detect.atomic import replacing
from recon_detect.evidence.distances import FEATURES
from recon_detect.methods.deviates import corrected, pooled
from recon_detect.methods.grain import glance, nulls
from recon_detect.methods.grain.contrasts import FLOOR, POSES, PRIOR, contrasts
from recon_detect.methods.grain.crops import SCALES
from recon_detect.methods.grain.nulls import Contrasts, Null
from recon_detect.models.registry import AUTOENCODERS, MODEL_SETS


@dataclass(frozen=True)
class Pool:
    """Models of a method, with the poses and scales that it compares, and the distances by channels.

    Autoencoders with 16 channels keep finer detail than those with 4, so their grain is finer (docs/methods/grain.md).
    """

    models: tuple[str, ...]
    poses: tuple[str, ...]
    scales: tuple[float, ...]
    distances: dict[int, tuple[str, ...]]

    def of(self, model: str) -> tuple[str, ...]:
        """The distances of one model; the first weighs its blocks."""
        return self.distances[AUTOENCODERS[model].latent_channels]


_FEATURES = (FEATURES,)
POOLS = {
    "grain": Pool(MODEL_SETS["tiny"], POSES, SCALES, {4: ("lpips_vgg_2",), 16: ("lpips_vgg_2", "lpips_vgg_1")}),
    "glance": Pool(MODEL_SETS["embedded"], glance.POSES, (1.0,), {4: _FEATURES, 16: _FEATURES}),
}
WINDOWS = (4, 6, 8, 10, 16)
# Beyond this many degrees of freedom a t distribution is a normal one.
NORMAL = 100.0

Blocks = dict[str, np.ndarray]
Window = tuple[slice, slice]
# Contrasts (I, W, P) and blocks (I, W) of the windows of images.
Measured = tuple[Contrasts, torch.Tensor]


def windows(size: int, window: int) -> list[Window]:
    """Windows without overlap, as many as fit, from the top left."""
    starts = range(0, size - window + 1, window)
    return [(slice(y, y + window), slice(x, x + window)) for y in starts for x in starts]


def measure(images: list[Blocks], window: int, pool: Pool, model: str, scale: float) -> Measured:
    """The contrasts (I, W, P) in the W windows of I images, and over how many blocks (I, W) the errors spread."""
    logs, spread = [], []
    for blocks, part in itertools.product(images, windows(size_of(images[0], pool, model, scale), window)):
        maps = {
            (pose, distance): blocks[name_of(scale, model, pose, distance)][part]
            for pose, distance in itertools.product(pool.poses, pool.of(model))
        }
        logs.append(
            [np.mean([np.log(maps[pose, name].mean() + FLOOR) for name in pool.of(model)]) for pose in pool.poses]
        )
        upright = maps["identity", pool.of(model)[0]]
        spread.append(upright.sum() ** 2 / np.square(upright).sum())
    shape = (len(images), -1, len(pool.poses))
    return contrasts(torch.tensor(np.array(logs)).view(shape), pool.poses), torch.tensor(np.array(spread)).view(
        shape[:2]
    )


def name_of(scale: float, model: str, pose: str, distance: str) -> str:
    return f"{scale:.4f}/{model}/{pose}/1/{distance}"


def size_of(blocks: Blocks, pool: Pool, model: str, scale: float) -> int:
    """Blocks along a side of the look at a scale; 0 without one."""
    name = name_of(scale, model, "identity", pool.of(model)[0])
    return blocks[name].shape[0] if name in blocks else 0


def fit(measured: list[Measured]) -> dict[str, Any]:
    """The parameters of greatest likelihood of windows of several sizes, which all count alike."""
    value, variance = (
        np.concatenate([tensor.numpy().reshape(-1, len(PRIOR)) for tensor in tensors])
        for tensors in ([c.value for c, _ in measured], [c.variance for c, _ in measured])
    )
    blocks = np.concatenate([number.numpy().reshape(-1, 1) for _, number in measured])
    weights = np.concatenate([np.full(number.numel(), 1 / number.numel()) for _, number in measured])
    poses, of_image = value.shape[1], measured[0][0].freedom
    unit = value.std()  # the search wants parameters of one size

    def cost(parameters: np.ndarray) -> float:
        mean, log_common, log_spread = parameters[: 3 * poses].reshape(3, poses)
        area, freedom = parameters[-2], np.exp(parameters[-1])
        common = unit**2 * np.exp(log_common) * blocks**-area
        joined = (freedom * common + of_image * variance * np.exp(-log_spread)) / (freedom + of_image)
        scaled = common * np.exp(log_spread)
        # Smyth (2004), section 4: the variance of an image is F about the common one, and the contrast then t.
        of_variance = stats.f.logpdf(variance / scaled, of_image, freedom) - np.log(scaled)
        of_value = stats.t.logpdf((value - unit * mean) / np.sqrt(joined), freedom + of_image) - np.log(joined) / 2
        return -float(np.average((of_variance + of_value).mean(axis=1), weights=weights))

    start = np.r_[np.zeros(poses), np.full(poses, np.log(blocks.mean())), np.zeros(poses), 1.0, np.log(5.0)]
    bounds = [(None, None)] * (3 * poses) + [(0.0, 2.0), (0.0, np.log(NORMAL))]
    fitted = minimize(cost, start, method="L-BFGS-B", bounds=bounds).x
    mean, log_common, log_spread = fitted[: 3 * poses].reshape(3, poses)
    of_pose = {"mean": unit * mean, "variance": unit**2 * np.exp(log_common), "spread": np.exp(log_spread)}
    return {name: dict(zip(PRIOR, part.round(7).tolist(), strict=True)) for name, part in of_pose.items()} | {
        "area": round(float(fitted[-2]), 4),
        "freedom": round(float(np.exp(fitted[-1])), 2),
    }


def half(measured: Measured, odd: int) -> Measured:
    """Every second photograph."""
    (value, variance, freedom), blocks = measured
    return Contrasts(value[odd::2], variance[odd::2], freedom), blocks[odd::2]


def unseen(measured: dict[tuple[str, int], Measured]) -> dict[tuple[str, int], np.ndarray]:
    """Each half of the photographs by the null of the other: the best pose's z (N,) by condition and window."""
    best: dict[tuple[str, int], list[np.ndarray]] = {key: [] for key in measured}
    for odd in (0, 1):
        null = Null.read(fit([half(part, 1 - odd) for part in measured.values()]))
        for key, part in measured.items():
            z = null.standardise(*half(part, odd)).reshape(-1, len(PRIOR))
            best[key].append(corrected(z, np.array(list(PRIOR.values()))).max(axis=1))
    return {key: np.concatenate(parts) for key, parts in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=POOLS, default="grain")
    parser.add_argument("--evidence", type=Path, nargs="+", required=True, help="folders, one per condition")
    parser.add_argument("--source", required=True, help="what the photographs are, for the file")
    options = parser.parse_args()
    evidence = {path: [load_file(file) for file in sorted(path.glob("*.safetensors"))] for path in options.evidence}
    pool = POOLS[options.method]
    table: dict[str, Any] = {model: {"distances": list(pool.of(model)), "scales": {}} for model in pool.models}
    for scale in pool.scales:
        z: dict[tuple[str, int], list[np.ndarray]] = {}
        for model in pool.models:
            measured = {
                (str(folder), window): measure(images, window, pool, model, scale)
                for (folder, images), window in itertools.product(evidence.items(), WINDOWS)
                if window <= size_of(images[0], pool, model, scale)
            }
            table[model]["scales"][f"{scale:.4f}"] = fit(list(measured.values()))
            for key, best in unseen(measured).items():
                z.setdefault(key, []).append(best)
        print(f"scale {scale:.4f}, each half of the photographs by the null of the other, best of all models:")
        for (folder, window), of_models in z.items():
            best = pooled(np.stack(of_models, axis=1))
            print(f"  {folder:24} {window * 32:4} px, n={len(best):4}: mean {best.mean():5.2f}, deviation "
                  f"{best.std():.2f}, "
                  f"above 1.645: {np.mean(best > 1.645):.3f}, above 2.326: {np.mean(best > 2.326):.3f}, largest "
                  f"{best.max():.2f}")  # fmt: skip
    photographs = max(len(images) for images in evidence.values())
    # Fields that `assets.searches` adds hold for other contrasts, and have to be measured again.
    table = {model: row | {"searches": {}} for model, row in table.items()}
    content = {"source": options.source, "photographs": photographs, options.method: table}
    with replacing(nulls.file_of(options.method)) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
