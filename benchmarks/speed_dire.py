"""The published schedule of DIRE beside this package's.

It takes one image through all evaluations of the network before the next, in float32 on a CPU and in float16 on a GPU,
with the weights in channels-first memory. Time does not depend on the values of the weights, so a network of random
weights with OpenAI's architecture does where the pretrained one is not here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks.timing import Clock
from recon_detect import load_detector
from recon_detect.devices import autocast
from recon_detect.inversion import dire_inversion, dire_sampling
from recon_detect.models.guided_diffusion import Architecture, Heads
from recon_detect.models.pixel_diffusion import SCHEDULER, WEIGHTS, PixelDiffusion, build_unet

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


def published(model: PixelDiffusion, images: np.ndarray[Any, Any], device: torch.device) -> None:
    """One image at a time, forty evaluations each."""
    with torch.inference_mode(), autocast(device, torch.float16 if device.type == "cuda" else torch.float32):
        for image in images:
            x = torch.from_numpy(image).permute(2, 0, 1)[None].float().to(device) / 127.5 - 1
            recon = dire_sampling(model.predict, dire_inversion(model.predict, x, model.schedule), model.schedule)
            (x - recon).abs().mean().item()


def ways(
    folder: Path, images: int, device: str | None, dtypes: Sequence[str], *, compiled: bool
) -> tuple[dict[str, Callable[[Clock], object]], dict[str, torch.dtype], PixelDiffusion, torch.device]:
    """What to time by name, in which precision, and the network that all of them use."""
    side = json.loads((folder / "config.json").read_text(encoding="utf-8"))["sample_size"]
    pictures = np.random.default_rng(0).integers(0, 256, (images, side, side, 3), np.uint8)
    detectors = {
        f"recon_detect, {dtype}{', compiled' if one else ''}": load_detector(
            "dire", models=folder, device=device, dtype=dtype, compile=one, batch_size=images
        )
        for dtype in dtypes
        for one in ((False, True) if compiled else (False,))
    }
    where = next(iter(detectors.values())).device
    model = PixelDiffusion.from_pretrained(folder).to(where).eval()
    found: dict[str, Callable[[Clock], object]] = {"as published": lambda clock: published(model, pictures, where)}
    for name, detector in detectors.items():
        found[name] = lambda clock, d=detector: d.score(pictures, progress=False).raise_for_errors()
    precision = {name: getattr(torch, name.split(", ")[1]) for name in detectors}
    precision["as published"] = torch.float16 if where.type == "cuda" else torch.float32
    return found, precision, model, where
