"""Lossless files with a JPEG history off the 8 px grid, by the two measurements of the audit that look at all places.

    python -m benchmarks.jpeg_history --data ../shared/eval

Photographs that were never compressed are stored as JPEG, cropped off its grid and stored losslessly. The template of
JPEG comes from one half of them, on the grid, and the other half is measured, both ways round. Camera JPEGs, likewise
cropped, and generated images have the mean of both templates.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmarks.common.data import RESULTS, read_manifest, write_table
from benchmarks.common.metrics import auroc, score_interval
from recon_detect.audit import measure
from recon_detect.images.transform import Transform, encode
from recon_detect.methods.grid.families import read_whitening
from recon_detect.methods.grid.fit import best_cosines, template
from recon_detect.methods.grid.pictures import STORED
from recon_detect.methods.grid.statistic import tables

CROP, ON_GRID = 320, (0, 0)
# Columns and rows that are cropped off the grid, one after the other.
OFFSETS = ((3, 5), (0, 4), (6, 1), (2, 0), (5, 7), (7, 2))


def cut(image: Image.Image, offset: tuple[int, int]) -> Image.Image:
    """The middle of an image, so far off the grid of the file."""
    left, top = ((side - CROP - 8) // 16 * 8 + off for side, off in zip(image.size, offset, strict=True))
    return image.crop((left, top, left + CROP, top + CROP))


def moved(images: Iterable[Image.Image]) -> list[Image.Image]:
    return [cut(image, OFFSETS[number % len(OFFSETS)]) for number, image in enumerate(images)]


def table_of(image: Image.Image) -> Tensor:
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1
    return read_whitening()(tables(x))


def cosines(images: list[Image.Image], templates: tuple[Tensor, Tensor], *, halved: bool) -> NDArray[np.float64]:
    """Best cosines (N,) with the template that the half of an image was not used for, or the mean of both."""
    both = best_cosines(torch.stack([table_of(image) for image in images]), torch.stack(templates))
    return both[np.arange(len(both)), 1 - np.arange(len(both)) % 2] if halved else both.mean(1)


def elsewhere(images: list[Image.Image]) -> NDArray[np.float64]:
    return np.array([measure(encode(image, "png"))["grid_elsewhere"] for image in images], dtype=np.float64)


def stored(image: Image.Image, encoding: str) -> Image.Image:
    return Image.open(io.BytesIO(encode(image, encoding))).convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with a manifest.csv")
    parser.add_argument("--output", type=Path, default=RESULTS / "jpeg-history.csv")
    options = parser.parse_args()
    rows = [r for r in read_manifest(options.data) if min(int(r["width"]), int(r["height"])) >= CROP + 8]

    def read(label: str, form: str) -> list[Image.Image]:
        chosen = [row for row in rows if (row["label"], row["format"]) == (label, form)]
        return [Transform().image(options.data / row["path"]) for row in chosen]

    photographs = read("real", "PNG")
    on_grid = [[table_of(cut(stored(image, name), ON_GRID)) for name in STORED] for image in photographs]
    first, second = (template(torch.stack([t for each in on_grid[half::2] for t in each])) for half in (0, 1))
    sets = {name: moved(stored(image, name) for image in photographs) for name in STORED}
    sets |= {"camera JPEG": moved(read("real", "JPEG")), "none: generated": moved(read("generated", "PNG"))}
    plain = moved(photographs)
    reference = {"grid of JPEG": cosines(plain, (first, second), halved=True), "grid elsewhere": elsewhere(plain)}
    lines = []
    for name, images in sets.items():
        values = {
            "grid of JPEG": cosines(images, (first, second), halved=name in STORED),
            "grid elsewhere": elsewhere(images),
        }
        line: dict[str, object] = {"history": name}
        for measurement, of_images in values.items():
            value = auroc(reference[measurement], of_images)
            low, high = score_interval("auroc", value, len(plain), len(images))
            line |= {measurement: round(value, 3), f"{measurement}, 95 %": f"{low:.3f} to {high:.3f}"}
        lines.append({**line, "above 0.1": round(float((values["grid of JPEG"] > 0.1).mean()), 3), "n": len(images)})
        print(lines[-1], flush=True)
    above = float((reference["grid of JPEG"] > 0.1).mean())
    write_table(
        options.output,
        f"AUROC against {len(plain)} photographs that were never compressed, of which {above:.3f} have a cosine above "
        f"0.1; PNG crops of {CROP} px, off the grid; template of JPEG 95, 90 and 75 from the other half",
        lines,
    )


if __name__ == "__main__":
    main()
