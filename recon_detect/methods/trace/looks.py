"""Looks: single observations of a picture in a frame, as deviates of photographs.

The grid is looked for without a network (see `methods.grid`), the grain by the contrast of a tile with the same tile
moved off the decoder's grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from recon_detect.evidence.texture import BLOCK, FLAT, most_textured, texture
from recon_detect.methods.deviates import of_student
from recon_detect.methods.grid.grid import STANDS_OUT, among_phases, cosines_at_phases
from recon_detect.methods.grid.null import LEAST_ENERGY
from recon_detect.methods.grid.statistic import PERIOD, least_side
from recon_detect.methods.trace.factors import log_factor, mean_factor

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from recon_detect.evidence import Evidence
    from recon_detect.methods.grid.families import Family
    from recon_detect.methods.grid.whitening import Whitening

# Effects in deviates that the grid may have where a hypothesis holds; none after strong compression.
GRID_EFFECTS = (0.0, 1.0, 2.0, 4.0, 8.0)
# Deviates among the phases of one picture are trusted this far: beyond, other periods of 8 pixels are met too.
TRUSTED = 3.0
# Sides of the squares whose contrast is one look: the first whose squares cover so much of a picture.
TILES, COVERED = (160, 144, 128, 112, 96), 2 / 3
# Of fewer cells than this side has, a deviation cannot be estimated.
LEAST_TILE = 64
# Off the grids of 8, 4 and 2 pixels on which decoders write (docs/methods/trace.md, figure).
MOVED = 3
# Side of the cells that errors are averaged over before they are compared, in pixels.
CELL = 16
# Added to an error before its logarithm: below it a contrast is noise.
FLOOR = 0.003


@dataclass(frozen=True, slots=True)
class GridLook:
    """The grid of K families in one frame.

    Attributes:
        phases: (K, 64), deviates of the similarity where the grid begins at each phase, among all others; row by row.
        anywhere: (K,), deviates of the highest of the 64 among photographs.
        places: K, (left, top) of the phase with the highest.
        compressed: (K, 64), as `phases`, by templates of compressed pictures; None where there were none.
    """

    phases: NDArray[np.float64]
    anywhere: NDArray[np.float64]
    places: list[tuple[int, int]]
    compressed: NDArray[np.float64] | None = None

    def shows_crop(self, family: int) -> bool:
        """True where the grid of a family begins elsewhere than at the origin, beyond doubt."""
        left, top = self.places[family]
        return bool(self.phases[family, top * PERIOD + left] - self.phases[family, 0] >= STANDS_OUT)

    def log_factor(self, family: int, place: tuple[int, int]) -> float:
        """Logarithm of the Bayes factor of a family whose grid begins at a place (left, top)."""
        left, top = place
        tables = [self.phases] if self.compressed is None else [self.phases, self.compressed]
        factors = [float(log_factor(table[family, top * PERIOD + left], GRID_EFFECTS)) for table in tables]
        return mean_factor(factors, [1] * len(factors))


def look_for_grid(
    x: Tensor,
    families: Sequence[Family],
    whitening: Whitening,
    scale: float,
    side: int,
    compressed: Tensor | None = None,
) -> GridLook | None:
    """Looks for the grid in the most textured part, of at most `side` squared, of a picture (3, H, W) in a frame.

    None: it is too small or too smooth.
    """
    part = x
    if max(x.shape[-2:]) > side:
        ((left, top, right, bottom),) = most_textured(x[None], side)
        part = x[:, top:bottom, left:right]
    if min(part.shape[-2:]) < least_side():
        return None
    templates = torch.stack([family.template for family in families])
    every = templates if compressed is None else torch.cat([templates, compressed])
    cosines, of_picture = cosines_at_phases(part, every, whitening)
    if of_picture < LEAST_ENERGY:
        return None
    phases, count = among_phases(cosines), len(families)
    nearest = [min(family.scales, key=lambda other: abs(np.log(other / scale))) for family in families]
    among_photographs = np.stack([
        family.nulls[near].deviates(of_family, np.full(len(of_family), of_picture))
        for family, near, of_family in zip(families, nearest, cosines[:count].double().numpy(), strict=True)
    ])  # fmt: skip
    best = cosines[:count].argmax(1).numpy()
    return GridLook(
        _trusted(phases[:count], among_photographs),
        among_photographs[np.arange(count), best],
        [(phase % PERIOD, phase // PERIOD) for phase in best.tolist()],
        _trusted(phases[count:], 0.0) if compressed is not None else None,
    )


def _trusted(phases: NDArray[np.float64], among_photographs: ArrayLike) -> NDArray[np.float64]:
    """Deviates among the phases of a picture, above `TRUSTED` only as far as those among photographs are.

    The blocks of a JPEG are a grid of 8 pixels too, and stand out among the phases of a photograph.
    """
    result: NDArray[np.float64] = np.minimum(phases, np.maximum(among_photographs, TRUSTED))
    return result


def tiles_of(x: Tensor, place: tuple[int, int]) -> list[tuple[int, int]]:
    """Corners (left, top) of the disjoint tiles of a picture (3, H, W) with the grid at a place, by texture."""
    left, top = place
    height, width = x.shape[-2] - top, x.shape[-1] - left
    side = tile_side(height, width)
    if not side:
        return []
    rows, columns = (height - MOVED) // side, (width - MOVED) // side
    area = x[None, :, top : top + rows * side, left : left + columns * side]
    # A hard edge counts no more than fine texture.
    means = F.adaptive_avg_pool2d(texture(area).clamp_(max=8 * FLAT), (rows, columns))[0]
    corners = [
        (float(means[row, column]), left + column * side, top + row * side)
        for row in range(rows)
        for column in range(columns)
    ]
    return [(x0, y0) for value, x0, y0 in sorted(corners, reverse=True) if value > FLAT]


def tile_side(height: int, width: int) -> int:
    """The side of the tiles of an area that begins on the grid; 0 if none of `LEAST_TILE` has room."""
    room = height - MOVED, width - MOVED
    if min(room) < LEAST_TILE:
        return 0

    def covered(side: int) -> float:
        return (room[0] // side) * (room[1] // side) * side**2 / (height * width)

    side = next((side for side in TILES if covered(side) >= COVERED), max(TILES, key=covered))
    return side if covered(side) else min(room) // BLOCK * BLOCK


def contrasts(
    e: Evidence, tiles: Sequence[Tensor], positions: Sequence[int], distance: str | None = None
) -> NDArray[np.float64]:
    """Contrasts of tiles (3, side + `MOVED`, side + `MOVED`) by the only model of the evidence: (N,).

    Student's t of log d(moved) - log d(here) over cells, as a normal deviate: about N(0, 1) for photographs.
    """
    side = tiles[0].shape[-1] - MOVED
    here = torch.stack([tile[:, :side, :side] for tile in tiles])
    moved = torch.stack([tile[:, MOVED:, MOVED:] for tile in tiles])
    maps = e.at(torch.cat([here, moved]), [*positions, *positions]).error_map(0, distance)
    cells = F.adaptive_avg_pool2d(maps.double(), side // CELL)[:, 0].flatten(1).add(FLOOR).log()
    difference = cells[len(tiles) :] - cells[: len(tiles)]
    error = difference.std(1) / difference.shape[1] ** 0.5
    t = (difference.mean(1) / error.clamp_min(1e-9)).cpu().numpy()
    return of_student(t, difference.shape[1] - 1)
