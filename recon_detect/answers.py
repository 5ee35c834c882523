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
from recon_detect.results import LIKELY_GENERATED, LIKELY_REAL, UNNAMED, Row, RunInfo, Score, Verdict
from recon_detect.settings import MODES
from recon_detect.tried import family_name, has_threshold, limits_of, limits_of_found, limits_of_nothing, tried_of

FOUND, NOTHING, UNDECIDED, ERROR = KINDS = ("found", "nothing", "undecided", "error")

# What the words of an answer mean, for people who have read nothing else.
TERMS = (
    "A decoder, the last step of an image generator, leaves a trace in the pixels that it writes: a grid of 8 pixels, "
    "and a grain that networks see."
)

# An answer of nothing is not given on less: a shorter side in pixels, and a JPEG quality (docs/results/robustness.md:
# at 50 most generated images are missed).
LEAST_SIDE, LEAST_QUALITY = 128, 50
# Lowest JPEG quality of the photographs that thresholds come from (docs/methods/trace.md, what was measured).
MEASURED_QUALITY = 75
# Estimates of what is rarer among photographs are not stated: no set of so many has been scored.
RAREST = 10_000


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one image in words.

    Attributes:
        kind: One of `KINDS`: a trace of a known decoder was found, nothing was, it is undecided, or there is no score.
        headline: One line without a full stop.
        meaning: One or two sentences: what follows from it, and what does not.
        tried: One sentence: what was looked for, and where; empty where nothing was.
        limits: What of this image or run limits the answer.
        one_in: At most one photograph in so many has such a score, by the method's estimate; by a calibration, about
            one in so many of its photographs. At most `RAREST`; None where there is neither.
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
        reason = without_type(row.error or "no score")
        return Answer(ERROR, f"not scored: {reason}", "The picture could not be scored, which says nothing about it.")
    if not has_threshold(run.methods[0]):  # details of other methods may be anything
        row = replace(row, scores={name: Score(score.value) for name, score in row.scores.items()})
    answer = _decided(row, run, threshold)
    further = {FOUND: limits_of_found(run), NOTHING: limits_of_nothing(row, run)}.get(answer.kind, ())
    limits = (*limits_of(row, run), *further)
    return replace(answer, tried="" if row.undecidable else tried_of(row, run), limits=limits)


def answer_in(row: Row, run: RunInfo) -> Answer:
    """The answer that a row holds since it was scored, or that its run gives it."""
    return row.answer or answer_of(row, run)


def one_in_of(deviate: float) -> float:
    """One photograph in so many exceeds a deviate, at most `RAREST`."""
    share = math.erfc(deviate / math.sqrt(2)) / 2
    return round(1 / max(share, 1 / RAREST), 2)


def rarity(one_in: float, by: str = "the method's estimate") -> str:
    """A sentence on how rare a deviate is: ``By the method's estimate, at most 1 in 430 photographs ...``."""
    if one_in >= RAREST:
        return f"By {by}, fewer than 1 in {RAREST:,} photographs give such a score."
    if one_in < 2:
        return f"By {by}, most photographs may give such a score."
    return f"By {by}, at most 1 in {two_digits(one_in)} photographs gives such a score."


def rarity_in_calibration(one_in: float) -> str:
    """A sentence on how rare a score is, counted: ``About 1 in 40 of the photographs of the calibration ...``."""
    if one_in >= RAREST:
        return f"Fewer than 1 in {RAREST:,} of the photographs of the calibration give such a score."
    if one_in < 2:
        return "Most of the photographs of the calibration give such a score or a higher one."
    return f"About 1 in {two_digits(one_in)} of the photographs of the calibration gives such a score."


def without_type(error: str) -> str:
    """The message of an error that is written as ``Type: message``; the type where it has none."""
    kind, _, message = error.partition(": ")
    return (message or kind) if kind.isidentifier() else error


def _decided(row: Row, run: RunInfo, threshold: float) -> Answer:
    """The answer of an image that has a score, without what was tried and what limits it."""
    if row.undecidable:
        return _undecided("too little texture", "Flat areas carry no trace, whoever made them.")
    if row.verdict and run.threshold is None:
        return _calibrated(row, row.verdict)
    if not math.isfinite(row.score):
        return _undecided("no finite score", "The method has no answer for this picture.")
    return _by_deviate(row, run, threshold) if has_threshold(run.methods[0]) else _by_number(row, run)


