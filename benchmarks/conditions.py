"""What both classes go through before they are scored: the same crop, then the same processing and encoding.

A condition is a chain of steps joined by ``+``, such as ``resize-0.75+jpeg-75``; ``png`` does nothing.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from recon_detect.images.transform import Transform, encode

Step = Callable[[Image.Image, float, int], Image.Image]


def _encoded(codec: str) -> Step:
    def step(image: Image.Image, quality: float, seed: int) -> Image.Image:
        return Image.open(io.BytesIO(encode(image, f"{codec}-{quality:.0f}"))).convert("RGB")

    return step


def _resize(image: Image.Image, factor: float, seed: int) -> Image.Image:
    width, height = (max(round(side * factor), 1) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _off_grid(image: Image.Image, margin: float, seed: int) -> Image.Image:
    """Drops up to `margin` columns at the left and rows at the top, never none of both; different for every image."""
    left, top = np.random.default_rng(seed).integers(1, int(margin) + 1, 2).tolist()
    return image.crop((left, top, *image.size))


def _noise(image: Image.Image, deviation: float, seed: int) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float64)
    noisy = pixels + np.random.default_rng(seed).normal(0, deviation, pixels.shape)
    return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))


STEPS: dict[str, Step] = {
    "png": lambda image, value, seed: image,
    "jpeg": _encoded("jpeg"),
    "webp": _encoded("webp"),
    "resize": _resize,
    "offgrid": _off_grid,
    "mirror": lambda image, value, seed: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turn": lambda image, value, seed: image.transpose(Image.Transpose.ROTATE_90),
    "blur": lambda image, value, seed: image.filter(ImageFilter.GaussianBlur(value)),
    "noise": _noise,
}


def parse(condition: str) -> list[tuple[Step, float]]:
    """The steps of a condition with their values.

    Raises:
        ValueError: An unknown step.
    """
    steps = []
    for part in condition.split("+"):
        name, _, value = part.partition("-")
        if name not in STEPS:
            raise ValueError(f"unknown step {name!r}; known: {', '.join(STEPS)}")
        steps.append((STEPS[name], float(value or 0)))
    return steps


def prepare(path: Path, crop: int | None, condition: str) -> Image.Image:
    """The image as both classes are given to the detector: cropped at the centre, on the grid, and processed."""
    image = Transform(crop or None).image(path)
    seed = zlib.crc32(path.name.encode())
    for step, value in parse(condition):
        image = step(image, value, seed)
    return image
