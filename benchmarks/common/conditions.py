"""Preparation of both classes before they are scored: the same crop, then the same processing and encoding.

A condition is a chain of steps joined by ``+``, such as ``resize-0.75+jpeg-75``; ``png`` does nothing. What is random
in a step is drawn from a seed that is the image's own: it is treated alike under whatever name, in any order.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from recon_detect.images.transform import Transform, encode

# The end of a chain is stored in its own encoding, or losslessly.
CODECS = ("png", "jpeg", "webp")
# A condition of its own: the file as it is.
FILE = "file"

Step = Callable[[Image.Image, float, int], Image.Image]


def _encoded(image: Image.Image, codec: str, quality: float) -> bytes:
    return encode(image, codec if codec == "png" else f"{codec}-{quality:.0f}")


def _resize(image: Image.Image, factor: float, seed: int) -> Image.Image:
    return image.resize(_scaled(image, factor), Image.Resampling.LANCZOS)


def _bicubic(image: Image.Image, factor: float, seed: int) -> Image.Image:
    return image.resize(_scaled(image, factor), Image.Resampling.BICUBIC)


def _scaled(image: Image.Image, factor: float) -> tuple[int, int]:
    return max(round(image.width * factor), 1), max(round(image.height * factor), 1)


def _crop(image: Image.Image, share: float, seed: int) -> Image.Image:
    """A share of each side, at a random place, which seldom is on the decoder's grid."""
    width, height = _scaled(image, share)
    left, top = np.random.default_rng(seed).integers(0, (image.width - width + 1, image.height - height + 1)).tolist()
    return image.crop((left, top, left + width, top + height))


def _off_grid(image: Image.Image, margin: float, seed: int) -> Image.Image:
    """Drops up to `margin` columns at the left and rows at the top, never none of both; different for every image."""
    left, top = np.random.default_rng(seed).integers(1, int(margin) + 1, 2).tolist()
    return image.crop((left, top, *image.size))


def _part(image: Image.Image, number: float, seed: int) -> Image.Image:
    """One of five overlapping parts of 3/4 of each side: the centre (0), or a corner (1 to 4)."""
    width, height = _scaled(image, 0.75)
    right, bottom = image.width - width, image.height - height
    left, top = [(right // 2, bottom // 2), (0, 0), (right, 0), (0, bottom), (right, bottom)][int(number)]
    return image.crop((left, top, left + width, top + height))


def _jitter(image: Image.Image, share: float, seed: int) -> Image.Image:
    """Brightness, contrast and colour changed by up to a share each, at random."""
    generator = np.random.default_rng(seed)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(generator.uniform(1 - share, 1 + share))
    return image


def _noise(image: Image.Image, deviation: float, seed: int) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float64)
    noisy = pixels + np.random.default_rng(seed).normal(0, deviation, pixels.shape)
    return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))


def _display_values() -> list[int]:
    """Values sent to a display of gamma 2.2 for each value of an sRGB image (IEC 61966-2-1), rounded to 8 bits."""
    value = np.arange(256) / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    display: list[int] = (255 * light ** (1 / 2.2)).round().astype(int).tolist()
    return display


def _screenshot(image: Image.Image, factor: float, seed: int) -> Image.Image:
    """Screenshot of a viewer: resized bilinearly to the screen, with the values that the display gets."""
    shown = image.resize(_scaled(image, factor), Image.Resampling.BILINEAR)
    return shown.point(_display_values() * 3)


def _longest(image: Image.Image, side: float, seed: int) -> Image.Image:
    """Scaled to a longest side, unless it is shorter already."""
    factor = side / max(image.size)
    return image.resize(_scaled(image, factor), Image.Resampling.LANCZOS) if factor < 1 else image


def _aspect(image: Image.Image, aspect: float, seed: int) -> Image.Image:
    """Cropped at the centre to a width of `aspect` times the height."""
    width = min(image.width, round(image.height * aspect))
    height = min(image.height, round(image.width / aspect))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _centre(image: Image.Image, side: float, seed: int) -> Image.Image:
    """The square of this side at the centre, on the decoder's grid."""
    return Transform(int(side)).image(image)


