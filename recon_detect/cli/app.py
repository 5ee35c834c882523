"""The commands of ``recon-detect``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from recon_detect._version import __version__
from recon_detect.cli import DEBUG_VARIABLE, convert, debug, ending, grid, methods, models
from recon_detect.cli.arguments import flag
from recon_detect.cli.audit import audit
from recon_detect.cli.calibrate import calibrate
from recon_detect.cli.demo import demo
from recon_detect.cli.doctor import doctor
from recon_detect.cli.explain import explain
from recon_detect.cli.reconstruct import reconstruct
from recon_detect.cli.report import report
from recon_detect.cli.run import run, status
from recon_detect.cli.score import score


class _Commands(TyperGroup):
    """The commands; interrupts and closed pipes have exit codes of their own."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with ending():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with ending():
            return super().invoke(ctx)


app = typer.Typer(
    name="recon-detect",
    cls=_Commands,
    help="Detect images made by generative models, without training a network.",
    epilog="Exit codes: 0 done, 1 --fail-on found what it names, 2 wrong usage, "
    "3 some images could not be scored (the others were), 4 weights not available, 5 device or memory, "
    "70 a fault of recon-detect, 74 an output could not be written any more, 129, 130 or 143 interrupted, 141 the pipe "
    "was closed.",
    no_args_is_help=True,
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
    show_tracebacks: Annotated[
        bool, flag("--debug", help=f"Show tracebacks, of images that fail too (or set {DEBUG_VARIABLE}=1).")
    ] = False,
) -> None:
    if show_tracebacks:
        debug()


for command in (score, explain, report, run, status, calibrate, audit, reconstruct, demo, doctor):
    app.command()(command)
for group, name in ((methods.app, "methods"), (models.app, "models"), (convert.app, "convert"), (grid.app, "grid")):
    app.add_typer(group, name=name)
