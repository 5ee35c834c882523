"""Search of a picture and limits of its answer, in words; `recon_detect.answers` puts all words together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from recon_detect.methods import METHODS
from recon_detect.models.registry import family_of
from recon_detect.results import MethodInfo, Row, RunInfo

# Decoder families as people know them, in the order in which they are listed; one decoder serves several generators.
FAMILY_NAMES = {
    "sd": "Stable Diffusion 1 or 2",
    "sdxl": "SDXL",
    "sd3": "Stable Diffusion 3",
    "flux1": "FLUX.1",
    "images:gpt-4o": "GPT-4o",
    "qwen": "Qwen-Image",
    "flux2": "FLUX.2",
    "kandinsky": "Kandinsky",
}

# Deviates that the grain leaves in a tile of a generated picture that was reduced to 800 px and stored as JPEG 85: the
# means of benchmarks/results/trace-effects.csv.
WEAKENED_GRAIN = {"sd": 1.84, "sdxl": 1.17, "sd3": 0.4, "flux1": 0.35}

# Below these an answer says that the image limits it.
SMALL_SIDE, LOW_QUALITY, SMOOTH_SHARE = 256, 70, 0.4


def has_threshold(method: MethodInfo) -> bool:
    """True for methods whose scores are deviates of photographs: those of the package that are held against nulls."""
    return method.null is not None and method.name in METHODS


def family_name(family: str) -> str:
    """The name of a family of decoders for people; of one without such a name, its own."""
    return FAMILY_NAMES.get(family, family.removeprefix("images:"))


def families_of(columns: Iterable[str]) -> tuple[str, ...]:
    """Names for people of the families of models or of columns of a method, in the order of `FAMILY_NAMES`."""
    order = list(FAMILY_NAMES)
    families = dict.fromkeys(map(family_of, columns))
    ranked = sorted(families, key=lambda family: order.index(family) if family in order else len(order))
    return tuple(map(family_name, ranked))


def tried_of(row: Row, run: RunInfo) -> str:
    """A sentence on what was looked for, and where; empty where that is not known."""
    method, details = run.methods[0], row.details
    if not method.models:
        return ""
    if not has_threshold(method):
        return f"Scored by {method.name} with {_listed(method.models)}."
    sentence = f"Looked for traces of the decoders of {_families_tried(method, details)}"
    if sizes := sizes_tried(details):
        which = f"any of {len(sizes)} sizes from {sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else sizes[0]
        sentence += f", as if the picture had been written at {which}"
    if _grain_of(details):
        area = details.get("area", 0)
        share = f"{area:.0%}" if area >= 0.005 else "less than 1%"
        sentence += f"; networks looked at {share} of the picture" if area else "; no network had to look at it"
    return f"{sentence}."


def sizes_tried(details: dict[str, Any]) -> list[str]:
    """Sizes at which the picture may have been written, as ``640 x 427``, in pixels; the smallest first."""
    sizes = sorted(details.get("sizes", ()), key=lambda size: math.prod(map(int, size.split("x"))))
    return [size.replace("x", " x ") for size in sizes]


def _families_tried(method: MethodInfo, details: dict[str, Any]) -> str:
    """Families by the part of the trace that was looked for: ``SDXL (grid and grain) and of GPT-4o (grid alone)``."""
    if method.name != "grid" and "detectable" not in details:  # rows of earlier versions
        return _listed(families_of(method.models))
    grid, grain = dict.fromkeys(map(family_of, method.models)), _grain_of(details)
    parts = {
        "grid and grain": [family for family in grid if family in grain],
        "grain alone": [family for family in grain if family not in grid],
        "grid alone": [family for family in grid if family not in grain],
    }
    return _listed([f"{_listed(families_of(part))} ({how})" for how, part in parts.items() if part], "of ")


def _grain_of(details: dict[str, Any]) -> dict[str, float]:
    """Deviates in a tile that would have been detected, by family whose grain an autoencoder could look for."""
    effects: dict[str, float] = details.get("detectable", {}).get("grain", {})
    return effects


def limits_of(row: Row, run: RunInfo) -> Iterator[str]:
    """Limits of the answer for this image, whatever it is."""
    file = row.provenance
    if file:
        if min(file.width, file.height) < SMALL_SIDE:
            yield f"small: {file.width} x {file.height} pixels carry little evidence"
        if file.jpeg_quality is not None and file.jpeg_quality < LOW_QUALITY:
            yield f"JPEG quality {file.jpeg_quality}: compression removes much of the trace"
        if file.format in ("WEBP", "AVIF", "HEIF"):
            yield f"stored as {file.format}: how strongly it was compressed is not known"
    if row.texture is not None and row.texture < SMOOTH_SHARE:
        yield f"{1 - row.texture:.0%} of the picture is flat and carries no evidence"
    if run.middle_square:
        yield f"resized to {run.middle_square} pixels before it was looked at, which removes most of the trace"


def limits_of_found(run: RunInfo) -> Iterator[str]:
    """Further limits where a trace was found (docs/results/wrong.md)."""
    if has_threshold(run.methods[0]):
        yield "the threshold is for photographs: drawings and charts exceed it more often"


def limits_of_nothing(row: Row, run: RunInfo) -> Iterator[str]:
    """Further limits where no trace was found."""
    if not has_threshold(run.methods[0]):
        return
    file = row.provenance
    if file and file.format in ("JPEG", "MPO") and (file.jpeg_quality or LOW_QUALITY) >= LOW_QUALITY:
        quality = f" (quality {file.jpeg_quality})" if file.jpeg_quality else ""
        yield (
            f"compressed as JPEG{quality}: compression and resizing weaken traces, and most pictures that went through "
            "both are missed"
        )
    needed = _grain_of(row.details)
    if missed := [family for family, effect in WEAKENED_GRAIN.items() if needed.get(family, 0) > effect]:
        yield (
            f"a trace of {_listed(families_of(missed), last='or')} weakened as by reducing the picture to 800 pixels "
            "and storing it as JPEG 85 would often be missed here"
        )


def _listed(names: Sequence[str], before: str = "", last: str = "and") -> str:
    """Names as ``A, B and C``; all but the first with a word before them."""
    *others, final = [names[0], *(f"{before}{name}" for name in names[1:])]
    return f" {last} ".join(filter(None, (", ".join(others), final)))
