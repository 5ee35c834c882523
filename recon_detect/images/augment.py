"""Images as they come out of other hands: for classifiers that are to bear with it."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from recon_detect.errors import ReconDetectError
from recon_detect.images.picture import open_picture
from recon_detect.images.sources import Source
from recon_detect.settings import DEFAULTS, Settings

# What stands between the name of an image and the number of its copy.
COPY = "#changed-copy-"


def augmented(sources: Iterable[Source], copies: int, settings: Settings = DEFAULTS) -> Iterator[Source]:
    """Changed copies of images, made when they are asked for, and the same for the same name.

    Each is blurred (Gaussian, deviation below 1 px), made brighter or darker and of more or less contrast (below 10 %),
    and stored as JPEG (quality 60 to 95). Images that cannot be read are left out.
    """
    for source in sources:
        try:
            pixels = open_picture(source.image, settings).bytes()
        except ReconDetectError:
            continue
        for copy in range(copies):
            name = f"{source.id}{COPY}{copy}"
            yield replace(source, image=_changed(pixels, zlib.crc32(name.encode())), id=name)


def _changed(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], seed: int) -> bytes:
    generator = np.random.default_rng(seed)
    image = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(generator.uniform(0, 1)))
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast):
        image = enhance(image).enhance(generator.uniform(0.9, 1.1))
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=int(generator.integers(60, 96)))
    return buffer.getvalue()
