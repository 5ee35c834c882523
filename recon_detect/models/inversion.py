"""Deterministic inversion and sampling of pixel-space diffusion models, as pure functions of a noise predictor.

Two conventions: that of DIRE (Wang et al., ICCV 2023), which is that of guided-diffusion's DDIM loops, and the standard
DDIM (Song et al., 2021, eq. 12), whose inversion starts at the image as a clean sample and takes each step's noise at
the time that it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from recon_detect.errors import UsageError
from recon_detect.tensors.devices import sum_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    # Maps images (B, 3, H, W) and a time of the training schedule to the predicted noise (B, 3, H, W).
    NoisePredictor = Callable[[Tensor, int], Tensor]
    # Called after each step with its index and the images.
    Callback = Callable[[int, Tensor], None]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The times at which a model is asked, and how much of the image is left at each.

    Attributes:
        times: (N,) ascending, of the training schedule.
        alpha_bar: (N,) cumulative product of 1 - beta at each time, float64.
    """

    times: tuple[int, ...]
    alpha_bar: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.times)


def betas(name: str, steps: int, *, start: float = 1e-4, end: float = 2e-2) -> NDArray[np.float64]:
    """The betas of a training schedule, float64.

    Args:
        name: ``"linear"`` (Ho et al., 2020; for other than 1000 steps scaled as guided-diffusion does) or ``"cosine"``
            (Nichol and Dhariwal, 2021, eq. 17).
        steps: Steps of the training schedule.
        start: First beta of the linear schedule at 1000 steps.
        end: Last.

    Raises:
        UsageError: An unknown name.
    """
    if name == "linear":
        return np.linspace(start * 1000 / steps, end * 1000 / steps, steps, dtype=np.float64)
    if name == "cosine":
        edges = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
        result: NDArray[np.float64] = np.minimum(1 - edges[1:] / edges[:-1], 0.999)
        return result
    raise UsageError(f"unknown schedule {name!r}; known: linear, cosine")


def respaced(training: NDArray[np.float64], count: int) -> Schedule:
    """Every n-th time from 0 on: guided-diffusion's ``ddimCOUNT``.

    Args:
        training: Betas of the training schedule.
        count: Number of times; there must be a whole number n that gives as many.

    Raises:
        UsageError: No stride gives that many.
    """
    steps = len(training)
    # The smallest that does: of several, guided-diffusion takes the first.
    stride = next((n for n in range(1, steps) if len(range(0, steps, n)) == count), None)
    if stride is None:
        raise UsageError(f"no stride gives {count} of {steps} times; try {_near(steps, count)}")
    times = tuple(range(0, steps, stride))
    return Schedule(times, np.cumprod(1 - training, dtype=np.float64)[list(times)])


def _near(steps: int, count: int) -> str:
    possible = {len(range(0, steps, stride)) for stride in range(1, steps)}
    below, above = (
        max((n for n in possible if n < count), default=1), min((n for n in possible if n > count), default=steps)
    )  # fmt: skip
    return f"{below} or {above}"


def dire_inversion(
    predict: NoisePredictor, x: Tensor, schedule: Schedule, *, steps: int = 0, callback: Callback | None = None
) -> Tensor:
    """DIRE's way from an image to noise, N evaluations.

    Step i predicts the noise at time i, clips the image that this implies to [-1, 1], derives the noise anew from the
    clipped image, and goes to time i + 1; the last step goes to pure noise (alpha-bar 0).

    Args:
        predict: The model.
        x: Images (B, 3, H, W) in [-1, 1], taken as samples of the first time.
        schedule: Schedule of N times.
        steps: Number of the first steps to take (``real_step`` of the authors' script); 0 takes all.
        callback: Sees every step.
    """
    for index in range(len(schedule))[: steps or None]:
        alpha_bar = float(schedule.alpha_bar[index])
        alpha_bar_next = float(schedule.alpha_bar[index + 1]) if index + 1 < len(schedule) else 0.0
        x_0, eps = _clipped(predict(x, schedule.times[index]), x, alpha_bar)
        x = alpha_bar_next**0.5 * x_0 + (1 - alpha_bar_next) ** 0.5 * eps
        if callback:
            callback(index, x)
    return x


def dire_sampling(
    predict: NoisePredictor, x: Tensor, schedule: Schedule, *, steps: int = 0, callback: Callback | None = None
) -> Tensor:
    """DIRE's way back, N evaluations: DDIM without noise, the implied image clipped in each step.

    Args:
        predict: The model.
        x: Noise (B, 3, H, W) of `dire_inversion`.
        schedule: Schedule of N times.
        steps: Number of the time to begin at, downwards, as in `dire_inversion`; 0 takes all.
        callback: Sees every step.
    """
    for index in reversed(range(len(schedule))[: steps or None]):
        alpha_bar_before = float(schedule.alpha_bar[index - 1]) if index else 1.0
        x_0, eps = _clipped(predict(x, schedule.times[index]), x, float(schedule.alpha_bar[index]))
        x = alpha_bar_before**0.5 * x_0 + (1 - alpha_bar_before) ** 0.5 * eps
        if callback:
            callback(index, x)
    return x


