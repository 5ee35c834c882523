"""``recon-detect score``."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from recon_detect.cli import FOUND, SOME_FAILED, advising, hush, naming
from recon_detect.cli.arguments import (
    ADVANCED,
    INPUT,
    METHOD,
    OUTPUT,
    AsJson,
    BatchSize,
    CalibrationFile,
    Device,
    Distance,
    Dtype,
    Effort,
    InversionSteps,
    MaxPixels,
    Methods,
    Mode,
    Models,
    Paths,
    Quiet,
    RealStep,
    Workers,
    flag,
    split,
)
from recon_detect.cli.hits import ONLY, Hits
from recon_detect.cli.loading import check_names, load
from recon_detect.errors import UsageError
from recon_detect.methods import DEFAULT_METHOD
from recon_detect.names import counted
from recon_detect.settings import DEFAULTS, DetectorOptions, Inversion

if TYPE_CHECKING:
    from recon_detect.cli.sources import Sources
    from recon_detect.cli.tables import Tally
    from recon_detect.cli.team import Team
    from recon_detect.detector import Detector
    from recon_detect.output import Journal

# As many images, or fewer, are explained in full below the table.
_EXPLAINED = 3

Output: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Write results to this .jsonl, .csv or .parquet file. A run that was interrupted is resumed.",
    ),
]
CsvSafe: TypeAlias = Annotated[
    bool,
    flag(
        "--csv-safe",
        help="Put ' before cells of the .csv file that a spreadsheet would take for a formula.",
        panel=OUTPUT,
    ),
]
Overwrite: TypeAlias = Annotated[
    bool, flag("--overwrite", help="Replace results of other images or settings.", panel=OUTPUT)
]
RetryFailed: TypeAlias = Annotated[
    bool, flag("--retry-failed", help="Score images again that failed in the run that is resumed.", panel=OUTPUT)
]
Maps: TypeAlias = Annotated[
    Path | None, typer.Option(help="Write a heat map of each image into this folder.", rich_help_panel=OUTPUT)
]
Compat: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="'published' reproduces the numbers of the authors' code, with --method aeroblade.",
        rich_help_panel=ADVANCED,
    ),
]
Prompt: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Text that a latent diffusion model is conditioned on, with --method deep.", rich_help_panel=ADVANCED
    ),
]
ExifOrientation: TypeAlias = Annotated[
    bool, flag("--exif-orientation", help="Turn images as their EXIF tag says, before scoring.", panel=INPUT)
]
Classifier: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Folder written by 'convert dire-classifier', for --method dire-resnet.", rich_help_panel=ADVANCED
    ),
]
MiddleSquare: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=8,
        help="Score the middle square of each image, resized to this side as DIRE does. Resizing removes evidence.",
        rich_help_panel=INPUT,
    ),
]
FailOn: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="'generated': exit with code 1 if an image is found to be generated, by --mode, --threshold or "
        "--calibration.",
        rich_help_panel=OUTPUT,
    ),
]
Provenance: TypeAlias = Annotated[
    bool,
    flag(
        "--provenance",
        help="Add what each file says of itself: C2PA, IPTC, prompts, EXIF, JPEG. Changes no score.",
        panel=OUTPUT,
    ),
]
Compile: TypeAlias = Annotated[
    bool,
    flag(
        "--compile", help="Compile diffusion models: a minute at the start, then faster. For long runs.", panel=ADVANCED
    ),
]
Threshold: TypeAlias = Annotated[
    float | None,
    typer.Option(help="Score above which an image counts as generated, instead of --mode.", rich_help_panel=METHOD),
]
Only: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help=f"Show only images with this answer: {', '.join(ONLY)}. --output has all.", rich_help_panel=OUTPUT
    ),
]
CopyTo: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Copy the files of generated images, or of those that --only names, into this folder.",
        rich_help_panel=OUTPUT,
    ),
]
LinkTo: TypeAlias = Annotated[Path | None, typer.Option(help="The same with symbolic links.", rich_help_panel=OUTPUT)]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Destinations of results: files or None, their form, and the use of results that are there already."""

    file: Path | None
    maps: Path | None
    csv_safe: bool
    overwrite: bool
    retry_failed: bool
    as_json: bool
    quiet: bool
    hits: Hits

    def __post_init__(self) -> None:
        if self.csv_safe and (self.file is None or self.file.suffix.lower() != ".csv"):
            raise UsageError("--csv-safe belongs to --output NAME.csv")
        if (self.overwrite or self.retry_failed) and self.file is None:
            raise UsageError("--overwrite and --retry-failed belong to --output")


