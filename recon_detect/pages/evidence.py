"""Evidence as pictures: maps over a picture on fixed scales, and the grid of the likeliest family by phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from recon_detect.evidence.texture import most_textured
from recon_detect.evidence.views import find_view
from recon_detect.methods.grid.clearness import BRIGHTEST, CELL, clearness
from recon_detect.methods.grid.families import read_families, read_whitening
from recon_detect.methods.grid.statistic import AFTER, BEFORE, PERIOD
from recon_detect.methods.trace import trace
from recon_detect.methods.trace.frames import Frame
from recon_detect.models.registry import family_of
from recon_detect.output.heatmap import colour
from recon_detect.tried import family_name

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from recon_detect.results import Row

# Side of the part of a frame whose cells are drawn, in pixels: a second or two.
SIDE = 1024
# Of every map: it is read together with the answer.
_ALONE = "The scale is the same for every picture. Photographs have bright places too: one alone is no finding."
_INVERSE = {"rot90": "rot270", "rot270": "rot90"}


@dataclass(frozen=True, slots=True, eq=False)
class EvidenceMap:
    """A map over a picture, in deviations of photographs.

    Attributes:
        name: Title.
        values: (h, w) float32, one for each 8 pixels of the picture; NaN where it was not looked at.
        scale: Value of the brightest colour; 0 and below are the darkest.
        meaning: Sentences on what bright and dark mean.
    """

    name: str
    values: NDArray[Any]
    scale: float
    meaning: str

    @property
    def brightness(self) -> float:
        """Mean of what was looked at, in parts of the scale."""
        return float(np.nanmean(self.values)) / self.scale

    def picture(self, size: tuple[int, int]) -> Image.Image:
        """The map in colours at the size (width, height) of a picture; transparent where it was not looked at."""
        seen = np.isfinite(self.values)
        colours = colour(np.where(seen, self.values, 0), self.scale)
        pixels = np.concatenate([colours, np.where(seen, 255, 0)[..., None].astype(np.uint8)], axis=-1)
        return Image.fromarray(pixels, "RGBA").resize(size, Image.Resampling.NEAREST)


@dataclass(frozen=True, slots=True, eq=False)
class GridEvidence:
    """The grid of the likeliest family, in the frame that is likeliest.

    Attributes:
        family: Short name of the family.
        size: (width, height) that the picture was brought to.
        turned: Symmetry by which it was turned, such as ``"hflip"``; ``"identity"`` where it was not.
        cosines: (8, 8), similarity with the family where the grid begins at a phase (down, across).
        phase: (down, across), where the cells are compared.
        map: Over the picture.
    """

    family: str
    size: tuple[int, int]
    turned: str
    cosines: NDArray[Any]
    phase: tuple[int, int]
    map: EvidenceMap


def grid_of(x: Tensor, row: Row) -> GridEvidence | None:
    """Looks at a picture (3, H, W) for the grid of the family that its row names, or that it is most like.

    At the native size and the symmetry that the row names, otherwise as it is. None: it is too small.
    """
    details = row.details
    width, height = details.get("native_size") or (x.shape[-1], x.shape[-2])
    frame = Frame(width, height, details.get("scale", 1.0), True, {}, details.get("symmetry", "identity"))
    shown, corner = frame.show(x)
    if min(shown.shape[-2:]) < CELL + BEFORE + AFTER:
        return None
    (box,) = most_textured(shown[None], SIDE)
    part = shown[:, box[1] : box[3], box[0] : box[2]]
    families = read_families()
    with torch.inference_mode():
        grids = clearness(part, families, read_whitening())
    names = [family.name for family in families]
    family = _likeliest(row, names, grids.cosines)
    cosines = grids.cosines[family]
    down, across = (int(place) for place in np.unravel_index(cosines.argmax(), cosines.shape))
    if "decoder" in details and "offset" in details:  # as trace has them, which names the place of its hypothesis
        across, down = (-side % PERIOD for side in details["offset"])
    cells = grids.deviates(family, names[family], (down, across))
    values = _over_picture(cells, box, shown.shape[-2:], frame, corner, x.shape[-2:])
    meaning = (
        f"Each cell is {CELL} x {CELL} pixels of the picture at {frame.width} x {frame.height}. Bright: the cell has "
        f"the 8-pixel grid of {family_name(names[family])}. Dark: as in photographs, whose cells are mostly within -1 "
        f"to 2. {_ALONE} Of a large picture only the most textured part was looked at."
    )
    return GridEvidence(
        names[family], (frame.width, frame.height), frame.symmetry, cosines, (down, across),
        EvidenceMap("grid, without a network", values, BRIGHTEST, meaning),
    )  # fmt: skip


def tiles_of(row: Row, size: tuple[int, int]) -> EvidenceMap | None:
    """The contrasts of the tiles that networks looked at in a picture (height, width); None where they did not."""
    tiles = row.details.get("tiles")
    if not tiles:
        return None
    values = np.full([-(-side // PERIOD) for side in size], np.nan, np.float32)
    for left, top, right, bottom, deviate in tiles:
        values[top // PERIOD : -(-bottom // PERIOD), left // PERIOD : -(-right // PERIOD)] = deviate
    meaning = (
        "Each tile was reconstructed by a network where it is, and moved by 3 pixels. Bright: it is reconstructed "
        f"better where it is than photographs are, as where a decoder wrote it. Dark: as photographs. {_ALONE} The "
        "search chose these places: where the picture shows through, no network looked, and nothing is known of it."
    )
    return EvidenceMap("grain, by networks", values, trace.BRIGHTEST, meaning)


def _likeliest(row: Row, names: list[str], cosines: NDArray[Any]) -> int:
    """Number of the family that a row names, else of the one with the highest score, else of the most similar."""
    ranked = sorted(row.per_model, key=lambda model: row.per_model[model], reverse=True)
    named = [row.details.get("decoder"), row.details.get("family"), *map(family_of, ranked)]
    similar = names[int(cosines.max((1, 2)).argmax())]
    return names.index(next((name for name in named if name in names), similar))


def _over_picture(
    cells: NDArray[Any],
    box: tuple[int, int, int, int],
    shown: tuple[int, ...],
    frame: Frame,
    corner: tuple[int, int],
    size: tuple[int, ...],
) -> NDArray[Any]:
    """Cells of a part (`box`) of a frame (height, width) over the picture (height, width) it was made of."""
    rows, columns = (
        np.minimum(np.maximum(np.arange(0, stop - start, PERIOD) + PERIOD // 2 - BEFORE, 0) // CELL, count - 1)
        for start, stop, count in ((box[1], box[3], cells.shape[0]), (box[0], box[2], cells.shape[1]))
    )
    canvas = np.full([-(-side // PERIOD) for side in shown], np.nan, np.float32)
    top, left = box[1] // PERIOD, box[0] // PERIOD
    canvas[top : top + len(rows), left : left + len(columns)] = cells[np.ix_(rows, columns)]
    upright = find_view(_INVERSE.get(frame.symmetry, frame.symmetry))(torch.from_numpy(canvas)[None, None])[
        0, 0
    ].numpy()
    places = [
        np.floor(((np.arange(-(-side // PERIOD)) + 0.5) * PERIOD - start) * frame.scale / PERIOD).astype(np.intp)
        for side, start in zip(size, reversed(corner), strict=True)
    ]
    inside = [(place >= 0) & (place < count) for place, count in zip(places, upright.shape, strict=True)]
    values = upright[np.ix_(*(place.clip(0, count - 1) for place, count in zip(places, upright.shape, strict=True)))]
    return np.where(np.outer(*inside), values, np.float32(np.nan))
