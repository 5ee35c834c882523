"""Commands on sets of images whose labels are known, and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recon_detect.cli.arguments import BatchSize, Device, Distance, Dtype, Methods, Models, Quiet, split
from recon_detect.methods import DEFAULT_METHOD
from recon_detect.settings import DEFAULTS, Settings


def calibrate(
    real: Annotated[list[str], typer.Option("--real", help="Photographs like those to be judged: as in 'score'.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .json file to write.")],
    generated: Annotated[
        list[str] | None,
        typer.Option(
            "--generated",
            help="Generated images, for probabilities, classifiers and the verdict 'likely real'; NAME=PATH where "
            "generators are to be told apart.",
        ),
    ] = None,
    fpr: Annotated[float, typer.Option(help="Share of photographs that may be called generated.")] = 0.01,
    confidence: Annotated[float, typer.Option(help="That this share is kept.")] = 0.95,
    strata: Annotated[
        str, typer.Option(help="What photographs are divided by; 'none' judges all alike. Thin strata are pooled.")
    ] = "compression,size,texture",
    combine: Annotated[
        str | None,
        typer.Option(
            help="Judge one score made of every method's score of every model. From photographs alone: min-p, fisher, "
            "stouffer, cauchy, harmonic, each also as two-sided-...; trained on both: logistic, lda, linear-svm, "
            "polynomial-svm, knn, random-forest, gradient-boosting, naive-bayes, bagging, tree, qda."
        ),
    ] = None,
    fit_share: Annotated[
        float, typer.Option(help="Share of the images that --combine is fitted to; the others give the threshold.")
    ] = 0.5,
    pca: Annotated[int | None, typer.Option(min=1, help="Principal components that a classifier keeps.")] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Choose a classifier's parameters by cross-validation.")] = False,
    augment: Annotated[
        int, typer.Option(min=0, help="Changed copies (blur, jitter, JPEG) of each image that --combine is fitted to.")
    ] = 0,
    probability: Annotated[
        str, typer.Option(help="platt, isotonic, or temperature (of a logistic or lda score).")
    ] = "platt",
    prior: Annotated[float, typer.Option(help="Share of generated images to expect, for probabilities.")] = 0.5,
    data: Annotated[str, typer.Option(help="What the images are, in words, for the file.")] = "",
    method: Methods = None,
    models: Models = None,
    distance: Distance = None,
    device: Device = None,
    dtype: Dtype = DEFAULTS.dtype,
    batch_size: BatchSize = None,
) -> None:
    """Find a threshold on photographs, with a bound on false positives.

    Of photographs like those given, at most the share --fpr passes the threshold, with the given confidence. Says how
    many photographs are needed where these are too few. Photographs are judged among those of their own compression,
    size and texture where there are enough of them. A run that was killed goes on.

    Examples:
      recon-detect calibrate --real photos/ --fpr 0.01 --output cal.json

      recon-detect score inbox/ --calibration cal.json

      recon-detect calibrate --real photos/ --generated sd=a/ --generated flux=b/ --method contrast,aedr --models tiny
      --combine logistic --output cal.json
    """
    from recon_detect.cli.calibrate import run_calibrate

    detector = {
        "method": split(method) or DEFAULT_METHOD,
        "models": split(models),
        "distance": distance,
        "device": device,
        "dtype": dtype,
        "batch_size": batch_size,
    }
    options = {
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
    raise typer.Exit(run_calibrate(real, generated or [], detector, options, output, augment))


def audit(
    dataset: Annotated[
        str | None,
        typer.Argument(
            help="A manifest (.csv or .jsonl, with 'path' and 'label'), a folder with a manifest.csv, or a folder with "
            "subfolders real and generated (0_real and 1_fake, nature and ai)."
        ),
    ] = None,
    real: Annotated[list[str] | None, typer.Option("--real", help="Photographs, instead of a data set.")] = None,
    generated: Annotated[list[str] | None, typer.Option("--generated", help="Generated images, besides.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the table as .csv or .json.")] = None,
    measurements: Annotated[
        Path | None,
        typer.Option(help="Write what was measured of each image as .jsonl. A run that was killed goes on."),
    ] = None,
    match: Annotated[
        Path | None,
        typer.Option(
            "--match",
            help="Folder for a matched version: manifest.csv, transform.json and its audit.csv. The transform gives "
            "both classes the same crop, format and quality.",
        ),
    ] = None,
    crop: Annotated[
        int | None, typer.Option(min=32, help="Side of its crop. Without it: what 95 % of each class hold.")
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(help="png, jpeg-75, webp-80, ... Without it: png, or jpeg where compression tells the classes."),
    ] = None,
    balance: Annotated[
        bool, typer.Option("--balance", help="Leave out images until both classes have as many of each size.")
    ] = False,
    write_images: Annotated[bool, typer.Option("--write-images", help="Write the matched images too.")] = False,
    fail_on: Annotated[
        str | None, typer.Option(help="'shortcut': exit with 1 if one is found, after matching where that is asked.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read images.")] = DEFAULTS.workers,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger images.")] = DEFAULTS.max_pixels,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on a terminal too.")] = False,
    quiet: Quiet = False,
) -> None:
    """Find what separates photographs from generated images in a data set without looking at what they show.

    File format, JPEG quality, size, metadata, bytes per pixel, traces of compression and others: an AUROC each, and of
    all together. A detector that is measured on a set with such a shortcut may have learned the shortcut.

    Examples:
      recon-detect audit dataset/

      recon-detect audit --real photos/ --generated fakes/ --output audit.csv

      recon-detect audit dataset/ --match matched/ --write-images
    """
    from recon_detect.cli.audit import Outputs, run_audit

    settings = Settings(workers=workers, max_pixels=max_pixels)
    outputs = Outputs(output, measurements, match, write_images, as_json, quiet)
    matching = {"crop": crop, "encoding": encoding, "balance": balance}
    raise typer.Exit(run_audit(dataset, real or [], generated or [], settings, outputs, matching, fail_on))
