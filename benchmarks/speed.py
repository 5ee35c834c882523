"""Images per second of DIRE, beside the published schedule, in turn in one run.

    python -m benchmarks.speed --size 64 --channels 64
    python -m benchmarks.speed --model adm256/ --device cuda --images 64

The published schedule takes one image through all evaluations of the network before the next, in float32 on a CPU and
in float16 on a GPU, with the weights in channels-first memory. Time does not depend on the values of the weights, so
without ``--model`` a network of random weights with OpenAI's architecture of the given size is taken. On a GPU, what
share of its measured bfloat16 matrix peak is used is written too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.detection import RESULTS, write_table
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


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def peak(device: torch.device) -> float:
    """Operations per second of a large bfloat16 matrix product."""
    a = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    seconds(lambda: a @ a)
    return 10 * 2 * 8192**3 / seconds(lambda: [a @ a for _ in range(10)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=["dire"], default="dire")
    parser.add_argument("--model", type=Path, default=None, help="folder in diffusers' format")
    parser.add_argument("--size", type=int, choices=SIZES, default=64, help="of a random model")
    parser.add_argument("--channels", type=int, default=None, help="of a random model, for one smaller than OpenAI's")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3, help="of both ways in turn; the best of each counts")
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--compile", action="store_true", help="compiled beside not; the compilation is not counted")
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.model or random_model(Path(temporary), options.size, options.channels)
        side = json.loads((folder / "config.json").read_text(encoding="utf-8"))["sample_size"]
        generator = np.random.default_rng(0)
        images = generator.integers(0, 256, (options.images, side, side, 3), np.uint8)
        ways: dict[str, Callable[[], object]] = {}
        for dtype in options.dtypes.split(","):
            for compiled in (False, True) if options.compile else (False,):
                detector = load_detector(
                    "dire", models=folder, device=options.device, dtype=dtype, compile=compiled, batch_size=len(images)
                )
                name = f"{dtype}, compiled" if compiled else dtype
                ways[name] = lambda detector=detector: detector.score(images, progress=False).raise_for_errors()
        device = detector.device
        model = PixelDiffusion.from_pretrained(folder).to(device).eval()
    ways = {"as published": lambda: published(model, images, device)} | ways
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.predict(torch.zeros(1, 3, side, side, device=device), 0)
    work = counter.get_total_flops() * 2 * len(model.schedule) * len(images)
    best = dict.fromkeys(ways, float("inf"))
    for number in range(options.rounds + 1):
        for name, way in ways.items():
            taken = seconds(way)
            best[name] = min(best[name], taken) if number else best[name]  # the first round warms up
    top = peak(device) if device.type == "cuda" else None
    table = [
        {
            "way": name if name == "as published" else f"recon_detect, {name}",
            "images_per_s": round(len(images) / taken, 4),
            "ratio": round(best["as published"] / taken, 2),
            "teraflop_per_s": round(work / taken / 1e12, 3),
            "share_of_peak": round(work / taken / top, 3) if top else "",
        }
        for name, taken in best.items()
    ]
    kind = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{os.cpu_count()} cores {platform.machine()}"
    )
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    write_table(
        options.output or RESULTS / f"speed-dire-{side}-{device.type}.csv",
        f"DIRE with a network of {parameters:.0f} million parameters at {side} px, {2 * len(model.schedule)} "
        f"evaluations an image, {len(images)} images, best of {options.rounds} rounds in turn; {kind}; "
        f"torch {torch.__version__}",
        table,
    )
    for line in table:
        print(line)


if __name__ == "__main__":
    main()
