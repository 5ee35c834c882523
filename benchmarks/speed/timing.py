"""Clocks, and what a machine can do at most."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch

# Sides of the matrices whose product is timed.
SIDES = {"cuda": 8192, "mps": 4096, "cpu": 2048}


def synchronize(device: torch.device) -> None:
    """Waits for what a GPU has been told to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(function: Callable[[], object], device: torch.device, *, cpu: bool = False) -> float:
    """Seconds that pass, or seconds of all cores of this process, which other programs change less."""
    now = time.process_time if cpu else time.perf_counter
    started = now()
    function()
    synchronize(device)
    return now() - started


def peak(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a large matrix product in this precision, the best of ten."""
    side = SIDES[device.type]
    a = torch.randn(side, side, device=device).to(dtype)
    seconds(lambda: a @ a, device)
    return 2 * side**3 / min(seconds(lambda: a @ a, device) for _ in range(10))


def precision(dtype: str) -> torch.dtype:
    """The precision of this package's convolutions by a value of `dtype`; ``"auto"`` is float32 on a CPU."""
    return torch.float32 if dtype == "auto" else getattr(torch, dtype)


def hardware(device: torch.device) -> str:
    """Hardware in words, with the version of torch that used it."""
    kind = f"{os.cpu_count()} cores {platform.machine()}, {torch.get_num_threads()} threads"
    if device.type == "cuda":
        kind = torch.cuda.get_device_name(device)
    return f"{kind}; torch {torch.__version__}"


class Clock:
    """Seconds by stage, of the process where `cpu`; stages of several threads add up."""

    def __init__(self, device: torch.device, *, cpu: bool = False) -> None:
        self.stages: defaultdict[str, float] = defaultdict(float)
        self._now = time.process_time if cpu else time.perf_counter
        self._device = device
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Counts what happens inside as a stage."""
        synchronize(self._device)
        started = self._now()
        try:
            yield
        finally:
            synchronize(self._device)
            with self._lock:
                self.stages[stage] += self._now() - started

    def timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """The function, under the clock."""

        def call(*arguments: Any, **options: Any) -> Any:
            with self(stage):
                return function(*arguments, **options)

        return call


@contextmanager
def under(clock: Clock, *stages: tuple[Any, str, str]) -> Iterator[None]:
    """Puts functions under a clock: what they are attributes of, their name there, and the stage."""
    with ExitStack() as stack:
        for owner, name, stage in stages:
            stack.enter_context(mock.patch.object(owner, name, clock.timed(getattr(owner, name), stage)))
        yield


@dataclass(frozen=True, slots=True)
class Way:
    """One way from images to scores.

    Attributes:
        run: Does it, with its stages under a clock; returns scores (N,), higher for generated.
        dtype: Precision of its convolutions.
        work: Operations of convolutions and matrix products; None where they can be counted as it runs.
        like: Name of a way with the same operations, where they cannot.
        alike: Whether its scores are those of the first way; False of another method.
    """

    run: Callable[[Clock], np.ndarray[Any, Any]]
    dtype: torch.dtype
    work: float | None = None
    like: str | None = None
    alike: bool = True


def rounds_of(
    rounds: int, ways: Mapping[str, Callable[[Clock], object]], device: torch.device, *, cpu: bool = False
) -> dict[str, list[tuple[float, Clock]]]:
    """The time and the clock of each way in each round; all ways in turn in each."""
    taken: dict[str, list[tuple[float, Clock]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            clock = Clock(device, cpu=cpu)
            taken[name].append((seconds(partial(way, clock), device, cpu=cpu), clock))
    return taken