def _by_deviate(row: Row, run: RunInfo, threshold: float) -> Answer:
    """The answer where the score is a deviate of photographs."""
    one_in = one_in_of(row.score)
    if run.threshold is None and row.score > threshold_of("best-guess") and (quality := _unmeasured_quality(row)):
        meaning = (
            "The blocks of such a JPEG give photographs such scores too: thresholds were measured on qualities of "
            f"{MEASURED_QUALITY} and more. A less compressed copy may decide."
        )
        return _undecided(f"a trace in a strongly compressed JPEG (quality {quality})", meaning)
    if row.score > threshold:
        return _found(row, one_in, rarity(one_in))
    if row.score > threshold_of("best-guess"):
        advice = "That is too many to call it found; a longer search (--effort) or a larger copy may decide."
        return _undecided("a weak trace of a known decoder", f"{rarity(one_in)} {advice}", one_in)
    if disagreeing := _highest_other(row, run):
        name, value = disagreeing
        rare = rarity(one_in_of(value), f"the estimate of {name}")
        meaning = f"By {run.methods[0].name}, this is what photographs give. {rare}"
        return _undecided(f"{run.methods[0].name} and {name} disagree", meaning, one_in)
    if reason := _too_little(row):
        meaning = "No trace of a known decoder was found, but in such a picture it would rarely be visible."
        return _undecided(reason, meaning, one_in)
    return Answer(NOTHING, "no trace of a known decoder", _NOTHING_MEANS, one_in=one_in)


_NOTHING_MEANS = (
    "This is what photographs give, and also pictures by other generators, or processed beyond what was tried. It does "
    "not show that the picture is a photograph."
)


def _by_number(row: Row, run: RunInfo) -> Answer:
    """The answer where the score is a number that no photographs were measured for."""
    if run.threshold is not None:
        kind, relation = (FOUND, "above") if row.score > run.threshold else (NOTHING, "not above")
        meaning = "How many photographs have such a score is not known: the threshold was given, not measured."
        return Answer(kind, f"score {row.score:.4g}, {relation} the threshold {run.threshold:g}", meaning)
    name = run.methods[0].name
    meaning = (
        f"Scores of {name} have no threshold of their own. Calibrate on photographs like these: recon-detect calibrate "
        f"--method {name} --real PHOTOS --output cal.json."
    )
    return _undecided(f"{name} ships no threshold", meaning)


def _calibrated(row: Row, verdict: Verdict) -> Answer:
    """The answer of a calibration."""
    one_in = round(min(1 / verdict.p_value, RAREST), 2)
    rare = rarity_in_calibration(one_in)
    if verdict.verdict == LIKELY_GENERATED:
        return _found(row, one_in, rare)
    if verdict.verdict == LIKELY_REAL:
        meaning = "Few of the calibration's generated pictures score so low; those of other generators may."
        return Answer(NOTHING, "scores as photographs do, lower than generated pictures", meaning, one_in=one_in)
    if verdict.threshold is None:
        meaning = "The calibration has too few photographs of this kind for a threshold: add some, and calibrate again."
        return _undecided("too few photographs like it in the calibration", meaning, one_in)
    if verdict.p_value <= MODES["best-guess"]:
        meaning = f"{rare} That is too many for the calibration's threshold."
        return _undecided("a score that few photographs have", meaning, one_in)
    return Answer(NOTHING, "scores as photographs do", _NOTHING_MEANS, one_in=one_in)


def _found(row: Row, one_in: float, rare: str) -> Answer:
    """The answer where a trace was found; `rare` is a sentence on how rare the score is."""
    short = row.details.get("decoder") or row.details.get("family") or _attributed(row.verdict)
    family = family_name(short) if short else None
    subject = "trace of a known decoder" if row.details else "scores like generated pictures"
    headline = f"{subject}: {', '.join((family, *_since(row)))}" if family else subject
    meaning = (
        "A generator of this family wrote these pixels, or a program passed an existing picture through such a "
        "decoder, as some editors do."
        if family
        else "A generator wrote these pixels, or a program changed a picture in the same way; which one is not clear."
    )
    size = row.details.get("native_size") if family else None
    native = (int(size[0]), int(size[1])) if size else None
    return Answer(FOUND, headline, f"{meaning} {rare}", one_in=one_in, family=family, native_size=native)


def _undecided(reason: str, meaning: str, one_in: float | None = None) -> Answer:
    return Answer(UNDECIDED, f"undecided: {reason}", meaning, one_in=one_in)


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


def _unmeasured_quality(row: Row) -> int | None:
    """JPEG quality of an image if it is below `MEASURED_QUALITY`."""
    quality = row.provenance.jpeg_quality if row.provenance else None
    return quality if quality is not None and quality < MEASURED_QUALITY else None


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


def two_digits(one_in: float) -> str:
    """A number of photographs, at least 1, with the digits that an estimate has: ``3,300``."""
    return f"{round(one_in, 1 - math.floor(math.log10(one_in))):,.0f}"
