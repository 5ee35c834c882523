"""Traces of compression that survive a common re-encoding: planted in photographs, and looked for by the audit.

    python -m benchmarks.matching --data ../shared/eval

Photographs that are kept without loss are divided at random. One half is stored as JPEG, at one quality or at many.
Then both go through the same crop and encoding, and are audited. What the pictures show does not differ but by chance,
so what is found was planted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common.data import RESULTS, large_enough, read_manifest, write_table
from recon_detect import Source, __version__
from recon_detect.audit import Audit, audit
from recon_detect.images.transform import Transform, encode

ENCODINGS = ("png", "webp-80", "jpeg-90", "jpeg-75", "jpeg-60")
LOSSLESS = ("PNG", "BMP", "TIFF")

Plant = Callable[[Image.Image, np.random.Generator], bytes]


def _quality(quality: int) -> Plant:
    return lambda image, draw: encode(image, f"jpeg-{quality}")


PLANTS: dict[str, Plant] = {
    "none": lambda image, draw: encode(image, "png"),
    "98": _quality(98),
    "90": _quality(90),
    "75": _quality(75),
    "70 to 98": lambda image, draw: encode(image, f"jpeg-{draw.integers(70, 99)}"),
}


def sources(images: list[Image.Image], plant: Plant) -> Iterator[Source]:
    """One half with what is planted, the other without."""
    draw = np.random.default_rng(0)
    for number, image in enumerate(images):
        real = number % 2 == 0
        yield Source(plant(image, draw) if real else encode(image, "png"), str(number), "real" if real else "generated")


def line(planted: str, encoding: str, audited: Audit) -> dict[str, object]:
    areas = {finding.feature.name: finding for finding in (*audited.findings, *audited.together)}
    shown = {"blockiness": "blockiness", "zero_coefficients": "vanishing DCT coefficients",
             "file_size_compression": "file, size, compression"}  # fmt: skip
    return {
        "first JPEG": planted,
        "then both": encoding,
        **{title: f"{areas[name].auroc:.2f}" if name in areas else "same" for name, title in shown.items()},
        "shortcuts": ", ".join(f"{f.feature.title} ({f.grade})" for f in audited.shortcuts) or "none",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--output", type=Path, default=RESULTS / "matching.csv")
    options = parser.parse_args()
    rows = [row for row in read_manifest(options.data) if row["label"] == "real" and row["format"] in LOSSLESS]
    rows = large_enough(rows, options.crop)
    order = np.random.default_rng(0).permutation(len(rows))
    images = [Transform().image(options.data / rows[i]["path"]) for i in order]
    table = []
    for planted, plant in PLANTS.items():
        stored = list(sources(images, plant))
        for encoding in ENCODINGS:
            audited = audit(stored, transform=Transform(options.crop, encoding))
            table.append(line(planted, encoding, audited))
            print(table[-1], flush=True)
    write_table(
        options.output,
        f"{audited.real} + {audited.generated} photographs of {options.data.name}, the first stored as JPEG of this "
        f"quality by Pillow, then both cropped to {options.crop} px on the grid and encoded alike; AUROC of traces of "
        f"compression, 'same' where no image has any; recon_detect {__version__}",
        table,
    )


if __name__ == "__main__":
    main()