def ddim_inversion(
    predict: NoisePredictor, x: Tensor, schedule: Schedule, *, steps: int = 0, callback: Callback | None = None
) -> Tensor:
    """Standard DDIM inversion: from clean images or latents to the last time of the schedule, nothing clipped.

    Args:
        predict: The model.
        x: Images or latents (B, C, H, W).
        schedule: Schedule of N times.
        steps: Number of the first steps to take; 0 takes all.
        callback: Sees every step.
    """
    for index, (alpha_bar, alpha_bar_next) in list(enumerate(_edges(schedule)))[: steps or None]:
        x = _ddim_step(predict, x, schedule.times[index], alpha_bar, alpha_bar_next)
        if callback:
            callback(index, x)
    return x


def ddim_sampling(
    predict: NoisePredictor, x: Tensor, schedule: Schedule, *, steps: int = 0, callback: Callback | None = None
) -> Tensor:
    """Standard DDIM sampling with eta = 0: from the time where `ddim_inversion` with as many `steps` ended."""
    for index, (alpha_bar_before, alpha_bar) in reversed(list(enumerate(_edges(schedule)))[: steps or None]):
        x = _ddim_step(predict, x, schedule.times[index], alpha_bar, alpha_bar_before)
        if callback:
            callback(index, x)
    return x


def step_error(predict: NoisePredictor, x: Tensor, schedule: Schedule, *, step: int) -> Tensor:
    """Mean square (B,) of what one step there and back changes after `step` steps of inversion; `step` + 2 evaluations.

    The stepwise error of SeDID (Ma et al., 2023, arXiv:2307.06272).

    Raises:
        UsageError: The schedule has no such step.
    """
    if step >= len(schedule.times):
        raise UsageError(
            f"expected more than {step} inversion steps, got {len(schedule.times)}: raise --inversion-steps"
        )
    x = ddim_inversion(predict, x, schedule, steps=step) if step else x
    alpha_bar, alpha_bar_next = list(_edges(schedule))[step]
    there = _ddim_step(predict, x, schedule.times[step], alpha_bar, alpha_bar_next)
    back = _ddim_step(predict, there, schedule.times[step], alpha_bar_next, alpha_bar)
    return (back - x).square().mean(dim=(1, 2, 3), dtype=sum_dtype(x.device))


def _edges(schedule: Schedule) -> Iterator[tuple[float, float]]:
    """alpha_bar before and after each step of an inversion that starts at a clean image."""
    return pairwise((1.0, *schedule.alpha_bar.tolist()))


def _ddim_step(predict: NoisePredictor, x_t: Tensor, time: int, alpha_bar: float, alpha_bar_to: float) -> Tensor:
    """Moves x_t from alpha_bar to alpha_bar_to along the noise predicted at `time` (Song et al., 2021, eq. 12)."""
    eps = predict(x_t, time)
    x_0 = (x_t - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5
    x_to: Tensor = alpha_bar_to**0.5 * x_0 + (1 - alpha_bar_to) ** 0.5 * eps
    return x_to


def _clipped(eps: Tensor, x_t: Tensor, alpha_bar: float) -> tuple[Tensor, Tensor]:
    """x_0 as eps implies it, clipped to [-1, 1], and the eps that the clipped x_0 implies."""
    x_0 = ((x_t - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5).clamp(-1, 1)
    return x_0, (x_t / alpha_bar**0.5 - x_0) / (1 / alpha_bar - 1) ** 0.5


def noise_error(predict: NoisePredictor, x_0: Tensor, alpha_bar: float, time: int, *, draws: int) -> Tensor:
    """Mean squared error of the predicted noise, mean over `draws` noises: (B,).

    Args:
        predict: The noise in (B, C, h, w) at a time.
        x_0: Images or latents (B, C, h, w).
        alpha_bar: Cumulated alpha at that time.
        time: Time of the training schedule.
        draws: The noises are the same for every image of a size, and on every call.
    """
    generator = torch.Generator().manual_seed(0)
    errors = []
    for _ in range(draws):
        eps = torch.randn(x_0.shape[1:], generator=generator).to(x_0).expand_as(x_0)
        x_t = alpha_bar**0.5 * x_0 + (1 - alpha_bar) ** 0.5 * eps
        errors.append((predict(x_t, time) - eps).square().mean(dim=(1, 2, 3), dtype=sum_dtype(x_0.device)))
    return torch.stack(errors).mean(dim=0)
