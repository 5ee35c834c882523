"""``recon-detect models``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recon_detect.cli.arguments import split
from recon_detect.errors import WeightsCorrupt, WeightsError, WeightsMissing
from recon_detect.models.registry import MODEL_SETS, MODELS, expand

if TYPE_CHECKING:
    from recon_detect.models.weights import Weights

app = typer.Typer(help="Show, fetch and check pretrained weights.", no_args_is_help=True)

_LPIPS = "lpips"


@app.command("list")
def list_models() -> None:
    """Show the models by name, and which of them are on this machine."""
    from rich.table import Table

    from recon_detect.cli.tables import stdout_console
    from recon_detect.models.weights import search_folders

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "what", "licence", "MB", "here"):
        table.add_column(heading, justify="right" if heading == "MB" else "left", overflow="fold")
    for row in MODELS.values():
        gated = ", terms to accept" if any(file.gated for file in row.files[:1]) else ""
        table.add_row(row.name, row.title, row.licence + gated, str(row.megabytes), _where(row.name))
    console = stdout_console()
    console.print(table)
    for name, members in MODEL_SETS.items():
        console.print(f"\n--models {name} = {','.join(members)}", end="")
    console.print(f"\n\nSearched: {', '.join(map(str, search_folders()))}, then the hub's cache, then the hub.")


@app.command("download")
def download_models(
    names: Annotated[list[str], typer.Argument(help="Names, sets ('tiny', 'full'), hub ids, or 'lpips'.")],
) -> None:
    """Fetch weights from the hub, and nothing but the autoencoder. A broken transfer is resumed."""
    from recon_detect.cli.tables import stdout_console
    from recon_detect.models.weights import find_weights

    console = stdout_console()
    for name in expand(tuple(split(names) or ())):
        if name == _LPIPS:
            from recon_detect.models.lpips import LPIPS

            LPIPS("vgg", (1, 2))
            console.print("lpips: the first two layers of VGG16 are here")
        else:
            weights = find_weights(name)
            console.print(f"{name}: {weights.origin} {weights.folder / weights.filename}")


@app.command("verify")
def verify_models(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names or sets. Default: all that are on this machine.")
    ] = None,
) -> None:
    """Check the SHA-256 of weights on this machine."""
    from recon_detect.cli.tables import stdout_console
    from recon_detect.models.weights import find_weights

    console = stdout_console()
    code = 0
    for name in expand(tuple(split(names) or MODELS)):
        try:
            weights = find_weights(name, fetch=False)
        except WeightsMissing:
            if names:
                console.print(f"{name}: not on this machine")
                code = WeightsMissing.exit_code
        except WeightsError as error:
            console.print(f"{name}: {error}")
            code = error.exit_code
        else:
            console.print(f"{name}: {_verdict(weights)} {weights.folder / weights.filename}")
    raise typer.Exit(code)


def _verdict(weights: Weights) -> str:
    row = MODELS.get(weights.name)
    published = row is not None and any((*row.local_sha256, *(file.sha256 for file in row.files)))
    # find_weights has refused the file already if a published sum does not fit.
    return "ok" if published else f"no published sum known, sha256 {weights.sha256}:"


def _where(name: str) -> str:
    from recon_detect.models.weights import find_weights

    try:
        weights = find_weights(name, fetch=False)
    except WeightsCorrupt:
        return "corrupt: see 'models verify'"
    except WeightsMissing:
        return ""
    return str(weights.folder)
