"""The same crop and the same encoding for images of all classes, so that neither can tell them apart."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from recon_detect.errors import ImageTooSmall, UsageError
from recon_detect.images.picture import open_picture
from recon_detect.settings import DEFAULTS, Settings

if TYPE_CHECKING:
    from recon_detect.images.picture import ImageLike

# Crops start on it, so that the grid of a decoder (8 to 32 px) and that of a JPEG (8 or 16 px) stay where they are.
GRID = 32
_LOSSY = ("jpeg", "webp")


def encode(image: Image.Image, encoding: str) -> bytes:
    """An RGB image as a file in memory: ``png``, or ``jpeg-75``, ``webp-80`` and so on with their quality.

    Raises:
        UsageError: Another encoding.
    """
    codec, quality = _parsed(encoding)
    buffer = io.BytesIO()
    image.save(buffer, codec, **({"quality": quality} if quality else {}))
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Transform:
    """The processing that every image of a set goes through before it is scored.

    Attributes:
        crop: Side of the square at the centre, moved to the upper left until it lies on a grid of 32 px; None keeps
            images whole. Nothing is resized: that removes what methods look for.
        encoding: ``png``, or ``jpeg-QUALITY`` or ``webp-QUALITY`` as Pillow writes them.

    Raises:
        UsageError: A crop below 1 px or another encoding.
    """

    crop: int | None = None
    encoding: str = "png"

    def __post_init__(self) -> None:
        _parsed(self.encoding)
        if self.crop is not None and self.crop < 1:
            raise UsageError(f"a crop of {self.crop} px: expected 1 or more, or none to keep images whole")

    @property
    def suffix(self) -> str:
        """Suffix of the files."""
        return {"jpeg": ".jpg"}.get(codec := _parsed(self.encoding)[0], f".{codec}")

    def image(self, source: ImageLike, settings: Settings = DEFAULTS) -> Image.Image:
        """The crop, RGB, not yet encoded.

        Raises:
            InputError: The image cannot be read, or is smaller than the crop.
        """
        image = Image.fromarray(open_picture(source, settings).bytes())
        if self.crop is None:
            return image
        if min(image.size) < self.crop:
            raise ImageTooSmall(f"{image.width}x{image.height}: smaller than the crop of {self.crop} px")
        left, top = ((side - self.crop) // 2 // GRID * GRID for side in image.size)
        return image.crop((left, top, left + self.crop, top + self.crop))

    def encoded(self, source: ImageLike, settings: Settings = DEFAULTS) -> bytes:
        """The crop as a file in memory; see `image`."""
        return encode(self.image(source, settings), self.encoding)


def _parsed(encoding: str) -> tuple[str, int | None]:
    codec, _, quality = encoding.partition("-")
    if codec == "png" and not quality:
        return codec, None
    if codec in _LOSSY and quality.isdecimal() and 1 <= int(quality) <= 100:
        return codec, int(quality)
    raise UsageError(f"encoding {encoding!r}: expected png, or {' or '.join(_LOSSY)} with a quality, as in jpeg-75")
