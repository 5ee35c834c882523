"""Grid: whether the upsampling of a known decoder has left its period of 8 pixels in a picture. Our own.

No network is run. The table of a picture (`statistic`) is whitened over photographs and compared with the mean table
of each family of decoders at all 64 places of the grid at once, first as the picture is, then at other scales.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from recon_detect.evidence.texture import ENOUGH, most_textured, textured_blocks
from recon_detect.methods.deviates import DECISIVE, REMARKABLE, corrected, pooled
from recon_detect.methods.grid.null import LEAST_ENERGY, SMALL
from recon_detect.methods.grid.statistic import AFTER, BEFORE, PERIOD, cell_tables, least_side, tables
from recon_detect.methods.grid.whitening import Whitening, energy, similarities
from recon_detect.methods.method import MethodResult
from recon_detect.results import NO_TEXTURE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from recon_detect.evidence import Evidence
    from recon_detect.evidence.texture import Box
    from recon_detect.methods.grid.families import Family
    from recon_detect.results import Score

# Side of the most textured part of a picture, which is all that is looked at. More area tells more.
SIDE = 1024
# The share of the prior of pictures that were not resized; the other scales share the rest.
AS_IT_IS = 0.5
# Pictures with a shorter side than this after scaling are looked at only as they are.
LEAST_SEARCHED = 160
# Side of the cells of a map in pixels.
CELL = 64
# Deviations that a heat map shows brightest: 64 phases, one of which has all, make 7.9.
BRIGHTEST = 6.0
# Deviates by which the phase of a crop exceeds that of the origin (docs/methods/trace.md, the details of a row).
STANDS_OUT = 1.5


@dataclass(frozen=True, slots=True)
class Match:
    """The best of all families, scales and phases for one picture.

    Attributes:
        z: (K,), by family: standard deviations of photographs, corrected for the scales.
        family: Number of the one of the highest `rank` at this scale.
        scale: By which the picture was scaled.
        phase: (down, across), where the grid's origin lies in the scaled picture, modulo 8.
        cropped: Whether it lies beyond doubt elsewhere than at the origin of a picture that was not scaled.
    """

    z: NDArray[np.float64]
    family: int
    scale: float
    phase: tuple[int, int]
    cropped: bool


def grid(e: Evidence, families: Sequence[Family], whitening: Whitening) -> MethodResult:
    """The similarity with the most similar family, at the place and scale where it is most so, against photographs.

    High means generated. In standard deviations of photographs, corrected for the number of families and scales. A
    picture with too little texture gets 0.
    """
    x = e.image()
    enough = textured_blocks(x) >= ENOUGH
    per_family = np.zeros((len(e), len(families)))
    details: list[dict[str, Any]] = [{} for _ in range(len(e))]
    for image, box in enumerate(most_textured(x, SIDE)):
        part = cut(x[image], box)
        match = best_match(part, families, whitening) if enough[image] and fits(part) else None
        if match:
            per_family[image] = match.z
            # A photograph has no decoder.
            details[image] = {"box": list(box)}
            if pooled(match.z[None])[0] >= REMARKABLE:
                details[image] = describe(match, families, box, (x.shape[-2], x.shape[-1]))
                seen = cells(scaled(part, match.scale), families[match.family], whitening, match.phase)
                details[image]["cells"] = [[round(value, 1) for value in row] for row in seen.tolist()]
    score = np.where([bool(entry) for entry in details], pooled(per_family), 0.0)
    remarks = [in_words(value, entry) for value, entry in zip(score.tolist(), details, strict=True)]
    return MethodResult(per_family, score, details, remarks)


def fits(x: Tensor) -> bool:
    """Tells if a picture (3, H, W) is large enough to have a table."""
    return min(x.shape[-2:]) >= least_side()


def best_match(x: Tensor, families: Sequence[Family], whitening: Whitening) -> Match | None:
    """Compares a picture (3, H, W) as it is, then at the other scales that all families know, until it is decided.

    None: it is too smooth as it is.
    """
    scales = families[0].scales
    trials = []
    for scale in scales:
        part = scaled(x, scale)
        if scale != 1 and min(part.shape[-2:]) < LEAST_SEARCHED:
            continue
        z, cosines, phases, off_origin, energy_at_scale = compare(part, families, scale, whitening)
        if scale == 1 and energy_at_scale < LEAST_ENERGY:
            return None
        family = int(rank(z, cosines).argmax())
        z = corrected(z, AS_IT_IS if scale == 1 else (1 - AS_IT_IS) / (len(scales) - 1))
        cropped = scale == 1 and bool(off_origin[family] >= STANDS_OUT)
        trials.append(Match(z, family, scale, phases[family], cropped))
        if pooled(z[None])[0] > DECISIVE:
            break
    best = max(trials, key=lambda match: float(match.z.max()))
    return replace(best, z=np.max([match.z for match in trials], axis=0))


def rank(z: NDArray[np.float64], cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Order of families for the name of a picture, from deviates and cosines of one shape.

    The deviate alone prefers templates that photographs vary little about, the cosine alone those that are like many.
    """
    result: NDArray[np.float64] = z + np.log(np.maximum(cosines, SMALL))
    return result


def compare(
    x: Tensor, families: Sequence[Family], scale: float, whitening: Whitening
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[tuple[int, int]], NDArray[np.float64], float]:
    """Deviates and best cosines (K,) of a picture (3, H, W) that was brought to a scale, and where these are.

    K phases, by how many deviates among the phases each exceeds the origin (K,), and the energy of the picture.
    """
    cosines, of_picture = cosines_at_phases(x, torch.stack([family.template for family in families]), whitening)
    values, phases = (part.tolist() for part in cosines.max(1))
    among = among_phases(cosines.cpu())
    off_origin = among[np.arange(len(phases)), phases] - among[:, 0]
    z = [family.nulls[scale].deviates([value], [of_picture])[0] for family, value in zip(families, values, strict=True)]
    return np.array(z), np.array(values), [divmod(phase, PERIOD) for phase in phases], off_origin, of_picture


