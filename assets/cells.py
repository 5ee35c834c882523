r"""The scale of maps of the grid: what the cells of photographs give.

    python -m assets.cells --data ../shared/eval

The middle of each photograph as it is, all cells and all phases: where a grid would begin is not known beforehand.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from benchmarks.common.data import read_manifest
from recon_detect.atomic import replacing
from recon_detect.images import open_picture
from recon_detect.methods.grid.clearness import CELL, FILE, clearness
from recon_detect.methods.grid.families import read_families, read_whitening
from recon_detect.methods.grid.statistic import AFTER, BEFORE

# Of the middle that is looked at, in cells.
SIDE = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with a manifest.csv")
    parser.add_argument("--every", type=int, default=1, help="take every n-th photograph")
    options = parser.parse_args()
    families, whitening = read_families(), read_whitening()
    photographs = [row for row in read_manifest(options.data) if row["label"] == "real"][:: options.every]
    squares, cells = np.zeros(len(families)), 0
    with torch.inference_mode():
        for photograph in photographs:
            x = middle(open_picture(options.data / photograph["path"]).tensor())
            of_cells = clearness(x, families, whitening).cells
            squares += np.square(of_cells, dtype=np.float64).mean((-2, -1)).sum((0, 1))
            cells += of_cells.shape[0] * of_cells.shape[1]
    # The mean over the phases is 0.
    deviations = np.sqrt(squares / cells).round(4).tolist()
    deviation = dict(zip([family.name for family in families], deviations, strict=True))
    content = {"deviation": deviation, "photographs": len(photographs), "cells": cells}
    with replacing(FILE) as path:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def middle(x: torch.Tensor) -> torch.Tensor:
    """The middle of a picture (3, H, W), of at most `SIDE` squared cells."""
    side = BEFORE + SIDE * CELL + AFTER
    top, left = (max(length - side, 0) // 2 for length in x.shape[-2:])
    return x[:, top : top + side, left : left + side]


if __name__ == "__main__":
    main()
