"""Effects that decoders leave in a tile of a picture that is brought back to its right size, as deviates.

    python -m benchmarks.effects --data ../shared/eval --recipe longest-800+jpeg-85

The contrast of `recon_detect.methods.trace`, without a search: whole generated pictures go through a recipe and back to
the size that their generator wrote; photographs go through the same, and are enlarged by as much as a picture of
1024 px. Each picture gives the contrasts of its most textured tiles by the autoencoder of its family; photographs by
all. To compare with what a search could have detected (`details["detectable"]`).
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from benchmarks.common.conditions import prepare
from benchmarks.common.data import RESULTS, ManifestRow, read_manifest, write_table
from benchmarks.common.families import FAMILIES
from benchmarks.common.sampling import in_turn
from benchmarks.web import whole
from recon_detect import Detector, load_detector
from recon_detect.methods.trace.fit import brought_back
from recon_detect.methods.trace.looks import MOVED, contrasts, tile_side, tiles_of
from recon_detect.methods.trace.nulls import Nulls, find_nulls
from recon_detect.methods.trace.trace import TRACE
from recon_detect.models.registry import MODEL_SETS, family_of

# Scale of the photographs: of a picture of 1024 px that was reduced to 800 px, brought back.
OF_PHOTOGRAPHS = 1.28


def after(path: Path, recipe: str, size: tuple[int, int] | None) -> torch.Tensor:
    """A picture (3, H, W) after a recipe, at its size (width, height); of a photograph, None."""
    image = Image.open(io.BytesIO(prepare(path, None, recipe))).convert("RGB")
    width, height = size or (round(side * OF_PHOTOGRAPHS) for side in image.size)
    return brought_back(image, (width, height))


def deviates_of(detector: Detector, nulls: Nulls, x: torch.Tensor, model: int, tiles: int) -> NDArray[np.float64]:
    """Deviates of photographs of the most textured tiles of a picture (3, H, W) by one model."""
    names, side = detector.methods[0].models, tile_side(*x.shape[-2:])
    parts = [x[:, top : top + side + MOVED, left : left + side + MOVED] for left, top in tiles_of(x, (0, 0))[:tiles]]
    if not parts:
        return np.zeros(0)
    with torch.inference_mode():
        e = detector.evidence(x[None]).using(TRACE.distance, names)
        return np.array([nulls.deviate(model, t) for t in contrasts(e.only(model), parts, [0] * len(parts)).tolist()])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--recipe", default="longest-800+jpeg-85", help="see benchmarks/common/conditions.py")
    parser.add_argument("--images", type=int, default=16, help="of each family, and twice as many photographs")
    parser.add_argument("--tiles", type=int, default=4, help="of each picture; of photographs half as many")
    parser.add_argument("--models", default="embedded", help="a set of models")
    parser.add_argument("--output", type=Path, default=RESULTS / "trace-effects.csv")
    return parser.parse_args()


def line_of(family: str, pictures: str, rows: list[ManifestRow], deviates: list[NDArray[np.float64]]) -> dict[str, Any]:
    """One line of the table."""
    values = np.concatenate(deviates)
    effect = {"mean": round(float(values.mean()), 2), "deviation": round(float(values.std()), 2)}
    return {"family": family, "pictures": pictures, "n": len(rows), "tiles": len(values)} | effect


def main() -> None:
    options = arguments()
    models = MODEL_SETS[options.models]
    detector, nulls = load_detector(TRACE, models=models, device="cpu"), find_nulls(models, "normal")
    rows = in_turn(whole(read_manifest(options.data)))
    labels = {short: label for label, short in FAMILIES.items()}
    photographs = [row for row in rows if row["label"] == "real"][: 2 * options.images]
    table = []
    for number, model in enumerate(models):
        family = family_of(model)
        generated = [row for row in rows if row["autoencoder"] == labels[family]][: options.images]
        for title, chosen in (("generated", generated), ("photographs", photographs)):
            deviates = []
            for row in tqdm(chosen, desc=f"{family}, {title}"):
                size = (int(row["width"]), int(row["height"])) if title == "generated" else None
                x = after(options.data / row["path"], options.recipe, size)
                tiles = options.tiles if title == "generated" else options.tiles // 2
                deviates.append(deviates_of(detector, nulls, x, number, tiles))
            if chosen:
                table.append(line_of(family, title, chosen, deviates))
    conditions = (
        f"{options.data.resolve().name}, whole pictures, {options.recipe}, brought back; {options.models}, float32, CPU"
    )
    write_table(options.output, conditions, table)


if __name__ == "__main__":
    main()
