"""Engines: what computes a tiny autoencoder on a CPU; measured when a machine first needs it, and remembered there.

``torch`` is float32 in channels-last memory; ``ncnn`` is float32 by Winograd's algorithm, whose latents and images
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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from recon_detect.atomic import replacing
from recon_detect.errors import UsageError
from recon_detect.tensors.devices import versions

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("recon_detect")

TORCH, NCNN = "torch", "ncnn"
# Names the engine instead of a measurement.
ENGINE_VARIABLE = "RECON_DETECT_ENGINE"
# ncnn takes twice the memory: it has to be so many times as fast.
WORTH = 1.6
# Side in pixels of the noise that engines encode in turn, and how often each does.
_SIDE, _ROUNDS = 192, 3


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine and why it was taken.

    Attributes:
        engine: `TORCH` or `NCNN`.
        reason: The reason in words.
        seconds: Seconds of each engine for an image of 192 px, where they were measured.
    """

    engine: str
    reason: str
    seconds: dict[str, float] = field(default_factory=dict)


def choose_engine(encoders: dict[str, Callable[[Tensor], object]]) -> Choice:
    """The engine for this machine, by measurement or from the file where that was kept: ncnn where it is `WORTH` it.

    Args:
        encoders: What encodes images, by engine.

    Raises:
        UsageError: The variable RECON_DETECT_ENGINE names no engine.
    """
    if (named := os.environ.get(ENGINE_VARIABLE)) not in (None, "", TORCH, NCNN):
        raise UsageError(f"{ENGINE_VARIABLE}={named!r}: expected {TORCH} or {NCNN}")
    if named == TORCH:
        return Choice(TORCH, f"by {ENGINE_VARIABLE}")
    try:
        importlib.import_module("ncnn")
    except (ImportError, OSError) as error:
        return Choice(TORCH, f"ncnn cannot be imported ({error}): pip install 'recon-detect[cpu]'")
    if named == NCNN:
        return Choice(NCNN, f"by {ENGINE_VARIABLE}")
    path, machine = choices_file(), _machine()
    choices = _read(path)
    if machine not in choices:
        try:
            choices[machine] = _measure(encoders)
        except (RuntimeError, MemoryError) as error:
            return Choice(TORCH, f"an engine failed when it was measured: {error}")
        _write(path, choices)
    seconds = choices[machine]
    engine = NCNN if seconds[TORCH] >= WORTH * seconds[NCNN] else TORCH
    return Choice(engine, f"ncnn is taken where it is {WORTH} times as fast; measured on {machine}", seconds)


def choices_file() -> Path:
    """The file in the user's cache folder that keeps the seconds of each engine by machine, versions and threads."""
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return folder / "recon_detect" / "engines.json"


def _machine() -> str:
    """The CPU, the versions and the number of threads that a measurement holds for."""
    threads = torch.get_num_threads()
    libraries = f"torch {torch.__version__}, ncnn {versions()['ncnn']}"
    return f"{_processor()}, {libraries}, {threads} thread{'s' if threads > 1 else ''}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _measure(encoders: dict[str, Callable[[Tensor], object]]) -> dict[str, float]:
    """Seconds of the best of some rounds, in which the engines take turns."""
    x = torch.rand(1, 3, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    seconds = dict.fromkeys(encoders, float("inf"))
    with torch.inference_mode():
        for encode in encoders.values():
            encode(x)
        for _ in range(_ROUNDS):
            for name, encode in encoders.items():
                start = time.perf_counter()
                encode(x)
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    return {name: round(value, 4) for name, value in seconds.items()}


def _read(path: Path) -> dict[str, dict[str, float]]:
    """Seconds by machine and engine; none of a file that is broken or not there."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(machine): {engine: float(seconds[engine]) for engine in (TORCH, NCNN)}
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
