"""From scores to decisions: thresholds with a bound on false positives, p-values, verdicts, probabilities.

Everything is measured on photographs like those that will be judged. What is promised holds for images that are drawn
as they were, and for nothing else.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from recon_detect._version import __version__
from recon_detect.errors import CalibrationError, UsageError
from recon_detect.files import replacing
from recon_detect.results import RunInfo

SCHEMA = 1
GENERATED, INCONCLUSIVE, REAL = "likely generated", "inconclusive", "likely real"
# The stratum of all images.
ALL = "all"


def needed(rate: float, confidence: float) -> int:
    """How many images a threshold at a rate takes at the least: the smallest n with (1 - rate)^n <= 1 - confidence."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - rate))


def upper_threshold(scores: NDArray[np.float64], rate: float, confidence: float) -> float | None:
    """The lowest score that at most a share `rate` of such images exceeds, with `confidence`; None of too few images.

    The k-th largest of n scores is exceeded by a share that is Beta(k, n - k + 1) distributed, whatever the scores'
    distribution. Taken is the largest k whose share is below `rate` with `confidence`: P(Bin(n, rate) < k) <=
    1 - confidence, the exact binomial bound (Clopper and Pearson, 1934; used so in Learn then Test, arXiv:2110.01052).
    """
    allowed = bdtr(np.arange(len(scores)), len(scores), rate) <= 1 - confidence
    k = int(allowed.sum())
    return float(np.sort(scores)[-k]) if k else None


def stratum_of(row: Mapping[str, Any]) -> str:
    """How strongly an image is compressed, of a row as `Row.to_dict` gives it."""
    quality = row.get("jpeg_quality")
    if quality is None:
        return "other lossy" if row.get("format") in ("WEBP", "AVIF") else "lossless"
    return "JPEG 90 and above" if quality >= 90 else "JPEG 70 to 89" if quality >= 70 else "JPEG below 70"


