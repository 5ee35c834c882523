"""What comes out: one row per image, and what is needed to reproduce it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from recon_detect.errors import ReconDetectError, UnknownName
from recon_detect.images import Provenance
from recon_detect.settings import Inversion

if TYPE_CHECKING:
    from recon_detect.calibration import Drift, Verdict

SCHEMA = 3


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model of a run: which file it was and how it was computed."""

    name: str
    sha256: str
    origin: str
    repo: str | None
    revision: str | None
    dtype: str


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """One method of a run: how it compares, through which models, and the null distribution that it is held against."""

    name: str
    distance: str
    models: tuple[str, ...]
    null: str | None = None


@dataclass(frozen=True, slots=True)
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

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits, equal for runs whose scores can be compared.

        Methods with their distances and nulls, compatibility mode, weights, precision and how images are read count.
        Device and versions do not: they move scores by about 1e-5, and are recorded.
        """
        decisive: dict[str, Any] = {
            "methods": [astuple(method) for method in self.methods],
            "compat": self.compat,
            "models": [(model.sha256, model.dtype) for model in self.models],
            "images": [self.exif_orientation, self.alpha, self.seed],
        }
        if self.inversion:
            decisive["inversion"] = asdict(self.inversion)
        if self.middle_square:
            decisive["middle_square"] = self.middle_square
        if self.calibration:
            decisive["calibration"] = self.calibration
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"schema": SCHEMA, "run": self.fingerprint, **asdict(self)}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> RunInfo:
        """From what `to_dict` gave, or the first line of partial results."""
        known = {name: value for name, value in found.items() if name not in ("schema", "run")}
        methods = tuple(MethodInfo(**method | {"models": tuple(method["models"])}) for method in found["methods"])
        models = tuple(ModelInfo(**model) for model in found["models"])
        inversion = Inversion(**found["inversion"]) if found.get("inversion") else None
        return cls(**known | {"methods": methods, "models": models, "inversion": inversion})


@dataclass(frozen=True, slots=True)
class Score:
    """What one method says of one image.

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


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one image.

    Attributes:
        index: Place in the input, from 0.
        path: Path, or the name that the image was given.
        scores: What each method says, by its name, in the order of the run; empty where there is an error.
        label: ``"real"`` or ``"generated"`` where the input says so.
        provenance: Where the pixels came from; None where they could not be read.
        texture: Share of the image's blocks of 32 px that are not flat; None where there is an error.
        error: What went wrong, as ``Type: message``.
        notes: What a reader of the score should know.
        map: Error map (h, w) float32 of the deciding model, where maps were asked for.
        map_scale: Error that a heat map shows brightest.
        verdict: Of a calibration, where the detector has one.
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

    @property
    def first(self) -> Score:
        """What the first method says; NaN where there is an error."""
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
        """What the first method found besides its score."""
        return self.first.details

    def to_dict(self, run: str) -> dict[str, Any]:
        """For JSON lines: null instead of NaN, `run` is the fingerprint of the run."""
        known = self.provenance
        origin = {f.name: getattr(known, f.name) if known else None for f in fields(Provenance) if f.name != "notes"}
        return {
            "schema": SCHEMA,
            "path": self.path,
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
            "notes": [*(known.notes if known else ()), *self.notes],
            "error": self.error,
            "run": run,
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class ScoreResult(Sequence[Row]):
    """The results of several images, in input order; a sequence of rows.

    Attributes:
        rows: One per image.
        run: Everything that decides the scores, besides the images.
        drift: How the images differ from the photographs of the calibration; None without one, or of few images.
    """

    rows: tuple[Row, ...]
    run: RunInfo
    drift: Drift | None = None

    @property
    def scores(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """(N,) float64 of the first method; higher means more likely generated, NaN where there is an error."""
        return np.array([row.score for row in self.rows], dtype=np.float64)

    def scores_of(self, method: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The same of any method of the run.

        Raises:
            UnknownName: No such method in this run.
        """
        names = [info.name for info in self.run.methods]
        if method not in names:
            raise UnknownName("method of this run", method, names)
        return np.array([row.scores.get(method, _NO_SCORE).value for row in self.rows], dtype=np.float64)

    @property
    def per_model(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """(N, K) float64 of the first method, columns in the order of `models`; NaN where there is an error."""
        values = [[row.per_model.get(model, math.nan) for model in self.models] for row in self.rows]
        return np.array(values, dtype=np.float64).reshape(len(self.rows), len(self.models))

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the K models of the first method."""
        return self.run.methods[0].models

    @property
    def maps(self) -> list[np.ndarray[Any, Any] | None]:
        """Error maps (h, w), at the resolution of the distance; None where not asked for, or an error."""
        return [row.map for row in self.rows]

    @property
    def errors(self) -> dict[int, str]:
        """Index to message, of the images that failed."""
        return {row.index: row.error for row in self.rows if row.error is not None}

    def raise_for_errors(self) -> ScoreResult:
        """Raises if an image failed; otherwise returns the result, so that calls can be chained."""
        if self.errors:
            index, message = next(iter(self.errors.items()))
            more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
            raise ReconDetectError(f"{self.rows[index].path}: {message}{more}")
        return self

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)
