"""The method `grid` with the families of the package, or of a file that users fitted."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from recon_detect.methods.grid.families import SHIPPED, read_families, read_whitening
from recon_detect.methods.grid.grid import BRIGHTEST, draw, grid
from recon_detect.methods.method import HeatMap, Method


def grid_method(path: Path = SHIPPED) -> Method:
    """The method with the families of a file.

    Raises:
        UsageError: No such file, or one of another version of the package.
        WeightsCorrupt: It holds something else.
    """
    families = read_families(path)
    return Method(
        name="grid",
        title="the 8-pixel grid of a known decoder, at any crop and the usual sizes, without a network",
        statistic=partial(grid, families=families, whitening=read_whitening()),
        higher_is_generated=True,
        distance="cosine",
        models=(),
        paper="this project, after doi:10.1109/79.81007",
        needs=frozenset(),
        cost="no network",
        columns=tuple(family.name for family in families),
        data=path,
        with_data=grid_method,
        heat_map=HeatMap(draw, BRIGHTEST),
    )


GRID = grid_method()