def score(
    paths: Paths,
    output: Output = None,
    method: Methods = None,
    mode: Mode = DEFAULTS.mode,
    models: Models = None,
    distance: Distance = None,
    effort: Effort = str(DEFAULTS.effort),
    threshold: Threshold = None,
    calibration: CalibrationFile = None,
    only: Only = None,
    copy_to: CopyTo = None,
    link_to: LinkTo = None,
    fail_on: FailOn = None,
    csv_safe: CsvSafe = False,
    overwrite: Overwrite = False,
    retry_failed: RetryFailed = False,
    maps: Maps = None,
    device: Device = DEFAULTS.device,
    dtype: Dtype = DEFAULTS.dtype,
    compat: Compat = None,
    inversion_steps: InversionSteps = DEFAULTS.inversion.steps,
    real_step: RealStep = DEFAULTS.inversion.real_step,
    prompt: Prompt = DEFAULTS.inversion.prompt,
    batch_size: BatchSize = DEFAULTS.batch_size,
    workers: Workers = DEFAULTS.workers,
    max_pixels: MaxPixels = DEFAULTS.max_pixels,
    exif_orientation: ExifOrientation = DEFAULTS.exif_orientation,
    classifier: Classifier = DEFAULTS.classifier,
    middle_square: MiddleSquare = DEFAULTS.middle_square,
    provenance: Provenance = DEFAULTS.provenance,
    compile: Compile = DEFAULTS.compile,
    json_lines: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Score images: higher means more likely generated. 'recon-detect picture.png' is the same.

    Prints a table on a terminal, with an answer in words, and JSON lines into a pipe.

    Examples:
      recon-detect score picture.png

      recon-detect score photos/ --only generated --copy-to found/

      recon-detect score photos/ --output scores.csv --maps maps/

      recon-detect score photos/ --method contrast,hfi,aedr

      recon-detect score dataset/ --models sd1,sd2 --output scores.parquet
    """
    options: DetectorOptions = {
        "method": split(method) or DEFAULT_METHOD,
        "models": split(models),
        "distance": distance,
        "device": device,
        "dtype": dtype,
        "effort": effort,
        "compat": compat,
        "batch_size": batch_size,
        "workers": workers,
        "max_pixels": max_pixels,
        "exif_orientation": exif_orientation,
        "inversion": Inversion(inversion_steps, real_step, prompt),
        "middle_square": middle_square,
        "classifier": classifier,
        "provenance": provenance,
        "compile": compile,
        "mode": mode,
        "threshold": threshold,
    }
    as_json = json_lines or not sys.stdout.isatty()
    outputs = Outputs(output, maps, csv_safe, overwrite, retry_failed, as_json, quiet, Hits(only, copy_to, link_to))
    raise typer.Exit(_score(paths, options, outputs, calibration, fail_on))


def _score(
    paths: list[str], options: DetectorOptions, outputs: Outputs, calibration: str | None, fail_on: str | None
) -> int:
    """Scores, writes and prints; returns the exit code."""
    from recon_detect.cli.sources import Sources
    from recon_detect.output.checks import check_apart, check_file, check_folder

    if fail_on not in (None, "generated"):
        raise UsageError(f"--fail-on {fail_on}: expected 'generated'")
    if calibration and options["threshold"] is not None:
        raise UsageError("--threshold and --calibration both decide; leave one out")
    hush(outputs.quiet)
    methods = check_names(options)
    if fail_on and calibration is None and options["threshold"] is None and not methods[0].data:
        raise UsageError(
            f"--fail-on generated needs a threshold, and {methods[0].name} ships none: add --threshold SCORE, or "
            "--calibration FILE ('recon-detect calibrate' writes it)"
        )
    check_file(outputs.file)
    _check_new(paths, outputs.file)
    check_apart(paths, outputs.maps)
    check_folder(outputs.maps)
    outputs.hits.check(paths)
    sources = Sources(paths)
    with ExitStack() as stack:
        team = _team(options, outputs, stack)
        detector = load(options, calibration)
        if team and team.follows:
            team.follow(detector, sources)
            return 0
        return _lead(detector, sources, outputs, team, fail_on)


def _team(options: DetectorOptions, outputs: Outputs, stack: ExitStack) -> Team | None:
    """The processes that torchrun started, each with a device of its own; None of a process alone.

    Raises:
        UsageError: Scores that depend on the order of all images.
    """
    from recon_detect.engine.ranks import current_rank, device_of

    rank = current_rank()
    if rank.count == 1:
        return None
    from recon_detect.cli.team import Team

    if options["compat"]:
        raise UsageError("--compat published depends on the order of the images: score them with one process")
    options["device"] = device_of(rank, options["device"])
    return stack.enter_context(Team(rank, outputs.file, outputs.maps))


def _lead(detector: Detector, sources: Sources, outputs: Outputs, team: Team | None, fail_on: str | None) -> int:
    """Scores, writes and prints, with the others of a team where there is one; returns the exit code."""
    from recon_detect.answers import FOUND as GENERATED
    from recon_detect.cli.resume import complete_before
    from recon_detect.cli.tables import print_answers, print_claims, print_summary, print_table
    from recon_detect.output import Journal

    # Published scores depend on the files before: an interrupted run of them starts over.
    run, limits = detector.run_info, detector.settings.limits
    resume, file = run.compat is None, outputs.file
    with (
        advising(f"the same command resumes {file}" if file else "with --output it can be resumed"),
        Journal(file, run, limits=limits, resume=resume, csv_safe=outputs.csv_safe)
        if file
        else nullcontext() as journal,
    ):
        if journal and (before := complete_before(journal, sources, outputs)):
            if team:
                team.dismiss()
            images, generated, failed = (before[name] for name in ("images", "likely_generated", "failed"))
            if not outputs.quiet:
                print(f"{file}: already complete: {counted(images, 'image')}, {failed} failed", file=sys.stderr)
        else:
            if journal and team:
                team.lead(detector, sources, journal)
            tally = _run(detector, sources, journal, outputs)
            generated, failed = tally.answers[GENERATED], tally.failed
            if not outputs.as_json:
                print_table(tally.shown, run, more=tally.more)
                if len(tally.shown) <= _EXPLAINED:
                    print_answers(tally.shown, run)
                print_claims(tally.shown)
            if not outputs.quiet:
                print_summary(tally, run, file)
    return FOUND if fail_on and generated else SOME_FAILED if failed else 0


def _check_new(paths: list[str], output: Path | None) -> None:
    """Checks that the output is none of the inputs.

    Raises:
        UsageError: It is one, and would be replaced.
    """
    if output and output.exists() and any(Path(path).exists() and output.samefile(path) for path in paths):
        raise UsageError(f"{output} is given as input too, and would be replaced; choose another output")


def _run(detector: Detector, sources: Sources, journal: Journal | None, outputs: Outputs) -> Tally:
    """Scores into files, or as lines of JSON."""
    from recon_detect.answers import answer_in
    from recon_detect.cli.tables import Tally, print_table
    from recon_detect.output import save_heatmap
    from recon_detect.output.writers import entry_of, json_line

    run, tally = detector.run_info, Tally()
    fingerprint, hits = run.fingerprint, outputs.hits
    progress = False if outputs.quiet else None
    with closing(detector.run(sources, journal, maps=outputs.maps is not None, progress=progress)) as rows:
        for row in rows:
            with naming(row.path):
                kind = answer_in(row, run).kind
                tally.add(row, kind, show=hits.shows(kind))
                if outputs.as_json and not journal and hits.shows(kind):
                    print(json_line(entry_of(row, run, fingerprint)), end="", flush=True)
                try:
                    hits.take(row.path, kind)
                    if outputs.maps:
                        save_heatmap(row, outputs.maps)
                except OSError:  # of a full disk
                    if not outputs.as_json:
                        print_table(tally.shown, run, more=tally.more)
                    raise
    if journal:
        journal.finish()
    return tally
