"""``recon-detect models``."""

from __future__ import annotations

from rich.table import Table

from recon_detect.cli.tables import stdout_console
from recon_detect.errors import WeightsCorrupt, WeightsError, WeightsMissing
from recon_detect.models.registry import MODEL_SETS, MODELS, expand
from recon_detect.models.weights import Weights, find_weights, search_folders

_LPIPS = "lpips"


def run_list() -> None:
    """Prints the registry."""
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "what", "licence", "MB", "here"):
        table.add_column(heading, justify="right" if heading == "MB" else "left", overflow="fold")
    for row in MODELS.values():
        gated = ", terms to accept" if row.files and row.files[0].gated else ""
        table.add_row(row.name, row.title, row.licence + gated, str(row.megabytes), _where(row.name))
    console = stdout_console()
    console.print(table)
    for name, members in MODEL_SETS.items():
        console.print(f"\n--models {name} = {','.join(members)}", end="")
    console.print(f"\n\nSearched: {', '.join(map(str, search_folders()))}, then the hub's cache, then the hub.")


def run_download(names: list[str]) -> None:
    """Fetches what is missing."""
    console = stdout_console()
    for name in expand(tuple(names)):
        if name == _LPIPS:
            from recon_detect.models.lpips import LPIPS

            LPIPS("vgg", (1, 2))
            console.print("lpips: the first two layers of VGG16 are here")
        else:
            weights = find_weights(name)
            console.print(f"{name}: {weights.origin} {weights.folder / weights.filename}")


def run_verify(names: list[str] | None) -> int:
    """Checks sums; returns the exit code."""
    console = stdout_console()
    code = 0
    for name in expand(tuple(names or MODELS)):
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
    return code


def _verdict(weights: Weights) -> str:
    row = MODELS.get(weights.name)
    known = row is not None and any((*row.local_sha256, *(file.sha256 for file in row.files)))
    # find_weights has refused the file already if a known sum does not fit.
    return "ok" if known else f"no published sum known, sha256 {weights.sha256}:"


def _where(name: str) -> str:
    try:
        weights = find_weights(name, fetch=False)
    except WeightsCorrupt:
        return "corrupt: see 'models verify'"
    except WeightsMissing:
        return ""
    return str(weights.folder)
