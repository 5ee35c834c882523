"""A calibration: thresholds, p-values, probabilities, whose decoder; as one JSON file.

Everything is measured on photographs like those that will be judged. What is promised holds for images that are drawn
as they were, and for nothing else.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon_detect._version import __version__
from recon_detect.atomic import replacing
from recon_detect.calibration.attribution import ByContrast, ByTypicality
from recon_detect.calibration.bounds import conformal_p_value
from recon_detect.calibration.combiner import Combiner
from recon_detect.calibration.probability import probability_of
from recon_detect.calibration.strata import ALL, UNLIKE, cell_of
from recon_detect.errors import CalibrationError
from recon_detect.models.registry import same_weights
from recon_detect.results import RunInfo

SCHEMA = 2
# Calibrations that come with the package, by method (assets/calibration.py).
SHIPPED = Path(__file__).parent / "shipped"
GENERATED, INCONCLUSIVE, REAL = "likely generated", "inconclusive", "likely real"
# What of a run's description decides its scores.
_DECISIVE = ("methods", "compat", "models", "exif_orientation", "alpha", "seed", "inversion", "middle_square")


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
    """What a calibration says of an image.

    Attributes:
        verdict: One of three bands. "likely real" is only said by a calibration that has seen generated images.
        combined: The score that was judged, where it is a combination of those in the row; else None.
        p_value: Conformal: how often a photograph scores as high, (1 + number of such) / (1 + n).
        probability: That the image is generated, from labelled images and the prior of the calibration; else None.
        stratum: The photographs that it was held against.
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
class Calibration:
    """Thresholds for one detector, from photographs and perhaps generated images. Made by `fit.calibrate`.

    Attributes:
        run: The run that the scores are of, as `RunInfo.to_dict` gives it.
        method: Whose scores are calibrated: the first of the run, unless they are combined.
        fpr: Share of photographs that may be called generated.
        confidence: That this share is kept, in each stratum.
        strata: By name, with `ALL` among them.
        cells: The stratum of each kind of photograph (`strata.cell_of`).
        facets: What photographs are divided by.
        combiner: Makes one score of all numbers of a row; None takes that of `method`.
        attribution: Names the decoder; None of too few photographs.
        generated: Scores of generated images, ascending; empty without any.
        real_threshold: Below it an image is likely real: at most a share `fpr` of generated images is, with the same
            confidence; None where that cannot be said.
        odds: Log odds of being generated as a function of the score (`probability.fit_probability`); None without
            generated images.
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
    cells: dict[str, str] = field(default_factory=dict)
    facets: tuple[str, ...] = ()
    combiner: Combiner | None = None
    attribution: ByContrast | ByTypicality | None = None
    generated: tuple[float, ...] = ()
    real_threshold: float | None = None
    odds: dict[str, Any] | None = None
    prior: float = 0.5
    data: str = ""
    made: str = ""
    version: str = __version__

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits, for results."""
        return _digest(asdict(self))

    def scores(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """(N,) what is judged of rows, as `Row.to_dict` gives them; NaN of those without it."""
        return judged_scores(rows, self.method, self.combiner)

    def stratum_of(self, row: Mapping[str, Any]) -> str:
        """The stratum of a row; `UNLIKE` of a kind that no photograph had."""
        return self.cells.get(cell_of(row, self.facets), UNLIKE) if self.facets else ALL

    def held_against(self, stratum: str) -> Stratum:
        """The photographs of a stratum, by what `stratum_of` gave: all of them for `UNLIKE`."""
        return self.strata[ALL if stratum == UNLIKE else stratum]

    def judge(self, row: Mapping[str, Any]) -> Verdict | None:
        """The verdict of a row, as `Row.to_dict` gives it; None of a row without a score."""
        if not row["scores"] or not math.isfinite(score := float(self.scores([row])[0])):
            return None
        name = self.stratum_of(row)
        stratum = self.held_against(name)
        verdict = INCONCLUSIVE
        if stratum.threshold is not None and score > stratum.threshold:
            verdict = GENERATED
        elif self.real_threshold is not None and score < self.real_threshold:
            verdict = REAL
        whose = self.attribution.attribute(row) if self.attribution and verdict == GENERATED else None
        return Verdict(
            verdict,
            score if self.combiner else None,
            conformal_p_value(stratum.scores, score),
            probability_of(self.odds, score, self.prior) if self.odds else None,
            name,
            stratum.threshold,
            whose.family if whose else None,
            whose.decoder if whose else None,
        )

    def check(self, run: RunInfo) -> None:
        """Whether it is a calibration of a run.

        Raises:
            CalibrationError: Another detector; names what differs.
        """
        now = json.loads(json.dumps(run.to_dict()))
        if different := [
            f"{name} was {_short(self.run.get(name))}, is {_short(now[name])}"
            for name in _DECISIVE
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
        """Reads what `write` wrote, by this version or an earlier one.

        Raises:
            CalibrationError: No such file, damaged, or of a later version of this package.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            schema, digest = content.pop("schema"), content.pop("digest")
            if schema not in (*_UPGRADES, SCHEMA):
                raise CalibrationError(f"{path}: schema {schema}, this version reads up to {SCHEMA}; calibrate anew")
            if _digest(content) != digest:
                raise CalibrationError(f"{path}: its content is not what its digest {digest} says: damaged, or edited")
            return _from_json(_UPGRADES[schema](content) if schema in _UPGRADES else content)
        except OSError as error:
            raise CalibrationError(f"{path}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, CalibrationError):
                raise
            raise CalibrationError(f"{path}: not a calibration, or damaged ({error})") from error


def find_calibration(name: Path, method: str) -> Calibration:
    """Reads a file, or of the name ``shipped`` what comes with the package for a method.

    Raises:
        CalibrationError: See `Calibration.read`; or none comes with the package.
    """
    if str(name) != "shipped":
        return Calibration.read(name)
    known = sorted(path.stem for path in SHIPPED.glob("*.json"))
    if method not in known:
        raise CalibrationError(
            f"no calibration of {method} comes with the package, only of: {', '.join(known) or 'none'}; make one with "
            "recon-detect calibrate"
        )
    return Calibration.read(SHIPPED / f"{method}.json")


def judged_scores(rows: Sequence[Mapping[str, Any]], method: str, combiner: Combiner | None) -> NDArray[np.float64]:
    """(N,) of a combiner, or else of one method; NaN of rows without."""
    if combiner:
        return combiner.scores(rows)
    found = [row["scores"].get(method) for row in rows]
    return np.array([np.nan if score is None else score for score in found], dtype=np.float64)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _from_json(content: dict[str, Any]) -> Calibration:
    """From the fields of a file; tuples are lists there, and members plain dictionaries."""
    strata = {
        name: Stratum(tuple(found["scores"]), found["threshold"]) for name, found in content.pop("strata").items()
    }
    combiner, attribution = content.pop("combiner"), content.pop("attribution")
    if combiner:
        combiner = Combiner(**combiner | {"features": tuple(combiner["features"])})
    if attribution and "photographs" in attribution:
        null = {model: tuple(values) for model, values in attribution["photographs"].items()}
        attribution = ByContrast(**attribution | {"photographs": null})
    elif attribution:
        nested = {name: tuple(map(tuple, attribution[name])) for name in ("centroids", "precision")}
        flat = {name: tuple(attribution[name]) for name in ("classes", "features", "distances")}
        attribution = ByTypicality(**attribution | nested | flat)
    generated, facets = tuple(content.pop("generated")), tuple(content.pop("facets"))
    return Calibration(
        strata=strata, combiner=combiner, attribution=attribution, generated=generated, facets=facets, **content
    )


def _first_schema(content: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 divided photographs by compression alone, and had Platt's probabilities and nothing combined."""
    platt = content.pop("platt")
    odds = {"kind": "platt", "slope": platt[0], "intercept": platt[1]} if platt else None
    cells = {name: name for name in content["strata"] if name != ALL}
    facets = ["compression"] if cells else []
    return content | {"odds": odds, "cells": cells, "facets": facets, "combiner": None, "attribution": None}


# From the fields of an earlier schema to those of this.
_UPGRADES = {1: _first_schema}


def _decisive(value: Any) -> Any:
    """What of a run's description decides scores: of models the sum and the precision."""
    if isinstance(value, list):
        return [_decisive(part) for part in value]
    if isinstance(value, dict) and "sha256" in value:
        return same_weights(value["sha256"]), value["dtype"]
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
