"""Separation by every contrast, distance and combination, from evidence that was computed once.

    python -m assets.evidence --data ../shared/eval --conditions jpeg-75 --views ablation --output evidence/
    python -m benchmarks.ablation --data ../shared/eval --evidence evidence/ --condition jpeg-75

A candidate is a set of views, a distance, a floor that is added to errors before their logarithm, and a way of pooling
the blocks of the image. Each model's contrast is standardised on photographs, fivefold, so that no photograph is held
against a distribution that it is part of; the largest of the models decides. The first line of the table is honest
about choosing: for each generator, the candidate that is best on all the others is taken, and what it scores on this
one is kept.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy.stats import trim_mean

from assets.nulls import POOLS
from benchmarks.common.data import RESULTS, read_manifest, write_table
from benchmarks.common.families import FAMILIES
from benchmarks.common.metrics import FOLDS, auroc, intervals, tpr_at_fpr
from recon_detect.models.registry import MODEL_SETS

MODELS = MODEL_SETS["tiny"]
DEFAULT_DISTANCE = "lpips_vgg_2, and 1 for 16 channels"
DISTANCES = (
    "lpips_vgg_2",
    "lpips_vgg_1",
    DEFAULT_DISTANCE,
    "lpips_vgg_2 and lpips_vgg_1",
    "highpass_l2",
    "l1",
)
FLOORS = (0.0, 0.001, 0.003, 0.01)
# Pooling of the blocks of 32 px: the error of the whole, or the contrasts of all blocks.
POOLINGS: dict[str, Callable[[np.ndarray], float]] = {
    "error of all": lambda contrasts: float(contrasts[0]),
    "mean of blocks": lambda contrasts: float(contrasts[1:].mean()),
    "median of blocks": lambda contrasts: float(np.median(contrasts[1:])),
    "mean of the middle half": lambda contrasts: float(trim_mean(contrasts[1:], 0.25)),
    "mean of the upper half": lambda contrasts: float(np.sort(contrasts[1:])[len(contrasts) // 2 :].mean()),
    "share of blocks above 0": lambda contrasts: float((contrasts[1:] > 0).mean()),
}
# All poolings are tried with these views; all views with the first pooling.
POOLED_VIEWS = "mirrored, moved 3 and 5, three ways"
VIEW_SETS = {
    "turned": ("rot90",),
    "mirrored": ("hflip",),
    "moved 4": ("shift4,0",),
    "turned, mirrored": ("rot90", "hflip"),
    "turned, mirrored, moved 4": ("rot90", "hflip", "shift4,0"),
    "moved 3": ("shift3,3",),
    "moved 3 and 5": ("shift3,3", "shift5,5"),
    "moved 3 and 5, three ways": ("shift3,3", "shift5,5", "shift3,5"),
    "mirrored, moved 3 and 5": ("hflip", "shift3,3", "shift5,5"),
    "mirrored, moved 3 and 5, three ways": ("hflip", "shift3,3", "shift5,5", "shift3,5"),
    "turned, mirrored, moved 3 and 5, three ways": ("rot90", "hflip", "shift3,3", "shift5,5", "shift3,5"),
    # None but the image itself, as the other models of the pool reconstruct it.
    "the other models": (),
}
VIEWS = list(dict.fromkeys(["identity", *(view for views in VIEW_SETS.values() for view in views)]))

Blocks = dict[str, np.ndarray]
# Views, distance, floor, pooling.
Candidate = tuple[str, str, float, str]


def contrasts(blocks: Blocks, model: str, views: tuple[str, ...], distance: str, floor: float) -> np.ndarray:
    """Mean log error of the views, or of the other models, less that of the image; mean over the distances.

    Of the whole image first, then of each block.
    """
    names = {
        DEFAULT_DISTANCE: POOLS["grain"].of(model),
        "lpips_vgg_2 and lpips_vgg_1": ("lpips_vgg_2", "lpips_vgg_1"),
    }.get(distance, (distance,))
    against = [(model, view) for view in views] or [(other, "identity") for other in MODELS if other != model]
    pairs = [(model, "identity"), *against]
    maps = np.array([[blocks[f"{m}/{view}/1/{name}"].ravel() for m, view in pairs] for name in names])
    errors = np.concatenate([maps.mean(axis=2, keepdims=True), maps], axis=2)
    # A flat block may have no error at all.
    upright, *others = np.log(errors + max(floor, 1e-9)).mean(axis=0)
    return np.asarray(np.mean(others, axis=0) - upright)


def read(folder: Path, rows: list[dict[str, str]], scale: float) -> tuple[list[dict[str, str]], list[Blocks]]:
    """The images that have evidence at a scale, and their block means."""
    present, evidence = [], []
    for row in rows:
        path = folder / f"{row['sha256'][:16]}.safetensors"
        prefix = f"{scale:.4f}/"
        if path.exists():
            present.append(row)
            tensors = load_file(path)
            evidence.append(
                {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            )
    return present, evidence


def standardised(values: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(N, K) in standard deviations of photographs: of the other folds for photographs, of all for the others."""
    z: np.ndarray = (values - values[real].mean(axis=0)) / values[real].std(axis=0, ddof=1)
    members = np.flatnonzero(real)
    fold = np.random.default_rng(0).permutation(len(members)) % FOLDS
    for number in range(FOLDS):
        rest = values[members[fold != number]]
        mine = members[fold == number]
        z[mine] = (values[mine] - rest.mean(axis=0)) / rest.std(axis=0, ddof=1)
    return z


