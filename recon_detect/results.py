"""Results: one row per image, and what is needed to reproduce it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from recon_detect.card import card, picture_of_file
from recon_detect.images import Provenance
from recon_detect.images.heat import colour
from recon_detect.names import listed, path_of, short, written
from recon_detect.settings import DEFAULTS, Inversion

if TYPE_CHECKING:
    from recon_detect.answers import Answer

# Schema 2 had no `Row.texture`, and schema 3 at first no `Provenance.phash`; rows without them are read.
SCHEMA = 3
# The remark on an image that tells nothing (`evidence.texture.enough_texture`).
NO_TEXTURE = "not enough texture to tell"
# What a calibration names a decoder and a family that it does not recognise.
UNNAMED = NONE_OF_THE_KNOWN, UNKNOWN = ("none of the known", "unknown")
LIKELY_GENERATED, INCONCLUSIVE, LIKELY_REAL = "likely generated", "inconclusive", "likely real"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model of a run: which file it was and how it was computed.

    Attributes:
        config_sha256: Sum of its configuration; None where the registry pins it.
        engine: Library that computed it; moves scores by rounding alone.
    """

    name: str
    sha256: str
    origin: str
    repo: str | None
    revision: str | None
    dtype: str
    config_sha256: str | None = None
    engine: str = "torch"


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """One method of a run: how it compares, through which models, and the null distribution that it is held against."""

    name: str
    distance: str
    models: tuple[str, ...]
    null: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class RunInfo:
    """Everything that decides the scores of a run, besides the images. The first method is the one that ranks."""

    methods: tuple[MethodInfo, ...]
    compat: str | None
    models: tuple[ModelInfo, ...]
    device: str
    exif_orientation: bool
    alpha: str
    seed: int | None
    versions: dict[str, str]
    inversion: Inversion | None = None
    calibration: str | None = None
    middle_square: int | None = None
    mode: str = DEFAULTS.mode
    threshold: float | None = None
    provenance: bool = False

    @property
    def in_short(self) -> str:
        """Methods, models with their precision, device and calibration, for people."""
        methods = listed([method.name for method in self.methods])
        models = listed([model.name for model in self.models])
        precision = "/".join(dict.fromkeys(model.dtype for model in self.models))
        return "; ".join(
            (
                f"{methods}, as {self.compat}" if self.compat else methods,
                f"{models} in {precision}" if models else "no networks",
                self.device,
                *([f"calibration {self.calibration}"] if self.calibration else []),
            )
        )

    def __repr__(self) -> str:
        return f"RunInfo({self.in_short}; run {self.fingerprint})"

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits, equal for runs whose scores can be compared.

        Methods with their distances and nulls, compatibility mode, weights, precision and how images are read count.
        Device and versions do not: they move scores by about 1e-5, and are recorded. Nor do mode and threshold of
        the answers, which move none.
        """
        decisive = self.decisive() | ({"calibration": self.calibration} if self.calibration else {})
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]

    def decisive(self) -> dict[str, Any]:
        """The settings that decide the scores, as JSON values; ``"images"`` is EXIF orientation, alpha and seed."""
        optional = {
            "inversion": asdict(self.inversion) if self.inversion else None,
            "middle_square": self.middle_square,
        }
        return {
            "methods": [astuple(method) for method in self.methods],
            "compat": self.compat,
            "models": [
                (model.sha256, model.dtype, *([model.config_sha256] if model.config_sha256 else []))
                for model in self.models
            ],
            "images": [self.exif_orientation, self.alpha, self.seed],
            **{name: value for name, value in optional.items() if value},
        }

    def to_dict(self) -> dict[str, Any]:
        """JSON values of the run."""
        return {"schema": SCHEMA, "run": self.fingerprint, **asdict(self)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> RunInfo:
        """Reads what `to_dict` gave: the first line of partial results, or the run of a calibration."""
        values = {f.name: content[f.name] for f in fields(cls) if f.name in content}
        methods = tuple(MethodInfo(**method | {"models": tuple(method["models"])}) for method in content["methods"])
        models = tuple(ModelInfo(**model) for model in content["models"])
        inversion = Inversion(**content["inversion"]) if content.get("inversion") else None
        return cls(**values | {"methods": methods, "models": models, "inversion": inversion})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Judgement of one image by a calibration.

    Attributes:
        verdict: `LIKELY_GENERATED`, `INCONCLUSIVE` or `LIKELY_REAL`; the last only by a calibration that has seen
            generated images.
        combined: The score that was judged, where it is a combination of those in the row; else None.
        p_value: Conformal: how often a photograph scores as high, (1 + number of such) / (1 + n).
        probability: That the image is generated, from labelled images and the prior of the calibration; else None.
        stratum: The kind of photographs that the image was compared with.
        threshold: Of that stratum.
        family: Of an image that is likely generated: latent diffusion, pixel diffusion, GAN, or unknown.
        decoder: Of such an image: which decoder or generator, or "none of the known".
    """

    verdict: str
    combined: float | None
    p_value: float
    probability: float | None
    stratum: str
    threshold: float | None
    family: str | None = None
    decoder: str | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """Difference between images in use and the photographs of a calibration (`calibration.drift`).

    Generated images among them raise scores and are no drift: the lower half is tested, p-values above one half, which
    photographs fill evenly whatever is above.

    Attributes:
        images: Number of images with a score.
        photographs: Estimated share of photographs, twice that of p-values above one half (Storey, 2002).
        ks: P-value of the Kolmogorov-Smirnov test of the lower half against that of the photographs.
        shift: P-value of the Mann-Whitney test of the same: whether they lie higher or lower.
        lower: P-value of the share of photographs being above one, which is so where scores are lower throughout.
        unlike: Share of images of a kind that no photograph of the calibration had.
    """

    images: int
    photographs: float
    ks: float
    shift: float
    lower: float
    unlike: float

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on what differs; empty where nothing does."""
        sentences = []
        if self.unlike > _UNLIKE_SHARE:
            sentences.append(
                f"{self.unlike:.0%} of the images are of a kind that the calibration has no photographs of"
            )
        if min(self.ks, self.shift) < _DRIFT_LEVEL:
            sentences.append(
                f"the low scores are not those of the calibration's photographs (Kolmogorov-Smirnov p = {self.ks:.1g}, "
                f"Mann-Whitney p = {self.shift:.1g})"
            )
        if self.lower < _DRIFT_LEVEL:
            sentences.append("scores are lower than those of the calibration's photographs")
        return tuple(f"{text}: its bound may not hold; calibrate on photographs like these" for text in sentences)


# P-value below which a difference is reported: low, because runs are many.
_DRIFT_LEVEL = 0.001
_UNLIKE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Score:
    """Score of one image by one method.

    Attributes:
        value: Higher means more likely generated; NaN where the method has no finite answer. Not a probability: see
            docs/guide/scores.md.
        per_model: The same for each model.
        details: What the method found besides, such as the decoder family or the native size; plain JSON values.
        remark: The same in words, where a reader of the score should know.
    """

    value: float
    per_model: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    remark: str = ""


_NO_SCORE = Score(math.nan)


@dataclass(frozen=True, slots=True, repr=False)
class Row:
    """The result of one image.

    Attributes:
        index: Place in the input, from 0.
        path: Path, or the name that the image was given.
        scores: What each method says, by its name, in the order of the run; empty where there is an error.
        label: ``"real"`` or ``"generated"`` where the input says so.
        generator: Name of what made a generated image, for a calibration that tells generators apart; not written.
        provenance: Where the pixels came from; None where they could not be read.
        texture: Share of the image's blocks of 32 px that are not flat; None where there is an error.
        error: What went wrong, as ``Type: message``.
        notes: What a reader of the score should know.
        map: Error map (h, w) float32 of the deciding model, or the method's own map, where maps were asked for.
        map_scale: Value that a heat map shows brightest.
        verdict: Judgement of the detector's calibration, where it has one.
        answer: The result in words (`answers.answer_of`); None in rows that were read from a file.
        claims: What the file says of itself, as `Claims.to_dict` gives it, where that was asked for; beside the scores.
    """

    index: int
    path: str
    scores: dict[str, Score] = field(default_factory=dict)
    label: str | None = None
    provenance: Provenance | None = None
    texture: float | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()
    map: np.ndarray[Any, Any] | None = field(default=None, repr=False, compare=False)
    map_scale: float | None = None
    verdict: Verdict | None = None
    generator: str | None = field(default=None, kw_only=True)
    answer: Answer | None = field(default=None, kw_only=True, compare=False)
    claims: dict[str, Any] | None = field(default=None, kw_only=True)

    @property
    def undecidable(self) -> bool:
        """True where the image has too little texture for any score to mean much."""
        # Rows of earlier versions have no such note by most methods.
        return NO_TEXTURE in self.notes or self.texture == 0

    @property
    def first(self) -> Score:
        """The score of the first method; NaN where there is an error."""
        return next(iter(self.scores.values()), _NO_SCORE)

    @property
    def score(self) -> float:
        """The first method's score: higher means more likely generated; NaN where there is an error."""
        return self.first.value

    @property
    def per_model(self) -> dict[str, float]:
        """The first method's score of each model."""
        return self.first.per_model

    @property
    def details(self) -> dict[str, Any]:
        """The details of the first method, besides its score."""
        return self.first.details

    def __repr__(self) -> str:
        words = self.error or (self.answer.headline if self.answer else "")
        remark = f", {short(words, 120)!r}" if words else ""
        return f"Row({short(self.path, 80)!r}, score={self.score:.4g}{remark})"

    def _repr_html_(self) -> str:
        """A card for notebooks: file and heat map, where they are there, beside the answer in words."""
        answer = self.answer
        lines = [answer.headline, answer.meaning, *answer.limits] if answer else [self.error or ""]
        heat = None
        if self.map is not None and self.map_scale is not None:
            heat = Image.fromarray(colour(self.map, self.map_scale))
        pictures = [("the picture", picture_of_file(self.path, self.provenance)), ("its heat map", heat)]
        if math.isfinite(self.score):
            lines.append(f"score {self.score:.4g}")
        return card(self.path, filter(None, lines), pictures)

    def to_dict(self, run: str) -> dict[str, Any]:
        """JSON values of the row: null instead of NaN, the path as `written`; `run` is the fingerprint of the run."""
        source = self.provenance
        origin = {name: getattr(source, name) if source else None for name in _PROVENANCE}
        return {
            "schema": SCHEMA,
            "path": written(self.path),
            "score": _finite(self.score),
            "scores": {name: _finite(score.value) for name, score in self.scores.items()},
            "per_model": {
                name: {model: _finite(value) for model, value in score.per_model.items()}
                for name, score in self.scores.items()
            },
            "details": {name: score.details for name, score in self.scores.items() if score.details},
            **(asdict(self.verdict) if self.verdict else {}),
            "label": self.label,
            **origin,
            "texture": self.texture,
            "notes": [*(source.notes if source else ()), *self.notes],
            "error": self.error,
            **({"claims": self.claims} if self.claims else {}),
            "run": run,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], index: int = 0) -> Row:
        """Reads what `to_dict` gave, in this schema or the one before; `to_dict` gives the same values again.

        All notes become those of the row. Place in the input, map, remarks and generator are not written: `index` is
        the place to give it.

        Raises:
            KeyError: A value is missing.
        """
        scores = {
            name: Score(
                _number(value),
                {model: _number(of_model) for model, of_model in content["per_model"].get(name, {}).items()},
                content["details"].get(name, {}),
            )
            for name, value in content["scores"].items()
        }
        origin = {name: content.get(name, "") if name == "phash" else content[name] for name in _PROVENANCE}
        return cls(
            index,
            path_of(content["path"]),
            scores,
            content["label"],
            Provenance(**origin) if origin["width"] is not None else None,
            content.get("texture"),
            content["error"],
            tuple(content["notes"]),
            verdict=_verdict(content) if content.get("verdict") is not None else None,
            claims=content.get("claims"),
        )


_PROVENANCE = tuple(f.name for f in fields(Provenance) if f.name != "notes")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _verdict(content: Mapping[str, Any]) -> Verdict:
    values: dict[str, Any] = {f.name: content.get(f.name) for f in fields(Verdict)}
    return Verdict(**values)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """An image and what a model made of it: (3, H, W) float32 in [-1, 1]; both None where there is an error."""

    path: str
    image: np.ndarray[Any, Any] | None = field(repr=False)
    reconstruction: np.ndarray[Any, Any] | None = field(repr=False)
    error: str | None = None
