"""``recon-detect calibrate``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recon_detect.cli.arguments import (
    BatchSize,
    Device,
    Distance,
    Dtype,
    Effort,
    Generated,
    Methods,
    Models,
    Real,
    flag,
    split,
)
from recon_detect.methods import DEFAULT_METHOD
from recon_detect.names import shown
from recon_detect.settings import DEFAULTS, FITTING, DetectorOptions, FittingOptions

if TYPE_CHECKING:
    from rich.console import Console

    from recon_detect.calibration import Calibration


def calibrate(
    real: Real,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .json file to write.")],
    generated: Generated = None,
    fpr: Annotated[
        float, typer.Option(help="False positive rate: the share of photographs that may be called generated.")
    ] = FITTING.fpr,
    confidence: Annotated[
        float, typer.Option(help="Probability that the true false positive rate does not exceed --fpr.")
    ] = FITTING.confidence,
    strata: Annotated[
        str,
        typer.Option(
            help="Properties by which photographs are divided into groups, each with a threshold of its own; 'none' "
            "makes one group. Groups with too few photographs are merged."
        ),
    ] = ",".join(FITTING.strata),
    combine: Annotated[
        str | None,
        typer.Option(
            help="Judge one score made of every method's score of every model: a rule that is fitted to photographs "
            "alone (such as cauchy, min-p, fisher, two-sided-fisher), or a classifier that is trained on photographs "
            "and generated images (such as logistic, lda, random-forest). An unknown name lists all of them."
        ),
    ] = FITTING.combine,
    fit_share: Annotated[
        float, typer.Option(help="Share of the images that --combine is fitted to; the others give the threshold.")
    ] = FITTING.fit_share,
    pca: Annotated[
        int | None, typer.Option(min=1, help="Number of principal components that a classifier keeps.")
    ] = FITTING.pca,
    tune: Annotated[bool, flag("--tune", help="Choose a classifier's parameters by cross-validation.")] = FITTING.tune,
    augment: Annotated[
        int,
        typer.Option(
            min=0, help="Number of changed copies (blur, jitter, JPEG) of each image that --combine is fitted to."
        ),
    ] = 0,
    probability: Annotated[
        str, typer.Option(help="How probabilities are fitted: platt, isotonic, or temperature (for logistic and lda).")
    ] = FITTING.probability,
    prior: Annotated[
        float, typer.Option(help="Expected share of generated images, for probabilities.")
    ] = FITTING.prior,
    data: Annotated[str, typer.Option(help="Description of the images, for the file.")] = FITTING.data,
    method: Methods = None,
    models: Models = None,
    distance: Distance = None,
    device: Device = DEFAULTS.device,
    dtype: Dtype = DEFAULTS.dtype,
    effort: Effort = str(DEFAULTS.effort),
    batch_size: BatchSize = DEFAULTS.batch_size,
) -> None:
    """Find a threshold from photographs, with a bound on the false positive rate.

    At most a share --fpr of photographs like those given exceeds the threshold,
    with the given confidence. If there are too few photographs for that, the
    command says so before it scores any. An image is compared with photographs
    of its own compression, size and texture where there are enough of them. An
    interrupted run is resumed, and scores are kept beside the output: another
    --fpr or --combine on the same images takes seconds.

    Examples:
      recon-detect calibrate --real photos/ --fpr 0.01 --output cal.json

      recon-detect score inbox/ --calibration cal.json

      recon-detect calibrate --real photos/ --generated sd=a/ --generated flux=b/
      --method contrast,aedr --models tiny --combine logistic --output cal.json
    """
    detector: DetectorOptions = {
        "method": split(method) or DEFAULT_METHOD,
        "models": split(models),
        "distance": distance,
        "device": device,
        "dtype": dtype,
        "effort": effort,
        "batch_size": batch_size,
    }
    options: FittingOptions = {
        "fpr": fpr,
        "confidence": confidence,
        "strata": () if strata == "none" else tuple(strata.split(",")),
        "combine": combine,
        "fit_share": fit_share,
        "pca": pca,
        "tune": tune,
        "probability": probability,
        "prior": prior,
        "data": data,
    }
    raise typer.Exit(_calibrate(real, generated or [], detector, options, output, augment))


def _calibrate(
    real: list[str],
    generated: list[str],
    detector_options: DetectorOptions,
    options: FittingOptions,
    output: Path,
    augment: int,
) -> int:
    """Scores, fits, writes; returns the exit code."""
    from recon_detect.calibration import ALL
    from recon_detect.calibration.fit import check_photographs, fitting_of
    from recon_detect.cli.resume import resumed
    from recon_detect.cli.sources import labelled
    from recon_detect.detector import load_detector
    from recon_detect.output.checks import check_file

    fitting = fitting_of(**options)
    check_file(output)
    photographs, others = labelled(real, generated)
    least = check_photographs(len(photographs), fitting)
    print(f"{len(photographs)} photographs; this threshold needs {least}", file=sys.stderr)
    detector = load_detector(**detector_options)
    with resumed(output, detector) as journal:
        calibration = detector.calibrate(photographs, others, augment=augment, journal=journal, **options)
        # How many could be read, and how many fell to the part that is fitted to, is known only now.
        check_photographs(len(calibration.strata[ALL].scores), replace(fitting, combine=None))
        calibration.write(output)
        failed = sum(row.error is not None for row in journal.rows())
        journal.finish(others=True)  # copies that another --combine asked for, and will again
    _report(calibration, failed, output)
    return 0


def _report(calibration: Calibration, failed: int, output: Path) -> None:
    from recon_detect.calibration import ALL
    from recon_detect.cli.tables import stdout_console

    console = stdout_console()
    judged = calibration.combiner.kind if calibration.combiner else calibration.method
    console.print(
        f"{shown(str(output))}: {judged} on {len(calibration.strata[ALL].scores)} photographs and "
        f"{len(calibration.generated)} generated images, {failed} failed"
    )
    if calibration.combiner:
        console.print(
            f"  {judged} of {len(calibration.combiner.features)} scores, which are worth "
            f"{calibration.combiner.effective:.1f} independent ones in photographs; it was fitted to other images"
        )
    bound = f"at most {calibration.fpr:.2%} of photographs like these, with {calibration.confidence:.0%} confidence"
    for name, stratum in calibration.strata.items():
        console.print(f"  {name}: likely generated above {stratum.threshold:.4f} ({bound}; n = {len(stratum.scores)})")
    if calibration.generated:
        _report_separation(console, calibration)
    else:
        console.print("  Without generated images, no image is called likely real and no probability is given.")


def _report_separation(console: Console, calibration: Calibration) -> None:
    import numpy as np
    from sklearn.metrics import roc_auc_score

    from recon_detect.calibration import ALL

    photographs, generated = calibration.strata[ALL], np.array(calibration.generated)
    labels = np.r_[np.zeros(len(photographs.scores)), np.ones(len(generated))]
    area = roc_auc_score(labels, np.r_[photographs.scores, generated])
    warning = ": generated images score lower than photographs here; do not use this method" if area < 0.5 else ""
    console.print(f"  AUROC {area:.3f}{warning}")
    if photographs.threshold is not None:
        share = float(np.mean(generated > photographs.threshold))
        console.print(f"  {share:.1%} of the generated images exceed the threshold of all")
    if calibration.real_threshold is not None:
        console.print(f"  likely real below {calibration.real_threshold:.4f}")
