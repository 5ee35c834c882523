"""Fitting a calibration to scored images."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from recon_detect.calibration.attribution import ByContrast, ByTypicality
from recon_detect.calibration.bounds import needed, smallest_rate, upper_threshold
from recon_detect.calibration.calibration import Calibration, Stratum, judged_scores
from recon_detect.calibration.combiner import Combiner, combinations, fit_combiner
from recon_detect.calibration.distinct import decidable, distinct
from recon_detect.calibration.probability import PROBABILITIES, fit_probability
from recon_detect.calibration.strata import ALL, FACETS, strata_of
from recon_detect.errors import UnknownName, UsageError
from recon_detect.images.augment import COPY
from recon_detect.results import Row, RunInfo
from recon_detect.settings import FITTING, Fitting, FittingOptions, check_options

Rows = list[Row]


def fitting_of(**options: Unpack[FittingOptions]) -> Fitting:
    """The options of `calibrate`, checked as far as possible before anything is scored.

    Raises:
        UsageError: An unknown option, a share outside (0, 1), an unknown name, or options that exclude each other.
    """
    check_options(options, FittingOptions)
    fitting = Fitting(**options)
    for name in ("fpr", "confidence", "prior", "fit_share"):
        if not 0 < (value := getattr(fitting, name)) < 1:
            raise UsageError(f"{name} is {value}; expected more than 0 and less than 1")
    for kind, names, choices in (
        ("probability", [fitting.probability], PROBABILITIES),
        ("stratum", fitting.strata, FACETS),
        ("combination", [fitting.combine] if fitting.combine else [], combinations()),
    ):
        for name in names:
            if name not in choices:
                raise UnknownName(kind, name, list(choices))
    if fitting.probability == "temperature" and fitting.combine not in ("logistic", "lda"):
        raise UsageError("probability='temperature' takes scores that are log odds: combine by logistic or lda")
    return fitting


def check_photographs(count: int, fitting: Fitting) -> int:
    """Checks that a number of photographs gives a threshold; returns how many that takes.

    Of photographs that a combination is fitted to as well, those that are left count.

    Raises:
        UsageError: Too few; names the number that is needed, and the smallest rate that these give.
    """
    left = round(count * (1 - fitting.fit_share)) if fitting.combine else count
    least = needed(fitting.fpr, fitting.confidence)
    if left < least:
        lowest = math.ceil(1e4 * smallest_rate(left, fitting.confidence)) / 1e4 if left else 1.0
        some = f" beside those that {fitting.combine} is fitted to" if fitting.combine else ""
        raise UsageError(
            f"{left} photographs{some}: a threshold that at most {fitting.fpr:.2%} of photographs exceed, with "
            f"{fitting.confidence:.0%} confidence, needs {least}. Give more, or "
            + (f"--fpr {lowest:g} or more, which these are enough for" if lowest < 1 else "a smaller --fit-share")
        )
    return least


def calibrate(
    rows: Iterable[Row], run: RunInfo, *, pixel_models: Collection[str] = (), **options: Unpack[FittingOptions]
) -> Calibration:
    """Fits a calibration to scored images with labels.

    Args:
        rows: Labelled ``"real"`` or ``"generated"``; photographs alone will do. Each picture counts once, and those
            without enough texture not at all. Changed copies (`augmented`) are only fitted to, and only if their
            originals are. Generated images with a `Row.generator` are told apart, where
            there are two kinds of it with five images each.
        run: Run of the rows; its first method is calibrated, unless they are combined.
        pixel_models: Models of the run that are diffusion models of pixels.
        **options: Fields of `Fitting`, such as ``fpr`` and ``combine``.

    Raises:
        UsageError: See `fitting_of`; no photographs with scores; or one picture with both labels.
    """
    fitting = fitting_of(**options)
    method = run.methods[0].name
    # In an order of their own: no sum depends on that in which they were scored.
    scored = sorted(
        (row for row in rows if method in row.scores and math.isfinite(row.scores[method].value)),
        key=lambda row: row.path,
    )
    copies = [row for row in scored if COPY in row.path]
    labelled = [row for row in scored if COPY not in row.path and row.label in ("real", "generated")]
    pictures = distinct(decidable(labelled), near_copies=fitting.near_copies)
    real, generated = ([row for row in pictures if row.label == label] for label in ("real", "generated"))
    if not real:
        raise UsageError("no photographs with scores: a calibration needs images labelled real, with some texture")
    attribution = _attribution(real, generated, method, fitting.fpr, pixel_models)
    combiner, real, generated = _combined(real, generated, copies, fitting)
    fake = np.sort(_finite(judged_scores(generated, method, combiner)))
    cells, by_stratum = _by_stratum(real, judged_scores(real, method, combiner), fitting)
    strata = {
        name: Stratum(tuple(np.sort(scores).tolist()), upper_threshold(scores, fitting.fpr, fitting.confidence))
        for name, scores in by_stratum.items()
    }
    return Calibration(
        run=run,
        method=method,
        fpr=fitting.fpr,
        confidence=fitting.confidence,
        strata=strata,
        cells=cells,
        facets=tuple(fitting.strata),
        combiner=combiner,
        attribution=attribution,
        generated=tuple(fake.tolist()),
        real_threshold=_real_threshold(fake, strata, fitting),
        odds=fit_probability(fitting.probability, by_stratum[ALL], fake) if len(fake) else None,
        prior=fitting.prior,
        data=fitting.data,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def is_fitted_to(row: Row, share: float = FITTING.fit_share) -> bool:
    """True for images that a combination is fitted to, by their pixels: neither order nor other images matter."""
    name = row.provenance.sha256 if row.provenance else row.path
    digest = hashlib.sha256(name.encode()).hexdigest()
    return int(digest[:8], 16) < share * 2**32


def _combined(real: Rows, generated: Rows, copies: Rows, fitting: Fitting) -> tuple[Combiner | None, Rows, Rows]:
    """A combiner that is fitted to a part of the images, and the others of each class."""
    if not fitting.combine:
        return None, real, generated
    parts = [[row for row in rows if is_fitted_to(row, fitting.fit_share)] for rows in (real, generated)]
    rest = [[row for row in rows if not is_fitted_to(row, fitting.fit_share)] for rows in (real, generated)]
    combiner = fit_combiner(
        fitting.combine, *(_with_copies(part, copies) for part in parts), pca=fitting.pca, tune=fitting.tune
    )
    if not rest[0]:
        raise UsageError("no photographs are left for the threshold: give more, or a smaller fit_share")
    return combiner, rest[0], rest[1]


def _with_copies(rows: Rows, copies: Rows) -> Rows:
    """Rows, and the changed copies of the same images (`recon_detect.images.augment`)."""
    originals = {(row.path, row.label) for row in rows}
    return rows + [row for row in copies if (row.path.rpartition(COPY)[0], row.label) in originals]


def _by_stratum(
    real: Rows, scores: NDArray[np.float64], fitting: Fitting
) -> tuple[dict[str, str], dict[str, NDArray[np.float64]]]:
    """The stratum of each kind, and the scores of each stratum and of all."""
    finite = np.isfinite(scores)
    rows, scores = [row for row, good in zip(real, finite, strict=True) if good], scores[finite]
    if not fitting.strata:
        return {}, {ALL: scores}
    cells, strata = strata_of(rows, fitting.strata, needed(fitting.fpr, fitting.confidence))
    names = np.array(strata)
    return cells, {ALL: scores} | {name: scores[names == name] for name in dict.fromkeys(strata) if name != ALL}


def _attribution(
    real: Rows, generated: Rows, method: str, level: float, pixel_models: Collection[str]
) -> ByContrast | ByTypicality | None:
    named = [(row, row.generator) for row in generated if row.generator]
    if len({name for _, name in named}) > 1:
        return ByTypicality.fit([row for row, _ in named], [name for _, name in named], method)
    return ByContrast.fit(real, method, level, pixel_models)


def _real_threshold(generated: NDArray[np.float64], strata: Mapping[str, Stratum], fitting: Fitting) -> float | None:
    """The threshold of generated images, mirrored; never above one of photographs."""
    mirrored = upper_threshold(-generated, fitting.fpr, fitting.confidence) if len(generated) else None
    thresholds = [stratum.threshold for stratum in strata.values() if stratum.threshold is not None]
    return min(-mirrored, *thresholds) if mirrored is not None and thresholds else None


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values)]
