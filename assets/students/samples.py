r"""Makes a data set of samples of the small diffusion model beside photographs, both as PNG of its size, for `dire`.

    python -m assets.students.samples --data ../shared/eval --output samples/
    python -m benchmarks.detection --data samples/ --methods dire --crop 0

Samples are drawn by ancestral sampling (Ho et al., 2020), not by the deterministic sampler that DIRE inverts with.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from benchmarks.common.data import read_manifest, write_manifest
from recon_detect import open_picture
from recon_detect.models.hub import sha256_of
from recon_detect.models.pixel_diffusion import PixelDiffusion
from recon_detect.models.torchvision_guard import hide_broken_torchvision
from recon_detect.models.weights import find_weights

BATCH = 25


@torch.inference_mode()
def draw(model: PixelDiffusion, scheduler: Any, count: int, steps: int, seed: int) -> np.ndarray[Any, Any]:
    """Samples (count, side, side, 3) in 8 bits."""
    generator = torch.Generator().manual_seed(seed)
    side = model.config["sample_size"]
    x = torch.randn((count, 3, side, side), generator=generator)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        x = scheduler.step(model.predict(x, int(t)), int(t), x, generator=generator).prev_sample
    pixels: np.ndarray[Any, Any] = ((x.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return pixels


def load(name: str) -> tuple[PixelDiffusion, Any]:
    """The model of a name or folder, and its schedule for ancestral sampling."""
    hide_broken_torchvision()
    from diffusers import DDPMScheduler

    folder = find_weights(name).folder
    return PixelDiffusion.from_pretrained(folder).eval(), DDPMScheduler.from_pretrained(folder, local_files_only=True)


def save(folder: Path, name: str, pixels: np.ndarray[Any, Any], **columns: str) -> dict[str, str]:
    """Writes an image; returns its line of the manifest."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    height, width = map(str, pixels.shape[:2])
    return {"path": name, **columns, "width": width, "height": height, "sha256": sha256_of(path)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv; its photographs are taken")
    parser.add_argument("--output", type=Path, required=True, help="folder for the data set")
    parser.add_argument("--model", default="mini-ddpm", help="name, or folder of a UNet2DModel")
    parser.add_argument("--count", type=int, default=75, help="of samples")
    parser.add_argument("--steps", type=int, default=100, help="of sampling")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model, scheduler = load(options.model)
    side = model.config["sample_size"]
    rows = []
    for start in tqdm(range(0, options.count, BATCH), unit="batch"):
        count = min(BATCH, options.count - start)
        for number, pixels in enumerate(draw(model, scheduler, count, options.steps, options.seed + start), start):
            columns = {"label": "generated", "generator": Path(options.model).name, "autoencoder": ""}
            rows.append(save(options.output, f"generated/{number:04}.png", pixels, **columns))
    for row in read_manifest(options.data):
        if row["label"] == "real":
            pixels = open_picture(options.data / row["path"]).middle_square(side).pixels
            name = f"real/{row['sha256'][:16]}.png"
            rows.append(save(options.output, name, pixels, label="real", generator="", autoencoder=""))
    write_manifest(options.output, rows)


if __name__ == "__main__":
    main()
