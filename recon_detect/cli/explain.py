"""``recon-detect explain``."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from recon_detect.cli import hush
from recon_detect.cli.arguments import (
    CalibrationFile,
    Device,
    Dtype,
    Effort,
    MaxPixels,
    Methods,
    Mode,
    Models,
    Quiet,
    flag,
    split,
)
from recon_detect.errors import UsageError
from recon_detect.methods import DEFAULT_METHOD
from recon_detect.names import shown
from recon_detect.settings import DEFAULTS, DetectorOptions


def explain(
    image: Annotated[str, typer.Argument(help="One image: a file, or an address that 'score' takes too.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The page, .html; or picture, map and answer as one .png.")
    ] = Path("explanation.html"),
    effort: Effort = str(DEFAULTS.effort),
    mode: Mode = DEFAULTS.mode,
    method: Methods = None,
    models: Models = None,
    calibration: CalibrationFile = None,
    device: Device = DEFAULTS.device,
    dtype: Dtype = DEFAULTS.dtype,
    max_pixels: MaxPixels = DEFAULTS.max_pixels,
    no_claims: Annotated[
        bool, flag("--no-claims", help="Leave out what the file says of itself, such as a prompt or a camera.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Explain the answer for one image, as a page that needs nothing else.

    Examples:
      recon-detect explain picture.png

      recon-detect explain picture.png --effort thorough --output picture.html
    """
    from recon_detect.cli.loading import load
    from recon_detect.output.checks import check_file
    from recon_detect.pages import explain

    hush(quiet)
    if output.suffix.lower() not in (".html", ".png"):
        raise UsageError(f"{output}: expected a name that ends in .html or .png")
    check_file(output)
    options: DetectorOptions = {
        "method": split(method) or DEFAULT_METHOD,
        "models": split(models),
        "device": device,
        "dtype": dtype,
        "effort": effort,
        "mode": mode,
        "max_pixels": max_pixels,
    }
    explanation = explain(image, detector=load(options, calibration), claims=not no_claims)
    if calibration:  # a detector has its values, and no longer where they came from
        option = f"--calibration {shlex.quote(calibration)}"
        explanation = replace(explanation, command=f"{explanation.command} {option}")
    explanation.save(output)
    if not quiet:
        print(shown(explanation.answer.headline))
        print(shown(f"written to {output}"), file=sys.stderr)
