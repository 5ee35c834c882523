"""``recon-detect report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from recon_detect.cli.arguments import Quiet, flag
from recon_detect.errors import UsageError
from recon_detect.names import counted, shown
from recon_detect.settings import MODES


def report(
    results: Annotated[
        Path,
        typer.Argument(help="Results of 'score' (.jsonl, .csv or .parquet), or the folder that 'run' wrote into."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page, .html.")] = Path("report.html"),
    mode: Annotated[
        str | None,
        typer.Option(help=f"How surely a trace has to be found: {', '.join(MODES)}. Default: that of the run."),
    ] = None,
    thumbnails: Annotated[
        int, typer.Option(min=0, help="Embed so many pictures, small; the highest scores first. Each takes about 3 kB.")
    ] = 500,
    no_thumbnails: Annotated[bool, flag("--no-thumbnails", help="Embed no picture, and read none.")] = False,
    quiet: Quiet = False,
) -> None:
    """Turn results into a page that sorts, filters and needs nothing else.

    Example:
      recon-detect score photos/ --output scores.csv

      recon-detect report scores.csv --output report.html
    """
    from recon_detect.output.checks import check_file
    from recon_detect.pages import write_report

    if output.suffix.lower() != ".html":
        raise UsageError(f"{output}: expected a name that ends in .html")
    check_file(output)
    count = write_report(results, output, mode=mode, thumbnails=0 if no_thumbnails else thumbnails)
    if not quiet:
        print(shown(f"{counted(count, 'row')} written to {output}"), file=sys.stderr)