def _page(image: Image.Image, factor: float, seed: int) -> Image.Image:
    """Screenshot of a web page: the image as of `_screenshot`, at a random place, between lines of text."""
    shown = _screenshot(image, factor, seed)
    margins: list[int] = np.random.default_rng(seed).integers(24, 121, 4).tolist()
    left, top, right, bottom = margins
    page = Image.new("RGB", (left + shown.width + right, top + shown.height + bottom), (255, 255, 255))
    page.paste(shown, (left, top))
    pen = ImageDraw.Draw(page)
    for y in (*range(6, top - 14, 16), *range(top + shown.height + 6, page.height - 14, 16)):
        pen.text((left, y), _TEXT[: shown.width // 7], fill=(51, 51, 51))
    return page


_TEXT = "Photographs and pictures of the week, sent in by readers, with captions and comments. " * 12

STEPS: dict[str, Step] = {
    "resize": _resize,
    "bicubic": _bicubic,
    "crop": _crop,
    "part": _part,
    "offgrid": _off_grid,
    "mirror": lambda image, value, seed: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turn": lambda image, value, seed: image.transpose(Image.Transpose.ROTATE_90),
    "blur": lambda image, value, seed: image.filter(ImageFilter.GaussianBlur(value)),
    "noise": _noise,
    "jitter": _jitter,
    "screenshot": _screenshot,
    "longest": _longest,
    "aspect": _aspect,
    "page": _page,
    "centre": _centre,
}


@dataclass(frozen=True, slots=True)
class Curve:
    """Conditions that differ in their strength alone: a curve.

    Attributes:
        title: Name of the change.
        axis: Label of the strength.
        chain: The condition of a strength.
        strengths: Strengths, from weak to strong.
        none: The strength at which nothing happens, where there is one.
    """

    title: str
    axis: str
    chain: str
    strengths: tuple[float, ...]
    none: float | None = None

    def conditions(self) -> list[str]:
        """Conditions of a kind, from weak to strong."""
        return [self.chain.format(strength) for strength in self.strengths]

    def strength_of(self, condition: str) -> float | None:
        """The strength of a condition of this curve; None of a condition that is not on this curve."""
        before, _, after = self.chain.partition("{:g}")
        match = re.fullmatch(f"{re.escape(before)}([0-9.]+){re.escape(after)}", condition)
        return float(match[1]) if match else None


CURVES = {
    "jpeg": Curve("JPEG", "quality", "jpeg-{:g}", (90, 75, 60, 50)),
    "webp": Curve("WebP", "quality", "webp-{:g}", (90, 80, 60)),
    "resize": Curve("Resizing (Lanczos)", "factor", "resize-{:g}", (1.5, 1.25, 0.75, 0.5), none=1),
    "crop": Curve("Crop at a random place", "share of each side", "crop-{:g}", (0.9, 0.75, 0.5), none=1),
    "blur": Curve("Gaussian blur", "standard deviation, px", "blur-{:g}", (0.5, 1, 2), none=0),
    "noise": Curve("Gaussian noise", "standard deviation, of 255", "noise-{:g}", (2, 5, 10), none=0),
    "screenshot": Curve("Screenshot, PNG", "size on the screen", "screenshot-{:g}", (1, 0.8, 0.6)),
    "screenshot-jpeg": Curve("Screenshot, JPEG 90", "size on the screen", "screenshot-{:g}+jpeg-90", (1, 0.8, 0.6)),
    "double-jpeg": Curve(
        "JPEG 75, cropped off its grid, JPEG again", "second quality", "jpeg-75+offgrid-7+jpeg-{:g}", (90, 75, 50)
    ),
}  # fmt: skip
# Conditions without a strength, or with one alone.
SINGLE = ("png", "offgrid-7", "mirror", "turn")


def expand(names: Iterable[str]) -> list[str]:
    """Conditions, each once; the name of a curve stands for all of its strengths.

    Raises:
        ValueError: An unknown step.
    """
    chains = [chain for name in names for chain in (CURVES[name].conditions() if name in CURVES else [name])]
    for chain in chains:
        if chain != FILE:
            parse(chain)
    return list(dict.fromkeys(chains))


def curve_of(condition: str) -> tuple[str, float] | None:
    """The name of the curve that a condition is on, and its strength; None of a condition that is on no curve."""
    for name, curve in CURVES.items():
        strength = curve.strength_of(condition)
        if strength is not None:
            return name, strength
    return None


def parse(condition: str) -> list[tuple[str, float]]:
    """The steps of a condition with their values.

    Raises:
        ValueError: An unknown step, or a value that is no number.
    """
    steps = []
    for part in condition.split("+"):
        name, _, value = part.partition("-")
        if name not in STEPS and name not in CODECS:
            raise ValueError(f"unknown step {name!r} in {condition!r}; known: {', '.join([*CODECS, *STEPS])}")
        steps.append((name, float(value or 0)))
    return steps


def prepare(path: Path, crop: int | None, condition: str) -> bytes:
    """The image as both classes are given to the detector: cropped at the centre, on the grid, processed and encoded.

    Raises:
        InputError: The image cannot be read.
    """
    if condition == FILE and not crop:
        return path.read_bytes()
    image = Transform(crop or None).image(path)
    seed = zlib.crc32(image.tobytes())
    stored = None
    for name, value in parse(condition):
        if name in CODECS:
            stored = _encoded(image, name, value)
            image = Image.open(io.BytesIO(stored)).convert("RGB")
        else:
            stored, image = None, STEPS[name](image, value, seed)
    return stored or _encoded(image, "png", 0)
