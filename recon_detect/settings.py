"""The defaults, once, for the API and the command line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from recon_detect.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from recon_detect.methods import Method
    from recon_detect.models.own import EncoderDecoder

# At least 1, where they are given.
_LARGEST_SQUARE = 8192  # the pixels of the largest image that is read by default
_POSITIVE = ("batch_size", "workers", "window", "max_pixels", "max_bytes", "middle_square")
ALPHA = ("white", "black", "drop")
# Share of photographs that each mode of answering may call generated.
MODES = {"best-guess": 0.05, "medium": 0.01, "high": 0.001}


@dataclass(frozen=True, slots=True)
class Inversion:
    """Extent to which a diffusion model inverts an image.

    Attributes:
        steps: Evaluations each way, 20 in DIRE; a stride through the training schedule must give as many.
        real_step: Number of these steps that are taken each way, from the image on; 0 takes all, 1 is the cheapest.
        prompt: Text that a latent diffusion model is conditioned on.
    """

    steps: int = 20
    real_step: int = 0
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of reading and of the loop; method, models and distance choose what is scored.

    Attributes:
        device: ``"cuda"``, ``"cuda:1"``, ``"mps"`` or ``"cpu"``; None takes the first of these that is there.
        dtype: ``"auto"`` follows each model's policy (on a CPU float32, by the fastest engine); or ``float32`` (by
            torch), ``bfloat16``, ``float16``.
        batch_size: Images of one size per batch; None finds it from the free memory and backs off when it is short.
        workers: Threads that read and decode images.
        window: Images that are sorted into batches of one size at a time; the bound on what is held in memory.
        max_pixels: Images with more pixels (width times height) are refused before they are decoded.
        max_bytes: Files with more bytes are refused before they are read.
        exif_orientation: Turn images by their EXIF tag. Off, because the grid of the decoder is in the stored
            pixels; the tag is reported either way.
        middle_square: Score the middle square of each image, brought to this side as DIRE does, not the image as it is.
            Resizing removes most of the evidence of a decoder; diffusion models of pixels want their own size.
        provenance: Read what each file says of itself too, into `Row.claims`; it changes no score.
        alpha: ``"white"`` or ``"black"``: the background that transparent images are put on; ``"drop"`` ignores alpha.
        effort: How much a method that searches may compute for an image: ``"quick"``, ``"normal"``, ``"thorough"``, or
            seconds, which make scores depend on the machine.
        mode: ``"best-guess"``, ``"medium"`` or ``"high"``: how surely a trace has to be found before an answer says so,
            by the share of photographs in `MODES`; changes no score.
        threshold: Score above which an image counts as generated, by any method, instead of the mode's; changes none.
        seed: Seed of the posterior noise, which only ``compat="published"`` draws.
        inversion: Extent of the inversion by diffusion models.
        classifier: Folder of the classifier of ``dire-resnet``.
        compile: Compile the networks of diffusion models with torch.compile: a minute for each size of batch, then
            faster. Worth it from some hundred images of one size on.

    Raises:
        UsageError: A number below 1, another alpha or another mode.
    """

    device: str | None = None
    dtype: str = "auto"
    batch_size: int | None = None
    workers: int = 4
    window: int = 64
    max_pixels: int = 8192 * 8192
    max_bytes: int = 512 * 1024 * 1024
    exif_orientation: bool = False
    middle_square: int | None = None
    provenance: bool = False
    alpha: str = "white"
    effort: str | float = "normal"
    mode: str = "medium"
    threshold: float | None = None
    seed: int = 1
    inversion: Inversion = Inversion()
    classifier: str | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UsageError(f"{name}={value!r}: expected a whole number of at least 1")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise UsageError(f"threshold={self.threshold!r}: expected a finite number")
        if self.middle_square and self.middle_square > _LARGEST_SQUARE:
            raise UsageError(f"middle_square={self.middle_square}: expected at most {_LARGEST_SQUARE}")
        if self.alpha not in ALPHA:
            raise UsageError(f"alpha={self.alpha!r}: expected one of {', '.join(ALPHA)}")
        if self.mode not in MODES:
            raise UnknownName("mode", self.mode, MODES)

    @property
    def limits(self) -> dict[str, int]:
        """Settings that decide what rows hold besides scores: a resumed run has the same."""
        claims = {"provenance": True} if self.provenance else {}
        return {"max_pixels": self.max_pixels, "max_bytes": self.max_bytes} | claims


@dataclass(frozen=True, slots=True)
class Fitting:
    """Options of fitting a calibration to scores of labelled images (`recon_detect.calibration.calibrate`).

    Attributes:
        fpr: Share of photographs that may be called generated.
        confidence: Probability that this share is not exceeded, in each stratum by itself.
        strata: Properties by which photographs are divided, of `strata.FACETS`; thin strata are pooled with their
            neighbours.
        combine: A rule of `fusion.RULES` or a classifier of `classifiers.CLASSIFIERS`, of every method's score of every
            model; see `fit_combiner`. It is fitted to a part of the images, and the thresholds to the others.
        pca: Principal components that a classifier keeps.
        tune: Whether a classifier's parameters are chosen by cross-validation.
        near_copies: Whether near copies of a picture, such as its JPEG, count as pictures of their own: where forms of
            the same pictures are strata of their own. Copies with equal pixels always count once.
        fit_share: Share of the images that a combination is fitted to.
        probability: ``"platt"``, ``"isotonic"``, or ``"temperature"`` of scores that are log odds.
        prior: Share of generated images among those that will be judged, for probabilities.
        data: Description of the images in words.
    """

    fpr: float = 0.01
    confidence: float = 0.95
    strata: tuple[str, ...] = ("compression", "size", "texture")
    combine: str | None = None
    pca: int | None = None
    tune: bool = False
    near_copies: bool = False
    fit_share: float = 0.5
    probability: str = "platt"
    prior: float = 0.5
    data: str = ""


class SettingsOptions(TypedDict, total=False):
    """The fields of `Settings` but device and dtype, as keywords: what an editor completes and mypy checks."""

    batch_size: int | None
    workers: int
    window: int
    max_pixels: int
    max_bytes: int
    exif_orientation: bool
    middle_square: int | None
    provenance: bool
    alpha: str
    effort: str | float
    mode: str
    threshold: float | None
    seed: int
    inversion: Inversion
    classifier: str | None
    compile: bool


class DetectorOptions(SettingsOptions, total=False):
    """The arguments of `load_detector` as keywords."""

    method: str | Method | Sequence[str | Method]
    models: str | Path | EncoderDecoder | Sequence[str | Path | EncoderDecoder] | None
    distance: str | None
    device: str | None
    dtype: str
    compat: str | None


class FittingOptions(TypedDict, total=False):
    """The fields of `Fitting` as keywords."""

    fpr: float
    confidence: float
    strata: tuple[str, ...]
    combine: str | None
    pca: int | None
    tune: bool
    near_copies: bool
    fit_share: float
    probability: str
    prior: float
    data: str


def check_options(options: Iterable[str], typed: type) -> None:
    """Checks the names of keywords by a `TypedDict`.

    Raises:
        UnknownName: One that is not among them, with the nearest that is.
    """
    for name in options:
        if name not in typed.__annotations__:
            raise UnknownName("option", name, typed.__annotations__)


DEFAULTS = Settings()
FITTING = Fitting()
