"""Error of a tiny autoencoder by the position of the image on its grid: the figure of docs/methods/trace.md.

    python -m benchmarks.phases --data ../shared/eval --dtype bfloat16

For some clean images of each decoder family, and as many photographs, the error of the image without its first x
columns and y rows, for all 64 phases of the grid of 8 pixels: log of the error (mean over the distances of the model)
less its mean over the phases. Written as CSV, and as a picture with one panel per decoder.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from tqdm import tqdm

from benchmarks.common.conditions import prepare
from benchmarks.common.data import RESULTS, large_enough, read_manifest, write_table
from benchmarks.common.families import FAMILIES
from recon_detect import load_detector, open_picture
from recon_detect.atomic import replacing
from recon_detect.evidence import Evidence
from recon_detect.evidence.texture import DECODER_GRID
from recon_detect.images.heat import colour
from recon_detect.methods.trace.looks import FLOOR
from recon_detect.models.loading import Models
from recon_detect.models.lpips import load_lpips
from recon_detect.models.registry import AUTOENCODERS, MODEL_SETS, family_of

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "phases.png"
# Distances of an autoencoder by its latent channels: those with 16 keep finer detail, so their grain is finer.
DISTANCES = {4: ("lpips_vgg_2",), 16: ("lpips_vgg_2", "lpips_vgg_1")}
CELL, GAP, TITLE = 24, 24, 20


def profile(image: torch.Tensor, models: Models, model: str) -> np.ndarray:
    """Log error (8, 8) by row and column of the phase, less its mean."""
    side = (min(image.shape[-2:]) // DECODER_GRID - 1) * DECODER_GRID
    rows = []
    for top in range(DECODER_GRID):
        windows = torch.stack([image[:, top : top + side, left : left + side] for left in range(DECODER_GRID)])
        e = Evidence(windows, models).using(models.distances[0], [model])
        logs = [(e.error(distance)[:, 0] + FLOOR).log() for distance in DISTANCES[AUTOENCODERS[model].latent_channels]]
        rows.append(torch.stack(logs).mean(dim=0).numpy())
    errors = np.array(rows)
    return np.asarray(errors - errors.mean())


def panel(values: np.ndarray, title: str, scale: float) -> Image.Image:
    """One decoder: the darker the lower the error."""
    cells = Image.fromarray(colour(values + scale, 2 * scale)).resize(
        (DECODER_GRID * CELL,) * 2, Image.Resampling.NEAREST
    )
    framed = Image.new("RGB", (cells.width + GAP, cells.height + TITLE + GAP), "white")
    framed.paste(cells, (GAP // 2, TITLE + GAP // 2))
    ImageDraw.Draw(framed).text((GAP // 2, GAP // 4), title, fill="black")
    return framed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--images", type=int, default=6, help="of each family")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--dtype", default="auto")
    options = parser.parse_args()
    rows = large_enough(read_manifest(options.data), options.crop)
    rows = [rows[number] for number in np.random.default_rng(0).permutation(len(rows))]
    detector = load_detector("aeroblade", models="tiny", dtype=options.dtype, device="cpu")
    distances = DISTANCES[16]
    lowered = torch.bfloat16 if options.dtype == "bfloat16" else torch.float32
    models = replace(detector.models, distances=distances, lpips=load_lpips(distances, detector.device, lowered))
    lines, panels = [], []
    for model in MODEL_SETS["tiny"]:
        family = next(name for name, decoder in FAMILIES.items() if decoder == family_of(model))
        for label in (family, ""):
            chosen = [row for row in rows if row["autoencoder"] == label][: options.images]
            profiles = []
            for row in tqdm(chosen, desc=f"{model}, {label or 'photographs'}"):
                image = open_picture(prepare(options.data / row["path"], options.crop, "png")).tensor()
                with torch.inference_mode():
                    profiles.append(profile(image, models, model))
            mean, deviation = np.mean(profiles, axis=0), np.std(profiles, axis=0).mean()
            for top, left in np.ndindex(DECODER_GRID, DECODER_GRID):
                line = {"model": model, "images": label or "photographs", "n": len(profiles), "left": left, "top": top}
                lines.append(line | {"log_error": round(mean[top, left], 5), "deviation": round(deviation, 5)})
            panels.append(panel(mean, f"{model}, {len(profiles)} {label or 'photographs'}", 0.08))
    width, height = panels[0].size
    sheet = Image.new("RGB", (width * len(panels) // 2, height * 2), "white")
    for number, part in enumerate(panels):
        sheet.paste(part, (number // 2 * width, number % 2 * height))
    with replacing(FIGURE) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
    output = RESULTS / f"phases-tiny-crop{options.crop}.csv"
    conditions = f"{options.data.name}, centre crop of {options.crop} px on the 32-px grid, {options.dtype}, CPU"
    write_table(output, conditions, lines)


if __name__ == "__main__":
    main()
