"""``recon-detect score``."""

from __future__ import annotations

import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recon_detect.cli import FOUND, INTERRUPTED, SOME_FAILED, hush
from recon_detect.cli.arguments import (
    AsJson,
    BatchSize,
    Device,
    Distance,
    Dtype,
    InversionSteps,
    MaxPixels,
    Methods,
    Models,
    Paths,
    Quiet,
    RealStep,
    Workers,
    flag,
    split,
)
from recon_detect.methods import DEFAULT_METHOD
from recon_detect.settings import DEFAULTS, Inversion

if TYPE_CHECKING:
    from recon_detect.cli.sources import Sources
    from recon_detect.cli.tables import Tally
    from recon_detect.detector import Detector


def score(
    paths: Paths,
    method: Methods = None,
    models: Models = None,
    distance: Distance = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write results to this .jsonl, .csv or .parquet file. A run that was interrupted is resumed.",
        ),
    ] = None,
    maps: Annotated[Path | None, typer.Option(help="Write a heat map of each image into this folder.")] = None,
    device: Device = DEFAULTS.device,
    dtype: Dtype = DEFAULTS.dtype,
    compat: Annotated[
        str | None,
        typer.Option(help="'published' reproduces the numbers of the authors' code, with --method aeroblade."),
    ] = None,
    inversion_steps: InversionSteps = DEFAULTS.inversion.steps,
    real_step: RealStep = DEFAULTS.inversion.real_step,
    prompt: Annotated[
        str, typer.Option(help="Text that a latent diffusion model is conditioned on, with --method deep.")
    ] = DEFAULTS.inversion.prompt,
    batch_size: BatchSize = DEFAULTS.batch_size,
    workers: Workers = DEFAULTS.workers,
    max_pixels: MaxPixels = DEFAULTS.max_pixels,
    exif_orientation: Annotated[
        bool, flag("--exif-orientation", help="Turn images as their EXIF tag says, before scoring.")
    ] = DEFAULTS.exif_orientation,
    classifier: Annotated[
        str | None,
        typer.Option(help="Folder written by 'convert dire-classifier', for --method dire-resnet."),
    ] = DEFAULTS.classifier,
    middle_square: Annotated[
        int | None,
        typer.Option(
            min=8,
            help="Score the middle square of each image, resized to this side as DIRE does. Resizing removes evidence.",
        ),
    ] = DEFAULTS.middle_square,
    calibration: Annotated[
        str | None,
        typer.Option(
            help="File written by 'calibrate' for the same method and models, or 'shipped': adds verdict and p-value."
        ),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(help="'generated': exit with code 1 if an image is likely generated. Needs --calibration."),
    ] = None,
    compile: Annotated[
        bool, flag("--compile", help="Compile diffusion models: a minute at the start, then faster. For long runs.")
    ] = DEFAULTS.compile,
    json_lines: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Score images: higher means more likely generated.

    Prints a table on a terminal and JSON lines into a pipe.

    Examples:
      recon-detect score picture.png

      recon-detect score photos/ --output scores.csv --maps maps/

      recon-detect score photos/ --method contrast,hfi,aedr

      recon-detect score dataset/ --models sd1,sd2 --output scores.parquet
    """
    options = {
        "method": split(method) or DEFAULT_METHOD,
        "models": split(models),
        "distance": distance,
        "device": device,
        "dtype": dtype,
        "compat": compat,
        "batch_size": batch_size,
        "workers": workers,
        "max_pixels": max_pixels,
        "exif_orientation": exif_orientation,
        "inversion": Inversion(inversion_steps, real_step, prompt),
        "middle_square": middle_square,
        "classifier": classifier,
        "compile": compile,
    }
    raise typer.Exit(_score(paths, options, output, maps, calibration, fail_on, json_lines, quiet))


def _score(
    paths: list[str],
    options: dict[str, Any],
    output: Path | None,
    maps: Path | None,
    calibration: str | None,
    fail_on: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Scores, writes and prints; returns the exit code."""
    from recon_detect.calibration import find_calibration
    from recon_detect.cli.sources import Sources
    from recon_detect.cli.tables import print_summary, print_table
    from recon_detect.detector import load_detector
    from recon_detect.errors import UsageError
    from recon_detect.results import LIKELY_GENERATED

    if fail_on not in (None, "generated") or (fail_on and calibration is None):
        raise UsageError(f"--fail-on {fail_on}: expected 'generated', with a --calibration that says what that is")
    hush(quiet)
    sources = Sources(paths)
    detector = load_detector(**options)
    if calibration:
        detector = detector.with_calibration(find_calibration(calibration, detector.run_info.methods[0].name))
    as_json = as_json or not sys.stdout.isatty()
    try:
        tally = _run(detector, sources, output, maps, as_json, quiet)
    except KeyboardInterrupt:
        advice = f"the same command resumes {output}" if output else "with --output it can be resumed"
        print(f"recon-detect: interrupted; {advice}", file=sys.stderr)
        return INTERRUPTED
    if not as_json:
        print_table(tally.shown, detector.run_info, more=tally.images - len(tally.shown))
    if not quiet:
        print_summary(tally, detector.run_info, output)
    if fail_on and tally.verdicts[LIKELY_GENERATED]:
        return FOUND
    return SOME_FAILED if tally.failed else 0


def _run(
    detector: Detector, sources: Sources, output: Path | None, maps: Path | None, as_json: bool, quiet: bool
) -> Tally:
    """Scores into files, or as lines of JSON."""
    from recon_detect.cli.tables import Tally
    from recon_detect.output import Journal, save_heatmap
    from recon_detect.output.writers import json_line

    run, tally = detector.run_info, Tally()
    # Published scores depend on the files before: an interrupted run of them starts over.
    with Journal(output, run, resume=run.compat is None) if output else nullcontext() as journal:
        if journal and journal.done and not quiet:
            print(f"{len(journal.done)} of {len(sources)} images are done already", file=sys.stderr)
        progress = False if quiet else None
        with closing(detector.run(sources, journal, maps=maps is not None, progress=progress)) as rows:
            for row in rows:
                tally.add(row)
                if maps:
                    save_heatmap(row, maps)
                if as_json and not journal:
                    print(json_line(row.to_dict(run.fingerprint)), end="", flush=True)
        if journal:
            journal.finish()
    return tally
