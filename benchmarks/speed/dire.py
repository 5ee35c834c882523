"""The published schedule of DIRE beside this package's.

It takes one image through all evaluations of the network before the next, in float32 on a CPU and in float16 on a GPU,
with the weights in channels-first memory. Time does not depend on the values of the weights, so a network of random
weights with OpenAI's architecture does where the pretrained one is not here.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.timing import Clock, Way, precision, under
from recon_detect import Detector, load_detector
from recon_detect.models.converters.guided_diffusion import Architecture, Heads
from recon_detect.models.inversion import dire_inversion, dire_sampling
from recon_detect.models.pixel_diffusion import SCHEDULER, WEIGHTS, PixelDiffusion, build_unet
from recon_detect.tensors.devices import autocast, find_device

STAGES = ("invert", "sample")
# OpenAI's: channels, multiples of them, levels with attention, residual blocks.
SIZES = {
    64: (192, (1, 2, 3, 4), (False, True, True, True), 3),
    256: (256, (1, 1, 2, 2, 4, 4), (False, False, False, True, True, True), 2),
}


def random_model(folder: Path, size: int, fewer: int | None) -> Path:
    """Writes a network of random weights."""
    channels, multiples, attention, blocks = SIZES[size]
    channels = fewer or channels
    levels = tuple(channels * multiple for multiple in multiples)
    architecture = Architecture(
        channels, levels, attention, blocks, 3, 6, classes=None, scale_shift=True, resblock_updown=True
    )
    config = architecture.config(image_size=size, heads=Heads())
    torch.manual_seed(0)
    save_file({name: value.contiguous() for name, value in build_unet(config).state_dict().items()}, folder / WEIGHTS)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / SCHEDULER).write_text("{}", encoding="utf-8")
    return folder


def published(model: PixelDiffusion, images: np.ndarray[Any, Any], device: torch.device, clock: Clock) -> np.ndarray:
    """One image at a time, forty evaluations each."""
    scores = []
    with torch.inference_mode(), autocast(device, torch.float16 if device.type == "cuda" else torch.float32):
        for image in images:
            x = torch.from_numpy(image).permute(2, 0, 1)[None].float().to(device) / 127.5 - 1
            with clock("invert"):
                noise = dire_inversion(model.predict, x, model.schedule)
            with clock("sample"):
                recon = dire_sampling(model.predict, noise, model.schedule)
            scores.append(-(x - recon).abs().mean().item())
    return np.array(scores)


def stages_of(clock: Clock) -> AbstractContextManager[None]:
    """Puts this package's stages under a clock."""
    return under(clock, (PixelDiffusion, "invert", "invert"), (PixelDiffusion, "sample", "sample"))


def work_of(model: PixelDiffusion, device: torch.device) -> float:
    """Operations of convolutions and matrix products for one image; of compiled networks they cannot be counted."""
    side = model.config["sample_size"]
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.predict(torch.zeros(1, 3, side, side, device=device), 0)
    return float(counter.get_total_flops()) * 2 * len(model.schedule)


def ways(
    folder: Path, images: int, device: str | None, dtypes: Sequence[str], *, compiled: bool
) -> tuple[dict[str, Way], PixelDiffusion, torch.device]:
    """Functions to time by name, and the network that all of them use."""
    side = json.loads((folder / "config.json").read_text(encoding="utf-8"))["sample_size"]
    pictures = np.random.default_rng(0).integers(0, 256, (images, side, side, 3), np.uint8)
    where = find_device(device)
    model = PixelDiffusion.from_pretrained(folder).to(where).eval()
    work = work_of(model, where) * images
    theirs = torch.float16 if where.type == "cuda" else torch.float32
    timed = {"as published": Way(lambda clock: published(model, pictures, where, clock), theirs, work)}

    @cache
    def detector(dtype: str, compiled: bool) -> Detector:
        return load_detector("dire", models=folder, device=device, dtype=dtype, compile=compiled, batch_size=images)

    def ours(clock: Clock, dtype: str, compiled: bool) -> np.ndarray:
        return detector(dtype, compiled).score(pictures, progress=False).raise_for_errors().scores

    for dtype, one in itertools.product(dtypes, (False, True) if compiled else (False,)):
        name = f"recon_detect, {dtype}{', compiled' if one else ''}"
        timed[name] = Way(partial(ours, dtype=dtype, compiled=one), precision(dtype), work)
    return timed, model, where
