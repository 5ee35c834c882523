"""The convolutions of VGG16, AlexNet and SqueezeNet that LPIPS looks through, and only those that are needed.

torchvision's VGG16 file is 528 MB; AEROBLADE's layer needs the first four convolutions, 1 MB of it. Searched in this
order: safetensors or torchvision's own file in the folder of RECON_DETECT_WEIGHTS, torch hub's cache, the tensors
fetched before, and at last the hub: byte ranges of a safetensors copy, each tensor checked.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recon_detect.atomic import replacing
from recon_detect.errors import WeightsCorrupt, WeightsMissing
from recon_detect.models import hub
from recon_detect.models.registry import HubFile
from recon_detect.models.tensor_sums import ALEXNET, VGG16
from recon_detect.models.weights import WEIGHTS_VARIABLE, search_folders

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("recon_detect")


@dataclass(frozen=True, slots=True)
class TrunkRow:
    """A trunk: torchvision's file name (its hexadecimal part starts the file's SHA-256), known sums, hub copy."""

    name: str
    torchvision_file: str
    sums: dict[str, str]
    hub: HubFile | None = None


TRUNKS = {
    "vgg": TrunkRow(
        "vgg16",
        "vgg16-397923af.pth",
        VGG16,
        HubFile("timm/vgg16.tv_in1k", "b8d8aa2dd860af9233c8c67385a8097fd6c35d3f", filename="model.safetensors"),
    ),
    "alex": TrunkRow("alexnet", "alexnet-owt-7be5be79.pth", ALEXNET),
    "squeeze": TrunkRow("squeezenet1_1", "squeezenet1_1-b8a52dc0.pth", {}),
}


def find_trunk(net: str, names: tuple[str, ...]) -> dict[str, Tensor]:
    """The named tensors of a trunk in float32.

    Args:
        net: ``"vgg"``, ``"alex"`` or ``"squeeze"``.
        names: torchvision's parameter names, such as ``features.0.weight``.

    Raises:
        WeightsMissing: Found nowhere.
        WeightsCorrupt: A tensor is not what its checksum says.
    """
    row = TRUNKS[net]
    for path in _candidates(row):
        tensors = _read_pickle(path, row, names) if path.suffix == ".pth" else _read_safetensors(path, names)
        if tensors is not None:
            return {name: _checked(tensor, row, name, path) for name, tensor in tensors.items()}
    if row.hub is None:
        raise WeightsMissing(_advice(row, "no copy on the hub is known"))
    try:
        return _fetch(row, row.hub, names)
    except WeightsMissing as error:
        raise type(error)(_advice(row, str(error))) from error


def cache_folder() -> Path:
    """Folder of fetched tensors, beside the hub's cache."""
    from huggingface_hub.constants import HF_HOME

    return Path(HF_HOME) / "recon_detect"


def _candidates(row: TrunkRow) -> Iterator[Path]:
    from torch.hub import get_dir

    for folder in search_folders():
        with suppress(OSError):
            yield from sorted(path for path in folder.glob(f"{row.name}*.safetensors"))
        if (path := folder / row.torchvision_file).is_file():
            yield path
    if (path := Path(get_dir()) / "checkpoints" / row.torchvision_file).is_file():
        yield path
    if (path := cache_folder() / f"{row.name}.safetensors").is_file():
        yield path


def _read_safetensors(path: Path, names: tuple[str, ...]) -> dict[str, Tensor] | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            if not set(names) <= set(file.keys()):
                return None
            return {name: file.get_tensor(name).float() for name in names}
    except SafetensorError as error:
        raise WeightsCorrupt(f"{path}: not a safetensors file ({error}); remove it") from error


def _read_pickle(path: Path, row: TrunkRow, names: tuple[str, ...]) -> dict[str, Tensor]:
    """Torchvision's file: only after its checksum, and only tensors (``weights_only``)."""
    import torch

    expected = row.torchvision_file.rsplit("-", 1)[1].removesuffix(".pth")
    if not (got := hub.sha256_of(path)).startswith(expected):
        raise WeightsCorrupt(f"{path}: expected a sha256 that starts with {expected}, got {got}; remove the file")
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: state[name].float().clone() for name in names}


def _checked(tensor: Tensor, row: TrunkRow, name: str, path: Path) -> Tensor:
    expected = row.sums.get(name)
    if expected and (got := hashlib.sha256(tensor.numpy().tobytes()).hexdigest()) != expected:
        raise WeightsCorrupt(f"{path}: tensor {name}: expected sha256 {expected}, got {got}; remove the file")
    return tensor


def _fetch(row: TrunkRow, file: HubFile, names: tuple[str, ...]) -> dict[str, Tensor]:
    """Fetches missing tensors and stores them beside those that were fetched before."""
    from safetensors.torch import load_file, save_file

    path = cache_folder() / f"{row.name}.safetensors"
    cached: dict[str, Tensor] = load_file(path) if path.is_file() else {}
    missing = {name: row.sums.get(name) for name in names if name not in cached}
    log.info("fetching %d tensors of %s from %s", len(missing), row.name, file.repo)
    cached |= hub.fetch_tensors(file, file.filename, missing)
    with replacing(path) as temporary:
        save_file(cached, temporary)
    return {name: cached[name] for name in names}


def _advice(row: TrunkRow, problem: str) -> str:
    looked = ", ".join(str(folder) for folder in search_folders())
    return (
        f"no weights of {row.name} for LPIPS: {problem}. Looked in {looked} for {row.name}*.safetensors and "
        f"{row.torchvision_file}, and in torch hub's cache. Run 'recon-detect models download lpips' where the hub is "
        f"reachable, or put torchvision's {row.torchvision_file} into a folder and set {WEIGHTS_VARIABLE} to it"
    )
