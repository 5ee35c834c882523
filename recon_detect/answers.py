"""Answers: the result of one image in words, for people who have read nothing else.

The only place where a verdict becomes a sentence: terminal, JSON, tables and HTML show the fields of `Answer`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any, TypedDict

from recon_detect.errors import UnknownName
from recon_detect.methods import METHODS
from recon_detect.models.registry import family_of
from recon_detect.names import counted
from recon_detect.results import LIKELY_GENERATED, LIKELY_REAL, UNNAMED, MethodInfo, Row, RunInfo, Score, Verdict
from recon_detect.settings import MODES

FOUND, NOTHING, UNDECIDED, ERROR = KINDS = ("found", "nothing", "undecided", "error")

# Decoder families as people know them; one decoder serves several generators.
FAMILY_NAMES = {
    "sd": "Stable Diffusion 1 or 2",
    "sdxl": "SDXL",
    "sd3": "Stable Diffusion 3",
    "flux1": "FLUX.1",
    "flux2": "FLUX.2",
    "qwen": "Qwen-Image",
    "kandinsky": "Kandinsky",
    "images:gpt-4o": "GPT-4o",
}

# An answer of nothing is not given on less: a shorter side in pixels, and a JPEG quality (docs/results/robustness.md:
# at 50 most generated images are missed).
LEAST_SIDE, LEAST_QUALITY = 128, 50
# Below these an answer says that the image limits it.
SMALL_SIDE, LOW_QUALITY, SMOOTH_SHARE = 256, 70, 0.4
# Nothing rarer among photographs has been measured.
RAREST = 10_000


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one image in words.

    Attributes:
        kind: One of `KINDS`: a trace of a known decoder was found, nothing was, it is undecided, or there is no score.
        headline: One line without a full stop.
        meaning: One or two sentences: what follows from it, and what does not.
        tried: One sentence: what was looked for, and where.
        limits: What of this image or run limits the answer.
        one_in: About one photograph in so many has such a score, at most `RAREST`; None where that is not measured.
        family: Name of the family of decoders, for people; None where none is named.
        native_size: (width, height) at which the image, or what a crop left of it, was written; None where unknown.
    """

    kind: str
    headline: str
    meaning: str
    tried: str = ""
    limits: tuple[str, ...] = ()
    one_in: float | None = None
    family: str | None = None
    native_size: tuple[int, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values of the answer."""
        return asdict(self)


class Details(TypedDict, total=False):
    """Details of methods of the package, as far as answers read them; those of other methods may be anything."""

    decoder: str
    family: str
    native_size: tuple[int, int]
    scale: float
    offset: tuple[int, int]
    cropped: bool
    place: str
    symmetry: str
    mirrored: bool
    sizes: list[str]
    scales: int
    places: int
    area: float
    passes: float
    detectable: dict[str, dict[str, float]]


def threshold_of(mode: str) -> float:
    """The deviate that a mode's share of photographs exceeds: 1.645, 2.326 or 3.090.

    Raises:
        UnknownName: No such mode.
    """
    if mode not in MODES:
        raise UnknownName("mode", mode, MODES)
    return NormalDist().inv_cdf(1 - MODES[mode])


def has_threshold(method: MethodInfo) -> bool:
    """True for methods whose scores are deviates of photographs: those of the package that are held against nulls."""
    return method.null is not None and method.name in METHODS


def answer_of(row: Row, run: RunInfo, mode: str | None = None) -> Answer:
    """Puts the result of one image in words.

    A calibration decides by its own threshold. Without one, scores that are deviates of photographs are held against
    the threshold of the mode (None: that of the run), and other scores are undecided. A threshold of the run takes the
    place of all these.

    Raises:
        UnknownName: No such mode.
    """
    threshold = threshold_of(mode or run.mode) if run.threshold is None else run.threshold
    if row.error is not None or not row.scores:
        reason = row.error or "no score"
        return Answer(ERROR, f"not scored: {reason}", "The picture could not be scored, which says nothing about it.")
    if not (deciding := has_threshold(run.methods[0])):  # details of other methods may be anything
        row = replace(row, scores={name: Score(score.value) for name, score in row.scores.items()})
    tried, limits = _tried(row, run), tuple(_limits(row, run))
    if row.undecidable:
        return _undecided("too little texture", "Flat areas carry no trace, whoever made them.", tried, limits)
    if row.verdict and run.threshold is None:
        return _calibrated(row, row.verdict, tried, limits)
    if not math.isfinite(row.score):
        return _undecided("no finite score", "The method has no answer for this picture.", tried, limits)
    if deciding:
        return _by_deviate(row, run, threshold, tried, limits)
    return _by_number(row, run, tried, limits)


def answer_in(row: Row, run: RunInfo) -> Answer:
    """The answer that a row holds since it was scored, or that its run gives it."""
    return row.answer or answer_of(row, run)


def one_in_of(deviate: float) -> float:
    """One photograph in so many exceeds a deviate, at most `RAREST`."""
    share = math.erfc(deviate / math.sqrt(2)) / 2
    return round(1 / max(share, 1 / RAREST), 2)


def rarity(one_in: float) -> str:
    """A clause on how rare a score is among photographs: ``about 1 in 430 photographs gives such a score``."""
    if one_in >= RAREST:
        return f"fewer than 1 in {RAREST:,} photographs give such a score"
    if one_in < 2:
        return "most photographs give such a score or a higher one"
    return f"about 1 in {round(one_in, 1 - math.floor(math.log10(one_in))):,.0f} photographs gives such a score"


def family_name(family: str) -> str:
    """The name of a family of decoders for people; of one without such a name, its own."""
    return FAMILY_NAMES.get(family, family.removeprefix("images:"))


def _by_deviate(row: Row, run: RunInfo, threshold: float, tried: str, limits: tuple[str, ...]) -> Answer:
    """The answer where the score is a deviate of photographs."""
    one_in = one_in_of(row.score)
    if row.score > threshold:
        return _found(row, one_in, tried, limits)
    if row.score > threshold_of("best-guess"):
        meaning = (
            f"{_sentence(rarity(one_in))} That is too many to call it found; more effort or a larger copy may decide."
        )
        return _undecided("a weak trace of a known decoder", meaning, tried, limits, one_in)
    if disagreeing := _highest_other(row, run):
        name, value = disagreeing
        meaning = f"By {run.methods[0].name} this is what photographs give, but by {name} {rarity(one_in_of(value))}."
        return _undecided(f"{run.methods[0].name} and {name} disagree", meaning, tried, limits, one_in)
    if reason := _too_little(row):
        meaning = "No trace of a known decoder was found, but in such a picture it would rarely be visible."
        return _undecided(reason, meaning, tried, limits, one_in)
    return Answer(NOTHING, "no trace of a known decoder", _NOTHING_MEANS, tried, limits, one_in)


_NOTHING_MEANS = (
    "This is what photographs give, and also pictures of generators outside of these families or processed beyond what "
    "was tried. It does not show that the picture is a photograph."
)


def _by_number(row: Row, run: RunInfo, tried: str, limits: tuple[str, ...]) -> Answer:
    """The answer where the score is a number that no photographs were measured for."""
    if run.threshold is not None:
        kind, relation = (FOUND, "above") if row.score > run.threshold else (NOTHING, "not above")
        meaning = "How many photographs have such a score is not known: the threshold was given, not measured."
        return Answer(
            kind, f"score {row.score:.4g}, {relation} the threshold {run.threshold:g}", meaning, tried, limits
        )
    name = run.methods[0].name
    meaning = (
        f"Scores of {name} have no threshold of their own. Calibrate on photographs like these: recon-detect calibrate "
        f"--method {name} --real PHOTOS --output cal.json."
    )
    return _undecided(f"{name} ships no threshold", meaning, tried, limits)


def _calibrated(row: Row, verdict: Verdict, tried: str, limits: tuple[str, ...]) -> Answer:
    """The answer of a calibration."""
    one_in = round(min(1 / verdict.p_value, RAREST), 2)
    if verdict.verdict == LIKELY_GENERATED:
        return _found(row, one_in, tried, limits)
    if verdict.verdict == LIKELY_REAL:
        meaning = "Few of the calibration's generated pictures score so low; those of other generators may."
        return Answer(
            NOTHING, "scores as photographs do, lower than generated pictures", meaning, tried, limits, one_in
        )
    if verdict.threshold is None:
        meaning = "The calibration has too few photographs of this kind for a threshold: add some, and calibrate again."
        return _undecided("too few photographs like it in the calibration", meaning, tried, limits, one_in)
    if verdict.p_value <= MODES["best-guess"]:
        meaning = f"{_sentence(rarity(one_in))} That is too many for the calibration's threshold."
        return _undecided("a score that few photographs have", meaning, tried, limits, one_in)
    return Answer(NOTHING, "scores as photographs do", _NOTHING_MEANS, tried, limits, one_in)


def _found(row: Row, one_in: float, tried: str, limits: tuple[str, ...]) -> Answer:
    """The answer where a trace was found."""
    short = row.details.get("decoder") or row.details.get("family") or _attributed(row.verdict)
    family = family_name(short) if short else None
    subject = "grain of a known decoder" if row.details else "scores like generated pictures"
    headline = f"{subject}: {', '.join((family, *_since(row)))}" if family else subject
    meaning = (
        "A generator of this family wrote these pixels, or a program passed an existing picture through such a "
        "decoder, as some editors do. "
        if family
        else "A generator wrote these pixels, or a program changed a picture in the same way; which one is not clear. "
    )
    size = row.details.get("native_size") if family else None
    native = (int(size[0]), int(size[1])) if size else None
    limits = tuple(limit for limit in limits if not limit.startswith(_WEAK))
    return Answer(FOUND, headline, meaning + _sentence(rarity(one_in)), tried, limits, one_in, family, native)


def _undecided(reason: str, meaning: str, tried: str, limits: tuple[str, ...], one_in: float | None = None) -> Answer:
    return Answer(UNDECIDED, f"undecided: {reason}", meaning, tried, limits, one_in)


def _attributed(verdict: Verdict | None) -> str | None:
    """The decoder or family that a calibration names."""
    names = (verdict.decoder, verdict.family) if verdict else ()
    return next((name for name in names if name and name not in UNNAMED), None)


def _highest_other(row: Row, run: RunInfo) -> tuple[str, float] | None:
    """Name and score of a further method of the run that would be found in the strictest mode."""
    others = [
        (info.name, row.scores[info.name].value)
        for info in run.methods[1:]
        if info.name in row.scores and has_threshold(info)
    ]
    best = max(others, key=lambda other: other[1], default=None)
    return best if best and best[1] > threshold_of("high") else None


def _too_little(row: Row) -> str:
    """Reason why an image shows too little for an answer of nothing; empty where it shows enough."""
    file = row.provenance
    if file and min(file.width, file.height) < LEAST_SIDE:
        return f"too small ({file.width} x {file.height} pixels)"
    if file and file.jpeg_quality is not None and file.jpeg_quality < LEAST_QUALITY:
        return f"too strongly compressed (JPEG quality {file.jpeg_quality})"
    return ""


def _since(row: Row) -> Iterator[str]:
    """Changes of an image since a decoder wrote it, as the likeliest hypothesis has it."""
    details, file = row.details, row.provenance
    # Rows of earlier versions have no such detail.
    cropped = details.get("cropped", any(details.get("offset", ())) or details.get("place", "").startswith("shift"))
    size = details.get("native_size")
    if size and file:
        width, height = size
        scale = details.get("scale", width / file.width)
        written = f"{'this part ' if cropped else ''}written at {width} x {height}"
        if abs(scale - 1) < 0.002:
            yield "at the size it was written"
        else:
            yield f"{written}, {'reduced' if scale > 1 else 'enlarged'} to {file.width} x {file.height} since"
    if cropped:
        yield "cropped"
    place = details.get("symmetry") or details.get("place", "")
    if details.get("mirrored") or place == "hflip":
        yield "mirrored"
    if place.startswith("rot"):
        yield f"turned by {place.removeprefix('rot')} degrees"


def _tried(row: Row, run: RunInfo) -> str:
    """A sentence on what was looked for, and where."""
    method, details = run.methods[0], row.details
    families = list(dict.fromkeys(family_name(family_of(column)) for column in method.models))
    parts = [f"{method.name} looked for {_listed(families)}"]
    if sizes := details.get("sizes"):
        areas = sorted(sizes, key=lambda size: math.prod(map(int, size.split("x"))))
        span = " to ".join(dict.fromkeys(areas[:: max(len(areas) - 1, 1)])).replace("x", " x ")
        parts.append(f"at {counted(details.get('scales', len(sizes)), 'size')} ({span})")
    if places := details.get("places"):
        parts.append(f"at {counted(places, 'place')} of the grid")
    if area := details.get("area"):
        parts.append(f"with networks in {area:.0%} of the picture")
    if passes := details.get("passes"):
        parts.append(f"by reconstructions worth {passes:.3g} of 256 x 256 pixels")
    return ", ".join(parts) + "."


def _limits(row: Row, run: RunInfo) -> Iterator[str]:
    """Limits of the answer for this image."""
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
    if weakest := row.details.get("detectable", {}).get("grain"):
        least = max(weakest, key=weakest.__getitem__)
        yield f"{_WEAK} may be missed: that of {family_name(least)} below {weakest[least]:.2g} deviates in a tile"


# A limit of answers that nothing was found.
_WEAK = "weak traces"


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
