"""A calibration: thresholds, p-values, probabilities and attribution for one detector.

Everything is measured on photographs like those that will be judged. The bounds hold for images that are drawn as they
were, and for no others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon_detect._version import __version__
from recon_detect.calibration.attribution import ByContrast, ByTypicality, attribution_of
from recon_detect.calibration.bounds import conformal_p_value
from recon_detect.calibration.combiner import Combiner
from recon_detect.calibration.content import Json, JsonObject, members, number, numbers, text, texts
from recon_detect.calibration.file import digest_of, read_content, write_content
from recon_detect.calibration.probability import Odds, odds_of, probability_of
from recon_detect.calibration.strata import ALL, FACETS, UNLIKE, cell_of
from recon_detect.errors import CalibrationError, UsageError
from recon_detect.methods import METHODS, find_method
from recon_detect.models.registry import same_weights
from recon_detect.names import counted
from recon_detect.results import INCONCLUSIVE, LIKELY_GENERATED, LIKELY_REAL, Row, RunInfo, Verdict

# Calibrations that come with the package, by method (assets/calibration.py).
SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True, slots=True, repr=False)
class Stratum:
    """Photographs of one kind.

    Attributes:
        scores: Their scores, ascending.
        threshold: Above it an image is likely generated; None where there are too few photographs.
    """

    scores: tuple[float, ...]
    threshold: float | None

    def __repr__(self) -> str:
        return f"Stratum({counted(len(self.scores), 'photograph')}, threshold={self.threshold})"

    @classmethod
    def from_dict(cls, content: JsonObject) -> Stratum:
        """Reads and checks the values of a file.

        Raises:
            ValueError: Scores that are not finite or do not ascend.
        """
        stratum = cls(numbers(content["scores"]), _optional(content["threshold"]))
        values = np.array([*stratum.scores, stratum.threshold or 0], dtype=np.float64)
        if not stratum.scores or not np.isfinite(values).all() or (np.diff(values[:-1]) < 0).any():
            raise ValueError("a stratum: expected finite scores that ascend")
        return stratum


@dataclass(frozen=True, slots=True, repr=False)
class Calibration:
    """Thresholds for one detector, from photographs and perhaps generated images. Made by `fit.calibrate`.

    Attributes:
        run: The run that the scores are of.
        method: Method whose scores are calibrated: the first of the run, unless they are combined.
        fpr: Share of photographs that may be called generated.
        confidence: Probability that this share is not exceeded, in each stratum.
        strata: Photographs by kind, with `ALL` among them.
        cells: Name of the stratum of each kind of photograph (`strata.cell_of`).
        facets: Properties by which photographs are divided.
        combiner: Makes one score of all numbers of a row; None takes that of `method`.
        attribution: Names the decoder; None of too few photographs.
        generated: Scores of generated images, ascending; empty without any.
        real_threshold: Below it an image is likely real: at most a share `fpr` of generated images is, with the same
            confidence; None where generated images are too few.
        odds: Log odds of being generated as a function of the score (`probability.fit_probability`); None without
            generated images.
        prior: Share of generated images among those that will be judged.
        data: Description of the images in words.
        made: Time, ISO 8601.
        version: Version of this package.
        read_digest: Digest of the file that it was read from; empty of a new one.
    """

    run: RunInfo
    method: str
    fpr: float
    confidence: float
    strata: dict[str, Stratum]
    cells: dict[str, str] = field(default_factory=dict)
    facets: tuple[str, ...] = ()
    combiner: Combiner | None = None
    attribution: ByContrast | ByTypicality | None = None
    generated: tuple[float, ...] = ()
    real_threshold: float | None = None
    odds: Odds | None = None
    prior: float = 0.5
    data: str = ""
    made: str = ""
    version: str = __version__
    read_digest: str = field(default="", compare=False)

    def __repr__(self) -> str:
        judged = f"{self.combiner.kind} of all scores" if self.combiner else self.method
        images = [counted(len(self.strata[ALL].scores), "photograph"), counted(len(self.generated), "generated image")]
        bound = f"FPR {self.fpr:.2%} with {self.confidence:.0%} confidence"
        return f"Calibration({judged}, {bound}; {', '.join(images)}; {self.run.in_short}; {self.digest})"

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits for results: those of its file, also where an earlier version wrote that."""
        return self.read_digest or digest_of(self.to_dict())

    def scores(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """Scores (N,) that are judged; NaN of rows without."""
        return judged_scores(rows, self.method, self.combiner)

    def stratum_of(self, row: Row) -> str:
        """Name of the stratum of an image; `UNLIKE` of a kind that no photograph had."""
        return self.cells.get(cell_of(row, self.facets), UNLIKE) if self.facets else ALL

    def held_against(self, stratum: str) -> Stratum:
        """Photographs of a stratum, by what `stratum_of` gave: all of them for `UNLIKE`."""
        return self.strata[ALL if stratum == UNLIKE else stratum]

    def judge(self, row: Row) -> Verdict | None:
        """Judges an image; None of one without a score. One without enough texture is inconclusive, its p-value 1."""
        if not row.scores or not math.isfinite(score := float(self.scores([row])[0])):
            return None
        name = self.stratum_of(row)
        stratum = self.held_against(name)
        combined = score if self.combiner else None
        if row.undecidable:
            return Verdict(INCONCLUSIVE, combined, 1.0, None, name, stratum.threshold)
        verdict = INCONCLUSIVE
        if stratum.threshold is not None and score > stratum.threshold:
            verdict = LIKELY_GENERATED
        elif self.real_threshold is not None and score < self.real_threshold:
            verdict = LIKELY_REAL
        origin = self.attribution.attribute(row) if self.attribution and verdict == LIKELY_GENERATED else None
        return Verdict(
            verdict,
            combined,
            conformal_p_value(stratum.scores, score),
            probability_of(self.odds, score, self.prior) if self.odds else None,
            name,
            stratum.threshold,
            origin.family if origin else None,
            origin.decoder if origin else None,
        )

    def check(self, run: RunInfo) -> None:
        """Checks that it is a calibration of a run.

        Raises:
            CalibrationError: Another detector; names what differs.
        """
        if different := differences(self.run, run):
            raise CalibrationError(
                f"the calibration is of another detector: {'; '.join(different)}. "
                "Score with those settings, or calibrate anew"
            )

    def write(self, path: Path) -> None:
        """Writes JSON."""
        write_content(path, self.to_dict())

    def to_dict(self) -> JsonObject:
        """JSON values of the calibration."""
        content = asdict(self) | {
            "run": self.run.to_dict(),
            "attribution": self.attribution.to_dict() if self.attribution else None,
        }
        del content["read_digest"]
        return content

    @classmethod
    def read(cls, path: Path) -> Calibration:
        """Reads what `write` wrote, by this version or an earlier one.

        Raises:
            CalibrationError: No such file, damaged, or of a later version of this package.
        """
        try:
            content, digest = read_content(path)
            return cls._from_dict(content, digest)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            if isinstance(error, UsageError):
                raise
            raise CalibrationError(f"{path}: not a calibration, or damaged ({error})") from error

    @classmethod
    def _from_dict(cls, content: JsonObject, digest: str) -> Calibration:
        strata, cells = members(content["strata"]), members(content["cells"])
        combiner, attribution, odds = content["combiner"], content["attribution"], content["odds"]
        calibration = cls(
            run=RunInfo.from_dict(members(content["run"])),
            method=text(content["method"]),
            fpr=number(content["fpr"]),
            confidence=number(content["confidence"]),
            strata={name: Stratum.from_dict(members(values)) for name, values in strata.items()},
            cells={name: text(stratum) for name, stratum in cells.items()},
            facets=texts(content["facets"]),
            combiner=Combiner.from_dict(members(combiner)) if combiner else None,
            attribution=attribution_of(members(attribution)) if attribution else None,
            generated=numbers(content["generated"]),
            real_threshold=_optional(content["real_threshold"]),
            odds=odds_of(members(odds)) if odds else None,
            prior=number(content["prior"]),
            data=text(content["data"]),
            made=text(content["made"]),
            version=text(content["version"]),
            read_digest=digest,
        )
        if ALL not in calibration.strata or not set(calibration.cells.values()) <= set(calibration.strata):
            raise ValueError("expected the stratum of all photographs, and that of each kind")
        if not set(calibration.facets) <= set(FACETS) or not 0 < calibration.prior < 1:
            raise ValueError(f"facets {calibration.facets}, prior {calibration.prior}")
        return calibration


def _optional(value: Json) -> float | None:
    return None if value is None else number(value)


def find_calibration(name: str | Path, method: str) -> Calibration:
    """Reads a file, or, of the name ``shipped``, the calibration that comes with the package for a method.

    Raises:
        CalibrationError: See `Calibration.read`; or none comes with the package.
    """
    if str(name) != "shipped":
        return Calibration.read(Path(name))
    methods = sorted(path.stem for path in SHIPPED.glob("*.json"))
    if method not in methods and method in METHODS and find_method(method).data:
        raise CalibrationError(
            f"no calibration of {method} comes with the package, because it needs none: its scores are held against "
            "photographs, and every row has an answer. Leave --calibration out (--mode says how surely), or make one "
            "on photographs of your own with recon-detect calibrate"
        )
    if method not in methods:
        raise CalibrationError(
            f"no calibration of {method} comes with the package, only of: {', '.join(methods) or 'none'}; use "
            "that method, or make one with recon-detect calibrate"
        )
    return Calibration.read(SHIPPED / f"{method}.json")


def judged_scores(rows: Sequence[Row], method: str, combiner: Combiner | None) -> NDArray[np.float64]:
    """Scores (N,) of a combiner, or else of one method; NaN of rows without."""
    if combiner:
        return combiner.scores(rows)
    scores = [row.scores[method].value if method in row.scores else math.nan for row in rows]
    return np.array(scores, dtype=np.float64)


def differences(before: RunInfo, now: RunInfo) -> list[str]:
    """Descriptions of what decides scores and differs between two runs; copies of the same weights do not differ."""
    first, second = _comparable(before), _comparable(now)
    return [
        f"{name} was {_shown(before, name)}, is {_shown(now, name)}"
        for name in dict.fromkeys((*first, *second))
        if first.get(name) != second.get(name)
    ]


def _comparable(run: RunInfo) -> JsonObject:
    """`RunInfo.decisive`, with equal sums for copies of the same weights."""
    decisive = run.decisive()
    models = [(same_weights(sha256), *rest) for sha256, *rest in decisive["models"]]
    values: JsonObject = json.loads(json.dumps(decisive | {"models": models}))
    return values


def _shown(run: RunInfo, name: str) -> str:
    """The part of `RunInfo.decisive` of a name, for people."""
    if name == "methods":
        return ", ".join(" ".join(filter(None, (of.name, of.distance, of.null))) for of in run.methods)
    if name == "models":
        return ", ".join(f"{model.name} {model.dtype} {model.sha256[:8]}" for model in run.models)
    return str(run.decisive().get(name, "none"))
