"""Rank of the true size of a scaled picture among the native sizes that are proposed for it.

    python -m benchmarks.native --data ../shared/eval

Whole generated pictures go through recipes (`common/conditions.py`), with a JPEG at their native size or without. The
rank of the native size is taken by its prior alone, and with the blocks that the picture shows. No network is run.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common.conditions import prepare
from benchmarks.common.data import RESULTS, ManifestRow, large_enough, read_manifest, write_table
from benchmarks.common.families import FAMILIES
from benchmarks.common.sampling import add_argument, in_turn
from benchmarks.web import whole
from recon_detect.images.blocking import with_blocking
from recon_detect.images.native import SAME_SCALE, NativeSize, native_sizes

RECIPES = (
    "png",
    "jpeg-85",
    "resize-0.83",
    "resize-0.83+jpeg-85",
    "longest-800+jpeg-85",
    "jpeg-75+resize-0.83",
    "jpeg-75+resize-0.83+jpeg-90",
    "jpeg-75+resize-0.83+jpeg-85",
    "jpeg-85+resize-0.83",
    "jpeg-85+resize-0.83+jpeg-85",
    "jpeg-75+resize-0.62",
    "jpeg-75+resize-0.62+jpeg-90",
    "jpeg-75+resize-0.62+jpeg-85",
    "jpeg-75+longest-800+jpeg-85",
)
FIRST = (1, 2, 4, 8)


def rank(proposals: Sequence[NativeSize], native: int, side: int) -> float:
    """Rank of the proposal of a longest side for a picture of another; infinity where there is none."""
    right = (
        number for number, p in enumerate(proposals, 1) if abs(p.scale * side / native - 1) < 2 * SAME_SCALE
    )  # fmt: skip
    return float(next(right, np.inf))


def ranks(data: Path, rows: Sequence[ManifestRow], recipe: str) -> tuple[list[float], list[float]]:
    """Ranks of the true sizes by the sizes alone, and with blocking.

    Pictures that are no larger than the longest side of a recipe are left out.
    """
    before, after = [], []
    for row in rows:
        image = Image.open(io.BytesIO(prepare(data / row["path"], None, recipe))).convert("RGB")
        native = max(int(row["width"]), int(row["height"]))
        if "longest" in recipe and max(image.size) == native:
            continue
        proposals = native_sizes(*image.size, tuple(FAMILIES.values()))
        before.append(rank(proposals, native, max(image.size)))
        after.append(rank(with_blocking(proposals, np.asarray(image)), native, max(image.size)))
    return before, after


def line(recipe: str, by: str, ranked: Sequence[float]) -> dict[str, Any]:
    at = np.array(ranked)
    shares = {f"among the first {n}": round(float((at <= n).mean()), 3) for n in FIRST}
    return {"recipe": recipe, "by": by, "n": len(at)} | shares | {"proposed": round(float(np.isfinite(at).mean()), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    add_argument(parser, "all")
    parser.add_argument("--output", type=Path, default=RESULTS / "native.csv")
    options = parser.parse_args()
    rows = [r for r in in_turn(large_enough(whole(read_manifest(options.data)), 512)) if r["autoencoder"] in FAMILIES]
    rows = rows[: options.images]
    table = []
    for recipe in RECIPES:
        for by, of_recipe in zip(("size", "size and blocks"), ranks(options.data, rows, recipe), strict=True):
            if of_recipe:
                table.append(line(recipe, by, of_recipe))
    write_table(
        options.output,
        f"{options.data.resolve().name}, whole generated pictures of {', '.join(FAMILIES)}, sides of 512 px or more",
        table,
    )


if __name__ == "__main__":
    main()