@dataclass(frozen=True, slots=True)
class Stratum:
    """Photographs of one kind.

    Attributes:
        scores: Of the photographs, ascending.
        threshold: Above it an image is likely generated; None where there are too few photographs.
    """

    scores: tuple[float, ...]
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a calibration says of a score.

    Attributes:
        verdict: One of three bands. "likely real" is only said by a calibration that has seen generated images.
        p_value: Conformal: how often a photograph scores as high, (1 + number of such) / (1 + n); None of errors.
        probability: That the image is generated, from labelled images and the prior of the calibration; else None.
        stratum: The photographs that it was held against.
        threshold: Of that stratum.
    """

    verdict: str
    p_value: float
    probability: float | None
    stratum: str
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds for one detector, from photographs and perhaps generated images.

    Attributes:
        run: The run that the scores are of, as `RunInfo.to_dict` gives it.
        method: Whose scores are calibrated: the first of the run.
        fpr: Share of photographs that may be called generated.
        confidence: That this share is kept.
        strata: By name, with `ALL` among them.
        generated: Scores of generated images, ascending; empty without any.
        real_threshold: Below it an image is likely real: at most a share `fpr` of generated images is, with the same
            confidence; None where that cannot be said.
        platt: Slope and intercept of the log odds of being generated, at equal shares; None without generated images.
        prior: Share of generated images among those that will be judged.
        data: What the images were, in words.
        made: When, ISO 8601.
        version: Of this package.
    """

    run: dict[str, Any]
    method: str
    fpr: float
    confidence: float
    strata: dict[str, Stratum]
    generated: tuple[float, ...] = ()
    real_threshold: float | None = None
    platt: tuple[float, float] | None = None
    prior: float = 0.5
    data: str = ""
    made: str = ""
    version: str = __version__

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits, for results."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def judge(self, row: Mapping[str, Any]) -> Verdict | None:
        """The verdict of a row, as `Row.to_dict` gives it; None of a row without a score."""
        score = row["scores"].get(self.method)
        if score is None:
            return None
        name = stratum_of(row)
        name = name if name in self.strata else ALL
        stratum = self.strata[name]
        verdict = INCONCLUSIVE
        if stratum.threshold is not None and score > stratum.threshold:
            verdict = GENERATED
        elif self.real_threshold is not None and score < self.real_threshold:
            verdict = REAL
        as_high = len(stratum.scores) - int(np.searchsorted(stratum.scores, score, side="left"))
        p_value = (1 + as_high) / (1 + len(stratum.scores))
        return Verdict(verdict, p_value, self._probability(score), name, stratum.threshold)

    def _probability(self, score: float) -> float | None:
        if self.platt is None:
            return None
        slope, intercept = self.platt
        odds = slope * score + intercept + math.log(self.prior / (1 - self.prior))
        return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0

    def check(self, run: RunInfo) -> None:
        """Whether it is a calibration of a run.

        Raises:
            CalibrationError: Another detector; names what differs.
        """
        now = json.loads(json.dumps(run.to_dict()))
        if different := [
            f"{name} was {_short(self.run.get(name))}, is {_short(now[name])}"
            for name in (
                "methods",
                "compat",
                "models",
                "exif_orientation",
                "alpha",
                "seed",
                "inversion",
                "middle_square",
            )
            if _decisive(self.run.get(name)) != _decisive(now[name])
        ]:
            raise CalibrationError(
                f"the calibration is of another detector: {'; '.join(different)}. "
                "Score with those settings, or calibrate anew"
            )

    def write(self, path: Path) -> None:
        """Writes JSON."""
        content = {"schema": SCHEMA, "digest": self.digest, **asdict(self)}
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Calibration:
        """Reads what `write` wrote.

        Raises:
            CalibrationError: No such file, damaged, or of a later version of this package.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            schema, digest = content.pop("schema"), content.pop("digest")
            if schema != SCHEMA:
                raise CalibrationError(f"{path}: schema {schema}, this version reads {SCHEMA}; calibrate anew")
            strata = {
                name: Stratum(tuple(found["scores"]), found["threshold"])
                for name, found in content.pop("strata").items()
            }
            generated, platt = tuple(content.pop("generated")), content.pop("platt")
            found = cls(strata=strata, generated=generated, platt=tuple(platt) if platt else None, **content)
        except OSError as error:
            raise CalibrationError(f"{path}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, CalibrationError):
                raise
            raise CalibrationError(f"{path}: not a calibration, or damaged ({error})") from error
        if found.digest != digest:
            raise CalibrationError(f"{path}: its content is not what its digest {digest} says: damaged, or edited")
        return found


def calibrate(
    rows: Iterable[Mapping[str, Any]],
    run: RunInfo,
    *,
    fpr: float = 0.01,
    confidence: float = 0.95,
    prior: float = 0.5,
    data: str = "",
) -> Calibration:
    """Fits a calibration to scored images with labels.

    Args:
        rows: As `Row.to_dict` gives them, labelled ``"real"`` or ``"generated"``; photographs alone will do.
        run: Their run; its first method is calibrated.
        fpr: Share of photographs that may be called generated, of each stratum that has photographs enough.
        confidence: That this share is kept.
        prior: Share of generated images among those that will be judged, for probabilities.
        data: What the images are, in words.

    Raises:
        UsageError: A share outside (0, 1), or no photographs with scores.
    """
    for name, value in (("fpr", fpr), ("confidence", confidence), ("prior", prior)):
        if not 0 < value < 1:
            raise UsageError(f"{name} is {value}; expected more than 0 and less than 1")
    method = run.methods[0].name
    scored = [row for row in rows if row["scores"].get(method) is not None]
    real = [row for row in scored if row["label"] == "real"]
    generated = np.sort([row["scores"][method] for row in scored if row["label"] == "generated"])
    if not real:
        raise UsageError("no photographs with scores: a calibration needs images labelled real")
    kinds: dict[str, list[float]] = {ALL: []}
    for row in real:
        for name in (ALL, stratum_of(row)):
            kinds.setdefault(name, []).append(row["scores"][method])
    strata = {
        name: Stratum(tuple(sorted(scores)), upper_threshold(np.array(scores), fpr, confidence))
        for name, scores in kinds.items()
        # A thin stratum is judged as all photographs are.
        if name == ALL or len(scores) >= needed(fpr, confidence)
    }
    return Calibration(
        run=json.loads(json.dumps(run.to_dict())),
        method=method,
        fpr=fpr,
        confidence=confidence,
        strata=strata,
        generated=tuple(generated.tolist()),
        real_threshold=_real_threshold(generated, strata, fpr, confidence),
        platt=_platt(np.array(strata[ALL].scores), generated) if len(generated) else None,
        prior=prior,
        data=data,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _real_threshold(
    generated: NDArray[np.float64], strata: Mapping[str, Stratum], fpr: float, confidence: float
) -> float | None:
    """As for photographs, mirrored; never above where images are called generated."""
    mirrored = upper_threshold(-generated, fpr, confidence) if len(generated) else None
    thresholds = [stratum.threshold for stratum in strata.values() if stratum.threshold is not None]
    return min(-mirrored, *thresholds) if mirrored is not None and thresholds else None


def _platt(real: Sequence[float] | NDArray[np.float64], generated: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept of a logistic regression in which both classes weigh alike (Platt, 1999)."""
    from sklearn.linear_model import LogisticRegression

    scores = np.r_[real, generated][:, None]
    labels = np.r_[np.zeros(len(real)), np.ones(len(generated))]
    # The scores of methods differ by orders of magnitude: the penalty is to act alike on all.
    unit = float(scores.std()) or 1.0
    model = LogisticRegression(class_weight="balanced").fit(scores / unit, labels)
    return float(model.coef_[0, 0] / unit), float(model.intercept_[0])


def _decisive(value: Any) -> Any:
    """What of a run's description decides scores: of models the sum and the precision."""
    if isinstance(value, list):
        return [_decisive(part) for part in value]
    if isinstance(value, dict) and "sha256" in value:
        return value["sha256"], value["dtype"]
    return value


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_short, value)) or "none"
    if isinstance(value, dict):
        kept = [
            str(value[name]) for name in ("name", "distance", "dtype", "null", "steps", "real_step") if value.get(name)
        ]
        return " ".join(kept + ([value["sha256"][:8]] if "sha256" in value else []))
    return str(value)
