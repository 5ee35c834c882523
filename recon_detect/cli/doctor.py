"""``recon-detect doctor``."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from recon_detect.cli import INTERNAL
from recon_detect.errors import ReconDetectError, WeightsMissing

if TYPE_CHECKING:
    from recon_detect.models.engines import Choice


def doctor() -> None:
    """Check the installation: versions, devices, torchvision, LPIPS, weights, cache."""
    from rich.text import Text

    from recon_detect.cli.tables import stdout_console

    console = stdout_console()
    code = 0
    for name, check in _CHECKS.items():
        try:
            console.print(Text("ok ", style="green"), f"{name}: {check()}")
        except ReconDetectError as error:
            console.print(Text("bad", style="red"), f"{name}: {error}")
            code = code or error.exit_code
        except ImportError as error:
            console.print(Text("bad", style="red"), f"{name}: {error}")
            code = code or INTERNAL
    raise typer.Exit(code)


def _python() -> str:
    import psutil

    memory = psutil.virtual_memory()
    return (
        f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free"
    )


def _packages() -> str:
    from recon_detect.tensors.devices import versions

    return ", ".join(f"{name} {version}" for name, version in versions().items())


def _torchvision() -> str:
    from recon_detect.models.torchvision_guard import hide_broken_torchvision

    if (problem := hide_broken_torchvision()) is not None:
        return f"installed but broken, treated as not installed ({problem})"
    return "works" if importlib.util.find_spec("torchvision") else "not installed, and not needed"


def _device() -> str:
    import torch

    from recon_detect.tensors.devices import find_device, has_bfloat16

    device = find_device(None)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return f"{device} ({name}, --dtype bfloat16 is {'faster' if has_bfloat16(device) else 'slower'} than float32 on it)"


def _engine() -> str:
    import torch

    from recon_detect.methods import DEFAULT_METHOD, find_method
    from recon_detect.models.autoencoders import Autoencoder
    from recon_detect.models.engines import choose_for_many_channels
    from recon_detect.models.loading import load_reconstructor
    from recon_detect.models.registry import expand
    from recon_detect.models.weights import find_weights

    name = expand(find_method(DEFAULT_METHOD).models)[0]
    model = load_reconstructor(find_weights(name, fetch=False), torch.device("cpu"))
    assert isinstance(model, Autoencoder) and model.choice
    choices = {"tiny autoencoders": model.choice, "convolutions of many channels": choose_for_many_channels()}
    return "; ".join(f"{choice.engine} computes {what} on the CPU ({_why(choice)})" for what, choice in choices.items())


def _why(choice: Choice) -> str:
    return choice.reason + "".join(f", {engine} {value:.3f} s" for engine, value in choice.seconds.items())


def _diffusers() -> str:
    from recon_detect.models.torchvision_guard import hide_broken_torchvision

    hide_broken_torchvision()
    from diffusers import AutoencoderKL, AutoencoderTiny

    return f"{AutoencoderKL.__name__} and {AutoencoderTiny.__name__} import"


def _lpips() -> str:
    from recon_detect.models.lpips import LPIPS

    try:
        LPIPS("vgg", (2,))
    except WeightsMissing:
        return "not here, and not needed by the default; 'recon-detect models download lpips' fetches it"
    return "heads and the first two layers of VGG16 are here and have the right sums"


def _weights() -> str:
    from recon_detect.methods import DEFAULT_METHOD, find_method
    from recon_detect.models.registry import expand
    from recon_detect.models.weights import find_weights

    every = [find_weights(name, fetch=False) for name in expand(find_method(DEFAULT_METHOD).models)]
    return ", ".join(f"{weights.name} in {weights.folder}" for weights in every)


def _hub() -> str:
    from huggingface_hub import constants, is_offline_mode

    mode = "offline mode is on" if is_offline_mode() else "online mode"
    return f"{mode}, cache {constants.HF_HUB_CACHE}, endpoint {constants.ENDPOINT} (not contacted)"


_CHECKS: dict[str, Callable[[], str]] = {
    "python": _python,
    "packages": _packages,
    "torchvision": _torchvision,
    "device": _device,
    "diffusers": _diffusers,
    "engine": _engine,
    "hub": _hub,
    "lpips": _lpips,
    "default models": _weights,
}
