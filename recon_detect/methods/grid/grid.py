"""Grid: whether the upsampling of a known decoder has left its period of 8 pixels in a picture. Our own.

No network is run. The table of a picture (`statistic`) is whitened over photographs and compared with the mean table
of each family of decoders at all 64 places of the grid at once, first as the picture is, then at other scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from recon_detect.evidence.texture import textured_blocks
from recon_detect.methods.grain.crops import most_textured
from recon_detect.methods.grain.grain import DECISIVE, ENOUGH, REMARKABLE, corrected, pooled
from recon_detect.methods.grid.families import SHIPPED, Family, read_families, read_whitening
from recon_detect.methods.grid.statistic import PERIOD, least_side, tables
from recon_detect.methods.grid.whitening import Whitening, energy, similarities
from recon_detect.methods.method import Method, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from recon_detect.evidence import Evidence
    from recon_detect.methods.grain.crops import Box

# Side of the most textured part of a picture, which is all that is looked at. More area tells more.
SIDE = 1024
# The share of the prior of pictures that were not resized; the other scales share the rest.
AS_IT_IS = 0.5
# Pictures with a shorter side than this after scaling are looked at only as they are.
LEAST_SEARCHED = 160
# Side of the cells of a map in pixels.
CELL = 64


@dataclass(frozen=True, slots=True)
class Match:
    """The best of all families, scales and phases for one picture.

    Attributes:
        z: (K,), by family: standard deviations of photographs, corrected for the scales.
        family: Number of the best.
        scale: By which the picture was scaled.
        phase: (down, across), where the grid's origin lies in the scaled picture, modulo 8.
    """

    z: NDArray[np.float64]
    family: int
    scale: float
    phase: tuple[int, int]


def grid(e: Evidence, families: Sequence[Family], whitening: Whitening) -> Finding:
    """The similarity with the most similar family, at the place and scale where it is most so, against photographs.

    High means generated. In standard deviations of photographs, corrected for the number of families and scales. A
    picture with too little texture gets 0.
    """
    x = e.image()
    enough = (textured_blocks(x) >= ENOUGH).tolist()
    per_family = np.zeros((len(e), len(families)))
    details: list[dict[str, Any]] = [{} for _ in range(len(e))]
    for image, box in enumerate(most_textured(x, SIDE)):
        part = cut(x[image], box)
        if enough[image] and min(part.shape[-2:]) >= least_side():
            match = best_match(part, families, whitening)
            per_family[image] = match.z
            details[image] = describe(match, families, box, (x.shape[-2], x.shape[-1]))
    score = np.where([bool(found) for found in details], pooled(per_family), 0.0)
    remarks = [in_words(value, found) for value, found in zip(score.tolist(), details, strict=True)]
    return Finding(per_family, score, details, remarks)


def best_match(x: Tensor, families: Sequence[Family], whitening: Whitening) -> Match:
    """Compares a picture (3, H, W) as it is, then at the other scales that all families know, until it is decided."""
    scales = families[0].scales
    trials = []
    for scale in scales:
        part = scaled(x, scale)
        if scale != 1 and min(part.shape[-2:]) < LEAST_SEARCHED:
            continue
        z, phases = compare(part, families, scale, whitening)
        z = corrected(z, AS_IT_IS if scale == 1 else (1 - AS_IT_IS) / (len(scales) - 1))
        trials.append((z, scale, phases))
        if pooled(z[None])[0] > DECISIVE:
            break
    z, scale, phases = max(trials, key=lambda trial: trial[0].max())
    family = int(z.argmax())
    return Match(np.max([trial[0] for trial in trials], axis=0), family, scale, phases[family])


def compare(
    x: Tensor, families: Sequence[Family], scale: float, whitening: Whitening
) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
    """Deviates of photographs (K,) of a picture (3, H, W) that was brought to a scale, and K phases."""
    whitened = whitening(tables(x))[None]
    templates = torch.stack([family.template for family in families]).to(x)
    cosines = similarities(whitened, templates)[0].flatten(1)
    values, phases = (part.tolist() for part in cosines.max(1))
    of_picture = energy(whitened, x.new_tensor([x[0].numel()])).tolist()
    z = [family.nulls[scale].deviates([value], of_picture)[0] for family, value in zip(families, values, strict=True)]
    return np.array(z), [divmod(phase, PERIOD) for phase in phases]


def cut(x: Tensor, box: Box) -> Tensor:
    """Part of a picture (3, H, W)."""
    left, top, right, bottom = box
    return x[:, top:bottom, left:right]


def scaled(x: Tensor, scale: float) -> Tensor:
    """The middle of a picture (3, H, W), scaled to at most `SIDE` squared; bicubic, antialiased, in floats."""
    if scale == 1:
        return x
    sides = [min(side, int(SIDE / scale)) for side in x.shape[-2:]]
    top, left = ((whole - side) // 2 for whole, side in zip(x.shape[-2:], sides, strict=True))
    part = x[:, top : top + sides[0], left : left + sides[1]]
    size = [round(side * scale) for side in sides]
    return F.interpolate(part[None], size=size, mode="bicubic", antialias=True, align_corners=False)[0].clamp_(-1, 1)


def describe(match: Match, families: Sequence[Family], box: Box, size: tuple[int, int]) -> dict[str, Any]:
    """What the best match says about a picture (height, width), should it be generated."""
    down, across = ((-phase) % PERIOD for phase in match.phase)
    return {
        "family": families[match.family].name,
        "native_size": [round(size[1] * match.scale), round(size[0] * match.scale)],
        "scale": round(match.scale, 4),
        # How many columns and rows a crop has taken from the grid: of what was looked at, at its native size.
        "offset": [across, down],
        "box": list(box),
    }


def in_words(score: float, details: dict[str, Any]) -> str:
    """A remark for the reader of a row; none on what looks like a photograph."""
    if not details:
        return "not enough texture to tell"
    if score < REMARKABLE:
        return ""
    native = "" if details["scale"] == 1 else f" at {'x'.join(map(str, details['native_size']))}"
    moved = f", cropped {details['offset'][0]} px across and {details['offset'][1]} px down off it"
    return f"the 8-pixel grid of {details['family']}{native}{moved if any(details['offset']) else ''}"


def cells(x: Tensor, family: Family, whitening: Whitening, phase: tuple[int, int]) -> Tensor:
    """How far the phase stands out among all 64 in each cell of a picture (3, H, W): (rows, columns), in deviations.

    The cells of 64 px overlap by what the statistic needs around each pixel.
    """
    margin = CELL // 2
    x = F.pad(x[None], (margin, margin, margin, margin), mode="reflect")[0]
    rows, columns = ((side - 2 * margin) // CELL for side in x.shape[-2:])
    pieces = [
        x[:, row * CELL : row * CELL + 2 * CELL, column * CELL : column * CELL + 2 * CELL]
        for row in range(rows)
        for column in range(columns)
    ]
    whitened = torch.stack([whitening(tables(piece)) for piece in pieces])
    # The margin is a multiple of the period: a cell has the phases of the picture.
    cosines = similarities(whitened, family.template.to(x)[None])[:, 0]
    deviation, mean = torch.std_mean(cosines, dim=(1, 2))
    return ((cosines[:, phase[0], phase[1]] - mean) / deviation.clamp_min(1e-8)).view(rows, columns)


def grid_method(paths: Sequence[Path] = (SHIPPED,)) -> Method:
    """The method with the families of some files instead of those of the package."""
    families = read_families(paths)
    return Method(
        name="grid",
        title="the 8-pixel grid of a known decoder, at any crop and the usual sizes, without a network",
        statistic=partial(grid, families=families, whitening=read_whitening()),
        higher_is_generated=True,
        distance="cosine",
        models=(),
        paper="this project, after doi:10.1109/79.81007",
        needs=frozenset(),
        cost="no network: a tenth of a tiny reconstruction",
        columns=tuple(family.name for family in families),
        data=paths[0],
    )
