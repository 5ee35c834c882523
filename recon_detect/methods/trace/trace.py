"""Trace: whether a known decoder wrote a picture, at any size that generators write and wherever it was cropped.

Our own. Two kinds of evidence are collected until it is decided: the decoder's grid (see `methods.grid`), which costs
no network and dies under strong compression, and its grain, the contrast of tiles, which costs reconstructions and
survives compression. Both are Bayes factors against photographs (see `factors`), so that they multiply.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr

from recon_detect.evidence.texture import ENOUGH, textured_blocks
from recon_detect.methods.deviates import REMARKABLE
from recon_detect.methods.grid.families import read_families
from recon_detect.methods.grid.statistic import PERIOD
from recon_detect.methods.method import HeatMap, Method, MethodResult
from recon_detect.methods.trace.effort import EFFORTS
from recon_detect.methods.trace.nulls import FILE, find_nulls
from recon_detect.methods.trace.search import Search, search
from recon_detect.models.needs import Need
from recon_detect.results import NO_TEXTURE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recon_detect.evidence import Evidence
    from recon_detect.methods.trace.factors import OfPhotographs
    from recon_detect.methods.trace.nulls import Nulls
    from recon_detect.results import Score

# Deviates of a tile that a heat map shows brightest.
BRIGHTEST = 4.0


def trace(e: Evidence, nulls: Nulls) -> MethodResult:
    """The Bayes factor of all hypotheses about each picture, as a deviate of photographs (see `factors.OfPhotographs`).

    High means generated. One photograph in forty exceeds 2, one in seven hundred 3. A picture with too little texture
    gets 0.
    """
    enough = (textured_blocks(e.image()) >= ENOUGH).tolist()
    searches = search(e, nulls, nulls.effort, [image for image, textured in enumerate(enough) if textured])
    per_family = np.zeros((len(e), len(nulls.families)))
    score = np.zeros(len(e))
    details: list[dict[str, Any]] = [{} for _ in range(len(e))]
    for image, one in searches.items():
        factors = [one.log_factor, *(one.log_factor_of(family.name) for family in nulls.families)]
        score[image], *per_family[image] = map(nulls.searches.deviate, factors)
        details[image] = describe(one, score[image], nulls.searches)
    remarks = [in_words(value, entry) for value, entry in zip(score.tolist(), details, strict=True)]
    return MethodResult(per_family, score, details, remarks)


def describe(one: Search, score: float, searches: OfPhotographs) -> dict[str, Any]:
    """Details of what was tried, and of the likeliest hypothesis where the score is `REMARKABLE`."""
    tried: dict[str, Any] = {
        "sizes": sorted({f"{frame.width}x{frame.height}" for frame in one.frames}),
        "scales": len({round(frame.scale, 3) for frame in one.frames}),
        "places": one.places,
        "passes": round(one.passes, 2),
        "area": round(one.area, 3),
        "bayes_factor": float(f"{np.exp(min(one.log_factor, 700)):.3g}"),
        "tiles": [list(tile) for tile in one.tiles()],
        "detectable": one.detectable(searches.log_factor(float(ndtr(-REMARKABLE)))),
    }
    if score < REMARKABLE:
        return tried
    best = one.best()
    frame = one.frames[best.frame]
    left, top = best.place
    return tried | {
        "decoder": best.family,
        "native_size": [frame.width, frame.height],
        "scale": round(frame.scale, 4),
        "offset": [-left % PERIOD, -top % PERIOD],
        "cropped": best.certain and best.place != (0, 0),
        "symmetry": frame.symmetry,
    }


def in_words(score: float, details: dict[str, Any]) -> str:
    """A remark for the reader of a row; none on what looks like a photograph."""
    if not details:
        return NO_TEXTURE
    if "decoder" not in details:
        return ""
    size = "" if details["scale"] == 1 else f" at {'x'.join(map(str, details['native_size']))}"
    turned = {"identity": "", "hflip": ", mirrored"}.get(details["symmetry"], ", turned")
    moved = ", cropped off its grid" if details["cropped"] else ""
    return f"trace of {details['decoder'].removeprefix('images:')}{size}{turned}{moved}"


def draw(score: Score, size: tuple[int, int]) -> NDArray[np.float32]:
    """The deviates of the tiles of `Search.tiles`, one value for each 8 pixels; 0 elsewhere."""
    result = np.zeros(tuple(-(-side // PERIOD) for side in size), np.float32)
    for left, top, right, bottom, value in score.details.get("tiles", ()):
        result[top // PERIOD : -(-bottom // PERIOD), left // PERIOD : -(-right // PERIOD)] = max(value, 0)
    return result


TRACE = Method(
    name="trace",
    title="the grid and the grain of a known decoder at the sizes that generators write, until it is decided",
    statistic=trace,
    higher_is_generated=True,
    distance="encoder_features",
    models=("embedded",),
    paper="this project",
    needs=frozenset({Need.AUTOENCODERS, Need.NULLS}),
    cost=f"{EFFORTS['normal'].passes:g} reconstructions of 256 px at most, by effort",
    columns=tuple(family.name for family in read_families()),
    nulls=find_nulls,
    data=FILE,
    heat_map=HeatMap(draw, BRIGHTEST),
)


def at_effort(effort: str, models: tuple[str, ...], _: str | float, fitted: Path | None = None) -> Nulls:
    """The distributions at an effort that belongs to the name of a method, whatever the effort of the run."""
    return find_nulls(models, effort, fitted)


def _former(name: str, effort: str, models: str) -> Method:
    """A former name of the default with some models, at one effort."""
    return replace(
        TRACE,
        name=name,
        title=f"trace with effort {effort}: the former name of the default with {models}",
        cost=f"{EFFORTS[effort].passes:g} reconstructions of 256 px at most",
        nulls=partial(at_effort, effort),
    )


GLANCE = _former("glance", "quick", "the models of the package")
GRAIN = _former("grain", "thorough", "other models")
