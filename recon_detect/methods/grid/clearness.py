"""Clearness of a family's grid in a picture, by phase and by cell, on a scale that photographs set: for maps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from recon_detect.methods.grid.statistic import PERIOD, cell_tables
from recon_detect.methods.grid.whitening import similarities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from recon_detect.methods.grid.families import Family
    from recon_detect.methods.grid.whitening import Whitening

# Side of a cell in pixels.
CELL = 64
# Deviations of the cells of photographs that a map shows brightest.
BRIGHTEST = 6.0
# What the cells of photographs give (assets/cells.py).
FILE = Path(__file__).parent / "cells.json"


@dataclass(frozen=True, slots=True, eq=False)
class Clearness:
    """The grids of K families in one picture.

    Attributes:
        cosines: (K, 8, 8), of the whole picture with each family where the grid begins at a phase (down, across).
        cells: (rows, columns, K, 8, 8), of each cell likewise. The first begins at `statistic.BEFORE` pixels from the
            left and top, a multiple of 8: phases are the picture's.
    """

    cosines: NDArray[Any]
    cells: NDArray[Any]

    def deviates(self, family: int, name: str, phase: tuple[int, int]) -> NDArray[Any]:
        """The cells (rows, columns) of a family at a phase, in deviations of the cells of photographs.

        Of a family that none were measured of, in the widest deviation.
        """
        deviations = cells_of_photographs()["deviation"]
        result: NDArray[Any] = self.cells[:, :, family, phase[0], phase[1]] / deviations.get(
            name, max(deviations.values())
        )
        return result


def clearness(x: Tensor, families: Sequence[Family], whitening: Whitening) -> Clearness:
    """Compares a picture (3, H, W), and each cell of it, with some families.

    Its sides are at least `CELL` and the margins `statistic.BEFORE` and `statistic.AFTER`.
    """
    templates = torch.stack([family.template for family in families]).to(x)
    tables = cell_tables(x, CELL)
    of_cells = similarities(whitening(tables.flatten(0, 1)), templates).view(*tables.shape[:2], -1, PERIOD, PERIOD)
    # Cells have equal numbers of pixels, so that their mean is the table of the picture.
    whole = similarities(whitening(tables.mean((0, 1)))[None], templates)[0]
    return Clearness(whole.cpu().numpy(), of_cells.cpu().numpy())


@cache
def cells_of_photographs() -> dict[str, Any]:
    """Deviation of the cosine of a cell over photographs, by family, and of how many photographs and cells it is."""
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content
