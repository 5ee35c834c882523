"""Families of decoders as data: the mean table of their pictures, and how photographs compare with these.

One safetensors file holds some families, and that of the package the whitening of all of them too. Only statistics of
pictures are kept, never pictures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import save_file
from torch import Tensor

from recon_detect.atomic import replacing
from recon_detect.errors import UsageError, WeightsCorrupt
from recon_detect.methods.grid.null import Null
from recon_detect.methods.grid.statistic import FEATURES, PERIOD
from recon_detect.methods.grid.whitening import Whitening

SHIPPED = Path(__file__).parent / "families.safetensors"
_CARD = "card"
_WHITENING, _HARMONICS = "whitening.features", "whitening.harmonics"


@dataclass(frozen=True, slots=True)
class Family:
    """The pictures of one decoder.

    Attributes:
        name: Of the decoder or, with "images:" before it, of the generator.
        template: (F, 8, 8), whitened, of norm 1.
        nulls: By scale, 1 first, how photographs compare with the template once they are brought to it.
        card: What it was made from: JSON values.
    """

    name: str
    template: Tensor
    nulls: Mapping[float, Null]
    card: Mapping[str, Any]

    @property
    def scales(self) -> tuple[float, ...]:
        """By which pictures are scaled before they are compared."""
        return tuple(self.nulls)


def read_whitening(path: Path = SHIPPED) -> Whitening:
    """The whitening of the package."""
    with safetensors.safe_open(path, framework="pt") as file:
        return Whitening(file.get_tensor(_WHITENING), file.get_tensor(_HARMONICS))


@cache
def read_families(path: Path = SHIPPED) -> tuple[Family, ...]:
    """The families of a file.

    Raises:
        UsageError: No such file, or one that was fitted with another whitening than that of the package or its own.
        WeightsCorrupt: It holds something else.
    """
    if not path.is_file():
        raise UsageError(f"no such file of families: {path}; 'recon-detect grid fit' makes one")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {})[_CARD])
            families = tuple(
                Family(
                    name,
                    file.get_tensor(f"template.{name}").float(),
                    {float(scale): _null(row) for scale, row in entry["nulls"].items()},
                    entry["card"],
                )
                for name, entry in card["families"].items()
            )
            expected = card["whitening"]
            whitening = read_whitening(path if _WHITENING in file.keys() else SHIPPED)  # noqa: SIM118
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsCorrupt(f"{path} holds no families of 'recon-detect grid fit' ({error})") from error
    for family in families:
        if family.template.shape != (FEATURES, PERIOD, PERIOD):
            raise WeightsCorrupt(f"{path}: {family.name} has a template of shape {tuple(family.template.shape)}")
    if expected != digest(whitening):
        raise UsageError(f"{path} was fitted with another version of the package: run 'recon-detect grid fit' again")
    return families


def write_families(path: Path, families: Sequence[Family], whitening: Whitening, *, ship: bool = False) -> None:
    """Writes what `read_families` reads; with the whitening itself if it is the file to `ship`."""
    tensors = {f"template.{family.name}": family.template.half().contiguous() for family in families}
    if ship:
        tensors |= {_WHITENING: whitening.features, _HARMONICS: whitening.harmonics}
    card = {
        "whitening": digest(whitening),
        "families": {
            family.name: {
                "nulls": {str(scale): asdict(null) for scale, null in family.nulls.items()},
                "card": dict(family.card),
            }
            for family in families
        },
    }
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={_CARD: json.dumps(card)})


def digest(whitening: Whitening) -> str:
    """Twelve hexadecimal digits of a whitening."""
    parts = (whitening.features, whitening.harmonics)
    return hashlib.sha256(b"".join(part.contiguous().numpy().tobytes() for part in parts)).hexdigest()[:12]


def _null(row: Mapping[str, Any]) -> Null:
    bounds = tuple((low, high) for low, high in row["bounds"])
    return Null(tuple(map(tuple, row["trend"])), bounds, tuple(row["spread"]), tuple(row["freedom"]))
