"""Fitting a calibration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon_detect.calibration.attribution import ByContrast, ByTypicality
from recon_detect.calibration.bounds import needed, upper_threshold
from recon_detect.calibration.calibration import Calibration, Stratum, judged_scores
from recon_detect.calibration.combiner import combinations, fit_combiner
from recon_detect.calibration.probability import PROBABILITIES, fit_probability
from recon_detect.calibration.strata import ALL, FACETS, strata_of
from recon_detect.errors import UnknownName, UsageError
from recon_detect.images.augment import COPY
from recon_detect.results import RunInfo

Rows = list[Mapping[str, Any]]

# Of the images, that a combination is fitted to.
FIT_SHARE = 0.5


def calibrate(
    rows: Iterable[Mapping[str, Any]],
    run: RunInfo,
    *,
    fpr: float = 0.01,
    confidence: float = 0.95,
    strata: Sequence[str] = tuple(FACETS),
    combine: str | None = None,
    pca: int | None = None,
    tune: bool = False,
    fit_share: float = FIT_SHARE,
    probability: str = "platt",
    prior: float = 0.5,
    data: str = "",
) -> Calibration:
    """Fits a calibration to scored images with labels.

    Args:
        rows: As `Row.to_dict` gives them, labelled ``"real"`` or ``"generated"``; photographs alone will do. Changed
            copies (`augmented`) are only fitted to, and only if their originals are. Generated images with a
            ``"generator"`` besides are told apart, where there are two kinds of it with five images each.
        run: Their run; its first method is calibrated, unless they are combined.
        fpr: Share of photographs that may be called generated.
        confidence: That this share is kept, in each stratum by itself.
        strata: What photographs are divided by, of `FACETS`; thin strata are pooled with their neighbours.
        combine: A rule of `fusion.RULES` or a classifier of `classifiers.CLASSIFIERS`, of every method's score of every
            model; see `fit_combiner`. It is fitted to a part of the images, and the thresholds to the others.
        pca: Principal components that a classifier keeps.
        tune: Whether a classifier's parameters are chosen by cross-validation.
        fit_share: Share of the images that a combination is fitted to.
        probability: ``"platt"``, ``"isotonic"``, or ``"temperature"`` of scores that are log odds.
        prior: Share of generated images among those that will be judged, for probabilities.
        data: What the images are, in words.

    Raises:
        UsageError: A share outside (0, 1), an unknown name, or no photographs with scores.
    """
    check_options(
        fpr=fpr,
        confidence=confidence,
        prior=prior,
        fit_share=fit_share,
        strata=strata,
        combine=combine,
        probability=probability,
    )
    method = run.methods[0].name
    # In an order of their own: no sum depends on that in which they were scored.
    scored = sorted((row for row in rows if row["scores"].get(method) is not None), key=lambda row: str(row["path"]))
    copies = [row for row in scored if COPY in row["path"]]
    scored = [row for row in scored if COPY not in row["path"]]
    real, generated = ([row for row in scored if row["label"] == label] for label in ("real", "generated"))
    if not real:
        raise UsageError("no photographs with scores: a calibration needs images labelled real")
    combiner = None
    attribution = _attribution(real, generated, method, fpr)
    if combine:
        (fitted_real, real), (fitted_generated, generated) = (_parts(part, fit_share) for part in (real, generated))
        combiner = fit_combiner(
            combine, _with_copies(fitted_real, copies), _with_copies(fitted_generated, copies), pca=pca, tune=tune
        )
        if not real:
            raise UsageError("no photographs are left for the threshold: give more, or a smaller fit_share")
    fake = np.sort(_finite(judged_scores(generated, method, combiner)))
    cells, by_stratum = _by_stratum(real, judged_scores(real, method, combiner), strata, needed(fpr, confidence))
    found = {
        name: Stratum(tuple(np.sort(scores).tolist()), upper_threshold(scores, fpr, confidence))
        for name, scores in by_stratum.items()
    }
    return Calibration(
        run=json.loads(json.dumps(run.to_dict())),
        method=method,
        fpr=fpr,
        confidence=confidence,
        strata=found,
        cells=cells,
        facets=tuple(strata),
        combiner=combiner,
        attribution=attribution,
        generated=tuple(fake.tolist()),
        real_threshold=_real_threshold(fake, found, fpr, confidence),
        odds=fit_probability(probability, by_stratum[ALL], fake) if len(fake) else None,
        prior=prior,
        data=data,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def check_options(*, strata: Sequence[str], combine: str | None, probability: str, **shares: float) -> None:
    """What can be said of the options of `calibrate` before anything is scored.

    Raises:
        UsageError: A share outside (0, 1), an unknown name, or what does not go together.
    """
    for name, value in shares.items():
        if not 0 < value < 1:
            raise UsageError(f"{name} is {value}; expected more than 0 and less than 1")
    for kind, given, known in (
        ("probability", [probability], PROBABILITIES),
        ("stratum", strata, FACETS),
        ("combination", [combine] if combine else [], combinations()),
    ):
        for name in given:
            if name not in known:
                raise UnknownName(kind, name, list(known))
    if probability == "temperature" and combine not in ("logistic", "lda"):
        raise UsageError("probability='temperature' takes scores that are log odds: combine by logistic or lda")


def _parts(rows: Rows, share: float) -> tuple[Rows, Rows]:
    """Those that a combination is fitted to, and the others."""
    chosen = [is_fitted_to(row, share) for row in rows]
    return [row for row, first in zip(rows, chosen, strict=True) if first], [
        row for row, first in zip(rows, chosen, strict=True) if not first
    ]


def is_fitted_to(row: Mapping[str, Any], share: float | None = None) -> bool:
    """By the content of an image, so that the parts depend neither on the order nor on the other images."""
    digest = hashlib.sha256(str(row["sha256"] or row["path"]).encode()).hexdigest()
    return int(digest[:8], 16) < (share or FIT_SHARE) * 2**32


def _with_copies(rows: Rows, copies: Rows) -> Rows:
    """With the changed copies of the same images (`recon_detect.images.augment`)."""
    originals = {(row["path"], row["label"]) for row in rows}
    return rows + [row for row in copies if (row["path"].rpartition(COPY)[0], row["label"]) in originals]


def _by_stratum(
    real: Rows, scores: NDArray[np.float64], facets: Sequence[str], enough: int
) -> tuple[dict[str, str], dict[str, NDArray[np.float64]]]:
    """The stratum of each kind, and the scores of each stratum and of all."""
    whole = np.isfinite(scores)
    kept, scores = [row for row, good in zip(real, whole, strict=True) if good], scores[whole]
    if not facets:
        return {}, {ALL: scores}
    cells, own = strata_of(kept, facets, enough)
    names = np.array(own)
    return cells, {ALL: scores} | {name: scores[names == name] for name in dict.fromkeys(own) if name != ALL}


def _attribution(real: Rows, generated: Rows, method: str, level: float) -> ByContrast | ByTypicality | None:
    named = [row for row in generated if row.get("generator")]
    if len({row["generator"] for row in named}) > 1:
        return ByTypicality.fit(named, [row["generator"] for row in named], method)
    return ByContrast.fit(real, method, level)


def _real_threshold(
    generated: NDArray[np.float64], strata: Mapping[str, Stratum], fpr: float, confidence: float
) -> float | None:
    """As for photographs, mirrored; never above where images are called generated."""
    mirrored = upper_threshold(-generated, fpr, confidence) if len(generated) else None
    thresholds = [stratum.threshold for stratum in strata.values() if stratum.threshold is not None]
    return min(-mirrored, *thresholds) if mirrored is not None and thresholds else None


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values)]