def cosines_at_phases(x: Tensor, templates: Tensor, whitening: Whitening) -> tuple[Tensor, float]:
    """Cosines (K, 64) of a picture (3, H, W) with templates (K, F, 8, 8), row by row of the phases, and its energy."""
    whitened = whitening(tables(x))[None]
    cosines = similarities(whitened, templates.to(x))[0].flatten(1)
    return cosines, float(energy(whitened, x.new_tensor([x[0].numel()])))


def among_phases(cosines: Tensor) -> NDArray[np.float64]:
    """Each of the phases (K, 64) as a deviate of the others: (K, 64)."""
    values, count = cosines.double(), cosines.shape[1] - 1
    rest = values.sum(1, keepdim=True) - values
    squares = values.square().sum(1, keepdim=True) - values.square()
    variance = (squares - rest.square() / count) / (count - 1)
    result: NDArray[np.float64] = ((values - rest / count) / variance.clamp_min(1e-12).sqrt()).numpy()
    return result


def cut(x: Tensor, box: Box) -> Tensor:
    """Part of a picture (3, H, W)."""
    left, top, right, bottom = box
    return x[:, top:bottom, left:right]


def scaled(x: Tensor, scale: float) -> Tensor:
    """The middle of a picture (3, H, W), scaled to at most `SIDE` squared; bicubic, antialiased, in floats."""
    if scale == 1:
        return x
    (top, height), (left, width) = (_middle(side, scale) for side in x.shape[-2:])
    part = x[:, top : top + height, left : left + width]
    size = [round(side * scale) for side in (height, width)]
    return F.interpolate(part[None], size=size, mode="bicubic", antialias=True, align_corners=False)[0].clamp_(-1, 1)


def _middle(side: int, scale: float) -> tuple[int, int]:
    """Start and length of the middle of a side that has `SIDE` pixels at most once it is scaled."""
    length = min(side, int(SIDE / scale))
    return (side - length) // 2, length


def describe(match: Match, families: Sequence[Family], box: Box, size: tuple[int, int]) -> dict[str, Any]:
    """Details of the best match for a picture (height, width), should it be generated."""
    down, across = ((-phase) % PERIOD for phase in match.phase)
    return {
        "family": families[match.family].name,
        "native_size": [round(size[1] * match.scale), round(size[0] * match.scale)],
        "scale": round(match.scale, 4),
        # Where the grid begins in what was looked at, at its native size, as columns and rows that a crop has taken.
        "offset": [across, down],
        "cropped": match.cropped,
        "box": list(box),
    }


def in_words(score: float, details: dict[str, Any]) -> str:
    """A remark for the reader of a row; none on what looks like a photograph."""
    if not details:
        return NO_TEXTURE
    if score < REMARKABLE:
        return ""
    native = "" if details["scale"] == 1 else f" at {'x'.join(map(str, details['native_size']))}"
    moved = f", cropped {details['offset'][0]} px across and {details['offset'][1]} px down off it"
    return f"the 8-pixel grid of {details['family']}{native}{moved if details['cropped'] else ''}"


def cells(x: Tensor, family: Family, whitening: Whitening, phase: tuple[int, int]) -> Tensor:
    """Map of how far the phase stands out among all 64 in each cell of a picture (3, H, W), in deviations.

    The map has (rows, columns); of the cells, which begin every 64 px, neighbours overlap.
    """
    height, width = x.shape[-2:]
    # What the statistic needs around a cell is reflected at the borders, and a picture smaller than a cell fills one.
    margin = CELL // 2
    right, below = (margin + max(CELL - side, 0) for side in (width, height))
    x = F.pad(x[None], (margin, right, margin, below), mode="reflect")[0]
    by_cell = cell_tables(x, 2 * CELL - BEFORE - AFTER, CELL)
    whitened = whitening(by_cell.flatten(0, 1))
    # The margin is a multiple of the period: a cell has the phases of the picture.
    cosines = similarities(whitened, family.template.to(x)[None])[:, 0]
    deviation, mean = torch.std_mean(cosines, dim=(1, 2))
    return ((cosines[:, phase[0], phase[1]] - mean) / deviation.clamp_min(1e-8)).view(by_cell.shape[:2])


def draw(score: Score, size: tuple[int, int]) -> NDArray[np.float32]:
    """The `cells` of a score over a picture (height, width), one value for each 8 pixels: (h, w), in deviations.

    0 where the picture was not looked at, and everywhere if its score is that of a photograph.
    """
    shape = tuple(-(-side // PERIOD) for side in size)
    if "cells" not in score.details:
        return np.zeros(shape, np.float32)
    # A border of zeros: what lies outside of the cells is taken from it.
    values = np.pad(np.array(score.details["cells"], np.float32), 1)
    left, top, right, bottom = score.details["box"]
    rows, columns = (
        _cell_of(shape[axis], start, stop, score.details["scale"], values.shape[axis])
        for axis, (start, stop) in enumerate(((top, bottom), (left, right)))
    )
    return values[np.ix_(rows, columns)]


def _cell_of(length: int, start: int, stop: int, scale: float, cells_and_border: int) -> NDArray[np.intp]:
    """Numbers of the cells, from 1, that each 8th pixel of one side of a picture is in; outside, that of the border."""
    centres = (np.arange(length) + 0.5) * PERIOD - start - _middle(stop - start, scale)[0]
    return (np.floor(centres * scale / CELL).astype(np.intp) + 1).clip(0, cells_and_border - 1)
