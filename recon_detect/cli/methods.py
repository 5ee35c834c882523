"""``recon-detect methods``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from recon_detect.models.needs import Need

if TYPE_CHECKING:
    from recon_detect.methods import Method

app = typer.Typer(help="Show the scoring methods.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command("list")
def list_methods() -> None:
    """Show the methods by name: what each computes, its paper, what it needs, computes and downloads."""
    from rich.table import Table

    from recon_detect.cli.tables import stdout_console
    from recon_detect.methods import METHODS, find_method

    table = Table(box=None, pad_edge=False)
    for heading in _COLUMNS:
        table.add_column(heading, overflow="fold")
    for method in map(find_method, METHODS):
        table.add_row(*(cell(method) for cell in _COLUMNS.values()))
    stdout_console().print(table)


def _needs(method: Method) -> str:
    """Names the needs of a method, besides the images."""
    return ", ".join(need for need in Need if need in method.needs) or "pixels alone"


def _download(method: Method) -> str:
    """Size of the method's default models."""
    from recon_detect.models.registry import MODELS, expand

    rows = [MODELS[name] for name in expand(method.models)]
    if not method.has_networks:
        return "nothing"
    if not rows:
        return "models of your own"
    megabytes = sum(row.megabytes for row in rows if row.files)
    return f"{megabytes} MB" if megabytes else "in the package"


_COLUMNS: dict[str, Callable[[Method], str]] = {
    "name": lambda method: method.name,
    "what": lambda method: method.title,
    "paper": lambda method: method.paper,
    "needs": _needs,
    "computes for each image and model": lambda method: method.cost,
    "download": _download,
}