def candidates(rows: list[dict[str, str]], evidence: list[Blocks]) -> dict[Candidate, np.ndarray]:
    """Standardised contrasts (N, K) by views, distance, floor and pooling."""
    real = np.array([row["label"] == "real" for row in rows])
    standard = {}
    for (name, views), distance, floor in itertools.product(VIEW_SETS.items(), DISTANCES, FLOORS):
        values = [[contrasts(blocks, m, views, distance, floor) for m in MODELS] for blocks in evidence]
        for pooling, pool in POOLINGS.items() if name == POOLED_VIEWS else list(POOLINGS.items())[:1]:
            pooled = np.array([[pool(of_model) for of_model in of_image] for of_image in values])
            standard[name, distance, floor, pooling] = standardised(pooled, real)
    return standard


def summary(score: np.ndarray, rows: list[dict[str, str]]) -> dict[str, object]:
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


def left_out(by_candidate: dict[Candidate, np.ndarray], rows: list[dict[str, str]]) -> float:
    """AUROC when, for each generator, the candidate is chosen on photographs and all other generators."""
    real = np.array([row["label"] == "real" for row in rows])
    generator = np.array([row["generator"] for row in rows])
    ranks = []
    for name in sorted(set(generator[~real])):
        mine, others = generator == name, ~real & (generator != name)
        areas = {key: np.mean(z.max(axis=1)[others, None] > z.max(axis=1)[real]) for key, z in by_candidate.items()}
        score = by_candidate[max(areas, key=areas.__getitem__)].max(axis=1)
        ranks.extend((score[mine, None] > score[real]).mean(axis=1))
    return float(np.mean(ranks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--evidence", type=Path, required=True, help="what assets.evidence wrote")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--condition", default="png")
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    rows, evidence = read(options.evidence / options.condition, read_manifest(options.data), options.scale)
    by_candidate = candidates(rows, evidence)
    table = [
        {"views": views, "distance": distance, "floor": floor, "pooling": pooling} | summary(z.max(axis=1), rows)
        for (views, distance, floor, pooling), z in by_candidate.items()
    ]
    table.sort(key=lambda line: -float(str(line["auroc"])))
    output = options.output or RESULTS / f"ablation-{options.condition}-scale{options.scale:.2f}.csv"
    n_real = sum(row["label"] == "real" for row in rows)
    write_table(
        output,
        f"{options.data.name}, {options.condition}, looked at in scale {options.scale:g}, {n_real} photographs and "
        f"{len(rows) - n_real} generated images, largest of {', '.join(MODELS)}, each standardised on photographs in "
        f"{FOLDS} folds; candidate chosen without the generator that it is tried on: AUROC "
        f"{left_out(by_candidate, rows):.4f}",
        table,
    )


if __name__ == "__main__":
    main()
