"""``recon-detect grid``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Fit families of decoders for --method grid.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `fit` a command of its own name."""


@app.command()
def fit(
    real: Annotated[list[str], typer.Option(help="Photographs, like those that will be scored. Repeat for more.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, ending in .safetensors.")],
    generated: Annotated[
        list[str] | None, typer.Option(help="Pictures of one generator, as it wrote them: not cropped, not resized.")
    ] = None,
    autoencoder: Annotated[
        str | None, typer.Option(help="Instead: an autoencoder that half of the photographs go through.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the family. Default: that of the autoencoder.")] = None,
) -> None:
    """Fit a family from pictures of a generator whose decoder nobody has, or from an autoencoder.

    Examples:
      recon-detect grid fit --generated fakes/ --real photos/ --name new-service -o new-service.safetensors

      recon-detect grid fit --autoencoder taesd --real photos/ -o taesd.safetensors

      recon-detect score images/ --method grid --models new-service.safetensors
    """
    from recon_detect.cli.tables import stdout_console
    from recon_detect.methods.grid.users import fit_files

    fitted = fit_files(real, output, generated=generated or (), autoencoder=autoencoder, name=name)
    console = stdout_console()
    console.print(f"{output}: {fitted.name}, from {fitted.pictures} pictures against {fitted.photographs} photographs")
    if fitted.auroc is not None:
        console.print(f"each picture left out in turn: AUROC {fitted.auroc:.3f}")
        console.print("Pictures of one prompt or scene help each other: with such, the figure is too good.")
