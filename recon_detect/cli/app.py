"""The commands of ``recon-detect``."""

from __future__ import annotations

from typing import Annotated

import typer

from recon_detect._version import __version__
from recon_detect.cli import convert, grid, methods, models
from recon_detect.cli.audit import audit
from recon_detect.cli.calibrate import calibrate
from recon_detect.cli.demo import demo
from recon_detect.cli.doctor import doctor
from recon_detect.cli.reconstruct import reconstruct
from recon_detect.cli.score import score

app = typer.Typer(
    name="recon-detect",
    help="Detect images made by generative models, without training a network.",
    epilog="Exit codes: 0 done, 1 --fail-on found what it names, 2 wrong usage, "
    "3 some images could not be scored (the others were), 4 weights not available, 5 device or memory, "
    "130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(show: bool) -> None:
    if show:
        print(f"recon-detect {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


for command in (score, calibrate, audit, reconstruct, demo, doctor):
    app.command()(command)
for group, name in ((methods.app, "methods"), (models.app, "models"), (convert.app, "convert"), (grid.app, "grid")):
    app.add_typer(group, name=name)
