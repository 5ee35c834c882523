"""``recon-detect reconstruct``."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from recon_detect.cli import SOME_FAILED, advising, hush
from recon_detect.cli.arguments import BatchSize, Device, Dtype, InversionSteps, Paths, Quiet, RealStep, flag
from recon_detect.names import shown
from recon_detect.settings import DEFAULTS, DetectorOptions, Inversion


def reconstruct(
    paths: Paths,
    models: Annotated[
        str, typer.Option("--models", help="One model: a folder written by 'convert', a hub id, or a name.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for recons/ and dire/.")],
    legacy_format: Annotated[
        bool,
        flag("--legacy-format", help="Keep each image's own format, also a lossy one, as the published script does."),
    ] = False,
    floats: Annotated[bool, flag("--floats", help="Write safetensors with unrounded values instead of PNG.")] = False,
    inversion_steps: InversionSteps = DEFAULTS.inversion.steps,
    real_step: RealStep = DEFAULTS.inversion.real_step,
    device: Device = DEFAULTS.device,
    dtype: Dtype = DEFAULTS.dtype,
    batch_size: BatchSize = DEFAULTS.batch_size,
    quiet: Quiet = False,
) -> None:
    """Write the reconstructions of images by a model, and the differences (DIRE maps), for training a classifier.

    Images that are done already are left out, so a run that was interrupted is resumed.

    Example:
      recon-detect reconstruct photos/ --models adm256/ --output maps/
    """
    options: DetectorOptions = {
        "method": "dire",
        "models": models,
        "device": device,
        "dtype": dtype,
        "batch_size": batch_size,
        "inversion": Inversion(inversion_steps, real_step),
    }
    raise typer.Exit(run_reconstruct(paths, options, output, legacy=legacy_format, floats=floats, quiet=quiet))


def run_reconstruct(
    paths: list[str], options: DetectorOptions, output: Path, *, legacy: bool, floats: bool, quiet: bool
) -> int:
    """Writes what is not there yet; returns the exit code."""
    from tqdm.auto import tqdm

    from recon_detect.cli.sources import Sources
    from recon_detect.detector import load_detector
    from recon_detect.output import ReconstructionFolder
    from recon_detect.output.checks import check_folder

    hush(quiet)
    check_folder(output)
    sources = Sources(paths)
    folder = ReconstructionFolder.of(output, (source.id for source in sources), legacy=legacy, floats=floats)
    waiting = [source for source in sources if not folder.has(source.id)]
    done = len(sources) - len(waiting)
    if done and not quiet:
        print(f"{done} of {len(sources)} images are done already", file=sys.stderr)
    if not waiting:
        return 0
    detector = load_detector(**options)
    failed = 0
    bar = tqdm(total=len(sources), initial=done, unit="image", disable=True if quiet else None)
    with advising("the same command resumes"), bar, closing(detector.reconstruct(waiting)) as pairs:
        for pair in pairs:
            if pair.error:
                failed += 1
                print(shown(f"{pair.path}: {pair.error}"), file=sys.stderr)
            else:
                folder.add(pair)
            bar.update()
    return SOME_FAILED if failed else 0
