"""Engines: what computes convolutions on a CPU; measured when a machine first needs it, and remembered there.

``torch`` is float32 in channels-last memory. Two others are float32 by Winograd's algorithm: ``ncnn`` for tiny
autoencoders, and ``winograd`` (`recon_detect.models.winograd`) for networks of many channels. Latents and images
differ from torch's by up to 1e-4, so that scores can be compared.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recon_detect.atomic import replacing
from recon_detect.errors import UsageError
from recon_detect.models.winograd import suits, use_winograd, winograd
from recon_detect.tensors.devices import versions

log = logging.getLogger("recon_detect")

TORCH, NCNN, WINOGRAD = "torch", "ncnn", "winograd"
# Names the engine instead of a measurement; torch computes what that engine does not.
ENGINE_VARIABLE = "RECON_DETECT_ENGINE"
# How many times as fast as torch each has to be: ncnn takes more memory.
WORTH = {NCNN: 1.3, WINOGRAD: 1.2}
_ROUNDS = 3
# Channels and side of the noise that a convolution is measured with, as in the middle of a full-size autoencoder.
_CHANNELS, _SIDE = 256, 128


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine and why it was taken.

    Attributes:
        engine: `TORCH`, `NCNN` or `WINOGRAD`.
        reason: The reason in words.
        seconds: Seconds of each engine for the same noise, where they were measured.
    """

    engine: str
    reason: str
    seconds: dict[str, float] = field(default_factory=dict)


def takes_engines(device: torch.device, dtype: str) -> bool:
    """True where another engine than torch may compute: on a CPU, whose ``"auto"`` is float32."""
    return dtype == "auto" and device.type == "cpu"


def choose_engine(engine: str, work: Callable[[], Mapping[str, Callable[[], object]]]) -> Choice:
    """Torch or another engine for this machine, by measurement or from the file where that was kept.

    Args:
        engine: `NCNN` or `WINOGRAD`; it is taken where it is `WORTH` it.
        work: Makes the same work for torch and for that engine; called where it is measured.

    Raises:
        UsageError: The variable RECON_DETECT_ENGINE names no engine.
    """
    if (named := os.environ.get(ENGINE_VARIABLE) or None) not in (None, TORCH, *WORTH):
        raise UsageError(f"{ENGINE_VARIABLE}={named!r}: expected {TORCH}, {' or '.join(WORTH)}")
    if named not in (None, engine):
        return Choice(TORCH, f"by {ENGINE_VARIABLE}")
    try:
        if engine == NCNN:
            importlib.import_module(NCNN)
    except (ImportError, OSError) as error:
        return Choice(TORCH, f"ncnn cannot be imported ({error}): pip install 'recon-detect[cpu]'")
    if named:
        return Choice(engine, f"by {ENGINE_VARIABLE}")
    path, machine = choices_file(), _machine(engine)
    choices = _read(path)
    if choices.get(machine, {}).keys() != {TORCH, engine}:
        try:
            choices[machine] = _measure(work())
        except (RuntimeError, MemoryError) as error:
            return Choice(TORCH, f"an engine failed when it was measured: {error}")
        _write(path, choices)
    seconds = choices[machine]
    taken = engine if seconds[TORCH] >= WORTH[engine] * seconds[engine] else TORCH
    return Choice(taken, f"{engine} is taken where it is {WORTH[engine]} times as fast; measured on {machine}", seconds)


def choose_for_many_channels() -> Choice:
    """The engine of convolutions of many channels for this machine: `TORCH` or `WINOGRAD`; see `choose_engine`."""
    return choose_engine(WINOGRAD, _work_of_many_channels)


def _work_of_many_channels() -> Mapping[str, Callable[[], object]]:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(1, _CHANNELS, _SIDE, _SIDE, generator=draw).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(_CHANNELS, _CHANNELS, 3, 3, generator=draw).contiguous(memory_format=torch.channels_last)
    return {TORCH: partial(nn.functional.conv2d, x, weight, padding=1), WINOGRAD: partial(winograd, x, weight)}


def use_fastest(module: nn.Module) -> str:
    """Changes a module's convolutions of many channels to be computed by the engine that is chosen, and returns it."""
    if not any(map(suits, module.modules())) or choose_for_many_channels().engine == TORCH:
        return TORCH
    use_winograd(module)
    return WINOGRAD


def choices_file() -> Path:
    """The file in the user's cache folder that keeps the seconds of each engine by machine, versions and threads."""
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return folder / "recon_detect" / "engines.json"


def _machine(engine: str) -> str:
    """The CPU, the versions and the number of threads that a measurement holds for."""
    threads = torch.get_num_threads()
    libraries = f"torch {torch.__version__}, {f'ncnn {versions()[NCNN]}' if engine == NCNN else engine}"
    return f"{_processor()}, {libraries}, {threads} thread{'s' if threads > 1 else ''}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _measure(work: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of the best of some rounds, in which the engines take turns."""
    seconds = dict.fromkeys(work, float("inf"))
    with torch.inference_mode():
        for compute in work.values():
            compute()
        for _ in range(_ROUNDS):
            for name, compute in work.items():
                start = time.perf_counter()
                compute()
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    return {name: round(value, 4) for name, value in seconds.items()}


def _read(path: Path) -> dict[str, dict[str, float]]:
    """Seconds by machine and engine; none of a file that is broken or not there."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(machine): {str(engine): float(value) for engine, value in seconds.items()}
            for machine, seconds in content.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _write(path: Path, choices: dict[str, dict[str, float]]) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(choices, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        log.debug("%s: %s; engines are measured again next time", path, error)
