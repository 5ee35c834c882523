"""``recon-detect nulls``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recon_detect.cli import hush
from recon_detect.cli.arguments import Device, Distance, Dtype, Quiet, split
from recon_detect.errors import UsageError
from recon_detect.settings import DEFAULTS, DetectorOptions

if TYPE_CHECKING:
    from recon_detect.detector import Detector

app = typer.Typer(help="Measure what photographs give by models of your own, for --method trace.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `fit` a command of its own name."""


@app.command()
def fit(
    real: Annotated[list[str], typer.Option(help="Photographs, like those that will be scored. Repeat for more.")],
    models: Annotated[
        list[str], typer.Option(help="Autoencoders: names, folders or hub ids. Separate several by commas, or repeat.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, ending in .json.")],
    family: Annotated[
        str | None,
        typer.Option(help="Family of decoders whose sizes and grid they have, such as sdxl. Default: their own."),
    ] = None,
    distance: Distance = None,
    device: Device = DEFAULTS.device,
    dtype: Dtype = DEFAULTS.dtype,
    quiet: Quiet = False,
) -> None:
    """Measure the distribution over photographs of the contrast of a tile, by an autoencoder of your own.

    Without it, --method trace takes the distribution of other autoencoders. A
    run that was interrupted is resumed; scores are kept beside the output.

    Examples:
      recon-detect nulls fit --real photos/ --models my_folder -o nulls.json

      recon-detect score images/ --models my_folder,nulls.json
    """
    hush(quiet)
    names = split(models) or []
    options: DetectorOptions = {"models": names, "device": device, "dtype": dtype, "mode": DEFAULTS.mode}
    content = _fit(real, options, output, family, distance, quiet)
    _report(content, output, names)


def _fit(
    real: list[str], options: DetectorOptions, output: Path, family: str | None, distance: str | None, quiet: bool
) -> dict[str, Any]:
    """Scores the photographs, fits and writes; gives what is written."""
    from recon_detect.atomic import replacing
    from recon_detect.cli.loading import check_names
    from recon_detect.cli.resume import resumed
    from recon_detect.cli.sources import Sources
    from recon_detect.detector import load_detector
    from recon_detect.methods.bound import NULLS_SUFFIX
    from recon_detect.methods.trace.fit import LEAST_PHOTOGRAPHS, fitted, tiles_method
    from recon_detect.output.checks import check_file

    if output.suffix != NULLS_SUFFIX:
        raise UsageError(f"expected an output that ends in {NULLS_SUFFIX}, got {output}")
    options["method"] = tiles_method(distance)
    check_names(options)
    check_file(output)
    photographs = Sources(real, "real")
    if len(photographs) < LEAST_PHOTOGRAPHS:
        raise UsageError(f"expected at least {LEAST_PHOTOGRAPHS} photographs, got {len(photographs)}")
    detector = load_detector(**options)
    with resumed(output, detector) as journal:
        rows = list(detector.run(photographs, journal, progress=False if quiet else None))
        content = fitted(rows, detector.run_info.models, _distances(detector), family)
        journal.finish()
    with replacing(output) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return content


def _distances(detector: Detector) -> list[str]:
    """The distance of each model."""
    (bound,) = detector.methods
    assert bound.nulls is not None
    return [name for (name,) in bound.nulls.distances]


def _report(content: dict[str, Any], output: Path, names: list[str]) -> None:
    from recon_detect.cli.tables import stdout_console
    from recon_detect.names import shown

    console = stdout_console()
    console.print(f"{shown(str(output))}: from {content['photographs']} photographs")
    for row in content["contrast"].values():
        console.print(
            f"  {shown(row['name'])} by {row['distance']}: contrast of a tile {row['mean']:+.3f}, deviation "
            f"{row['deviation']:.3f}"
        )
    console.print(f"Use: recon-detect score IMAGES --models {shown(','.join([*names, str(output)]))}")
