"""Options that several commands have, each with its help."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import typer

from recon_detect.methods import METHODS
from recon_detect.settings import MODES

# Groups of options in the help; those of no group come first.
INPUT, METHOD, OUTPUT, ADVANCED = "Input", "Method", "Output", "Advanced"


def flag(*names: str, help: str, panel: str | None = None) -> Any:
    """An option without a value; its type would only be noise in the help."""
    return typer.Option(*names, metavar="", help=help, rich_help_panel=panel)


Paths: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        help="Images (- for one on stdin), folders (searched recursively), glob patterns, archives (.zip, .tar), "
        "Parquet files with images, list files (.txt), or manifests (.csv, .jsonl or .parquet) with a column 'path' "
        "and optionally 'label'."
    ),
]
Methods: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        "-m",
        help=f"Scoring method: {', '.join(METHODS)}; or a method of your own, FILE.py:NAME or MODULE:NAME. Separate "
        "several by commas: they share one pass, and the first one ranks. Default: trace. "
        "'recon-detect methods list' describes them.",
    ),
]
Models: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--models",
        rich_help_panel=METHOD,
        help="Models: names or sets from 'recon-detect models list', folders, hub ids, or FILE.py:NAME; and a file of "
        "'nulls fit' or 'grid fit'. Separate several by commas, or repeat the option. Default: the method's own; the "
        "default method uses those of the package and downloads nothing.",
    ),
]
Distance: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="How image and reconstruction are compared: lpips_vgg_2, l2, ssim, ... Default: the method's own.",
        rich_help_panel=METHOD,
    ),
]
Device: TypeAlias = Annotated[
    str | None, typer.Option(help="cuda, mps or cpu. Default: the first that is available.", rich_help_panel=ADVANCED)
]
Dtype: TypeAlias = Annotated[
    str, typer.Option(help="Precision: auto, float32, bfloat16 or float16.", rich_help_panel=ADVANCED)
]
Effort: TypeAlias = Annotated[
    str,
    typer.Option(
        help="How much --method trace computes for an image: quick, normal, thorough, or seconds, which make scores "
        "depend on the machine.",
        rich_help_panel=METHOD,
    ),
]
Mode: TypeAlias = Annotated[
    str,
    typer.Option(
        help="How surely a trace has to be found: best-guess, medium or high; by the method's estimate, at most 1 "
        f"photograph in {', '.join(f'{1 / share:.0f}' for share in MODES.values())} is found by mistake."
    ),
]
CalibrationFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="File written by 'calibrate' for the same method and models, or 'shipped': its threshold decides.",
        rich_help_panel=METHOD,
    ),
]
BatchSize: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, help="Images per batch. Default: chosen by the free memory.", rich_help_panel=ADVANCED),
]
Workers: TypeAlias = Annotated[
    int, typer.Option(min=1, help="Threads that read and decode images.", rich_help_panel=ADVANCED)
]
MaxPixels: TypeAlias = Annotated[
    int, typer.Option(min=1, help="Refuse images with more pixels than this.", rich_help_panel=INPUT)
]
InversionSteps: TypeAlias = Annotated[
    int,
    typer.Option(
        min=1,
        help="Steps that a diffusion model takes in each direction, with --method dire or deep.",
        rich_help_panel=ADVANCED,
    ),
]
RealStep: TypeAlias = Annotated[
    int,
    typer.Option(
        min=0,
        help="Take only this number of those steps in each direction, which costs less; 0 takes all of them.",
        rich_help_panel=ADVANCED,
    ),
]
_real = typer.Option("--real", help="Photographs: files, folders, patterns, lists or manifests.")
Real: TypeAlias = Annotated[list[str], _real]
OptionalReal: TypeAlias = Annotated[list[str] | None, _real]
Generated: TypeAlias = Annotated[
    list[str] | None, typer.Option("--generated", help="Generated images; NAME=PATH names their generator.")
]
AsJson: TypeAlias = Annotated[bool, flag("--json", help="Print JSON on a terminal too.", panel=OUTPUT)]
Quiet: TypeAlias = Annotated[
    bool, flag("--quiet", "-q", help="Show no progress bar, remarks or warnings.", panel=OUTPUT)
]


def split(names: list[str] | None) -> list[str] | None:
    """Values of an option that may be repeated, separated by commas, or both."""
    return [part for name in names for part in name.split(",") if part] if names else None
