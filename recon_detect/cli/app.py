"""The commands of ``recon-detect``."""

from __future__ import annotations

import glob
import os
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from recon_detect._version import __version__
from recon_detect.cli import DEBUG_VARIABLE, convert, debug, ending, grid, methods, models, nulls
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
from recon_detect.cli.serve import serve


class _Commands(TyperGroup):
    """The commands; interrupts and closed pipes have exit codes of their own, and what is an image is scored."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = next((place for place, text in enumerate(args) if text == "-" or not text.startswith("-")), None)
        if first is not None and args[first] not in self.commands and _is_image(args[first]):
            args = [*(text for text in args[:first] if text == "--debug"), "score",
                    *(text for text in args[:first] if text != "--debug"), *args[first:]]  # fmt: skip
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> Any:
        params = super().get_params(ctx)
        for option in params:  # --help, and those of the completion, show no type either
            option.metavar = ""
        return params

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with ending():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with ending():
            return super().invoke(ctx)


class _Command(TyperCommand):
    """A command; its --help shows no type, as no option without a value does."""

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        if option is not None:
            option.metavar = ""
        return option


def _is_image(text: str) -> bool:
    """True for what can only be meant as the path of images: there, a pattern, or with a folder or a suffix."""
    return text == "-" or os.path.lexists(text) or glob.has_magic(text) or os.sep in text or "." in text


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


for command in (score, explain, report, serve, run, status, calibrate, audit, reconstruct, demo, doctor):
    app.command(cls=_Command)(command)
for group, name in (
    (methods.app, "methods"),
    (models.app, "models"),
    (convert.app, "convert"),
    (grid.app, "grid"),
    (nulls.app, "nulls"),
):
    app.add_typer(group, name=name)
