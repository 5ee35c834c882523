"""Sets of images with nothing but planted differences between the classes."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def photograph(seed: int, side: int = 160) -> Image.Image:
    """Smooth shapes with grain, never compressed."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 256, (side // 16, side // 16, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64)
    return Image.fromarray((smooth + draw.normal(0, draw.uniform(3, 9), smooth.shape)).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, codec: str = "png", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, codec, **options)
    return buffer.getvalue()


def plant(folder: Path, real, generated, count: int = 24) -> Path:
    """Writes `count` images a class, as `real` and `generated` make files of them: (suffix, bytes) of an image."""
    for number in range(2 * count):
        label, make = ("generated", generated) if number % 2 else ("real", real)
        suffix, data = make(photograph(number))
        path = folder / label / f"{number:03}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def png(image: Image.Image) -> tuple[str, bytes]:
    return ".png", encoded(image)


def jpeg(image: Image.Image) -> tuple[str, bytes]:
    return ".jpg", encoded(image, "jpeg", quality=90)
