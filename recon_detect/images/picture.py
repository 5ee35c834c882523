"""From anything that holds an image to RGB pixels with their provenance: the only door for pixel ranges."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import PIL
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from recon_detect.errors import ImageTooLarge, InputError, UnreadableImage, UsageError
from recon_detect.images.jpeg import estimate_quality
from recon_detect.settings import DEFAULTS, Settings

if TYPE_CHECKING:
    import torch

    ImageLike: TypeAlias = str | Path | bytes | Image.Image | np.ndarray[Any, Any] | torch.Tensor

_BACKGROUNDS = {"white": 255, "black": 0}
_DEEP_MODES = {"I;16": 65535.0, "I;16B": 65535.0, "I;16L": 65535.0, "I": 65535.0}


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is known of where the pixels came from; None where the source does not say.

    Attributes:
        width: Width of the scored pixels.
        height: Height of the scored pixels.
        format: Pillow's name of the file format, or ``"PIL"``, ``"array"``, ``"tensor"``.
        mode: Pillow's mode before conversion to RGB, such as ``"CMYK"``.
        file_bytes: Size of the file.
        jpeg_quality: libjpeg quality (1 to 100) whose quantisation table is nearest to the file's.
        exif_orientation: The EXIF tag (1 to 8).
        sha256: SHA-256 of the RGB pixels, shape and dtype included: equal pictures have equal sums in any container.
        notes: What was done on the way that changes pixels or leaves something out.
    """

    width: int
    height: int
    format: str
    mode: str
    sha256: str
    file_bytes: int | None = None
    jpeg_quality: int | None = None
    exif_orientation: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """RGB pixels, shape (H, W, 3): uint8 in 0..255, or float32 in 0..1 where the source is deeper than 8 bits."""

    pixels: np.ndarray[Any, Any]
    provenance: Provenance

    def middle_square(self, side: int) -> Picture:
        """The middle square, brought to a size; see `middle_square`. The provenance stays that of the whole image."""
        return replace(self, pixels=middle_square(self.bytes(), side))

    def bytes(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The pixels as (H, W, 3) uint8."""
        return self.pixels if self.pixels.dtype == np.uint8 else (self.pixels * 255).round().astype(np.uint8)

    def stored(self) -> torch.Tensor:
        """The pixels as (3, H, W), RGB, in their own type and range."""
        import torch

        return torch.from_numpy(self.pixels.transpose(2, 0, 1).copy())

    def tensor(self) -> torch.Tensor:
        """The pixels as (3, H, W), float32, RGB, in [-1, 1]."""
        return to_model_range(self.stored())


def middle_square(pixels: np.ndarray[Any, Any], side: int) -> np.ndarray[Any, Any]:
    """The middle square of (H, W, 3) uint8, brought to (side, side, 3) as DIRE and guided-diffusion do.

    Halved by boxes while the shorter side is twice the size or more, then resized bicubically, then cropped.
    """
    image = Image.fromarray(pixels)
    while min(image.size) >= 2 * side:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    factor = side / min(image.size)
    width, height = (round(length * factor) for length in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - side) // 2, (height - side) // 2
    return np.ascontiguousarray(image.crop((left, top, left + side, top + side)))


def to_model_range(stored: torch.Tensor) -> torch.Tensor:
    """From uint8 in 0..255 or float32 in 0..1 to float32 in [-1, 1], on the device where the tensor is."""
    unit = stored if stored.is_floating_point() else stored.float().div(255)
    return unit * 2 - 1


def open_picture(source: ImageLike, settings: Settings = DEFAULTS) -> Picture:
    """Reads one image.

    Args:
        source: Path, encoded bytes, Pillow image, array or tensor. Arrays are (H, W), (H, W, 1), (H, W, 3) or
            (H, W, 4); tensors are (3, H, W) or (1, H, W). Integer values span their type (uint8, uint16), floating
            values lie in [0, 1].
        settings: Limits, EXIF orientation and background of transparent images.

    Raises:
        UnreadableImage: Not an image, truncated, or in a format that this Pillow lacks.
        ImageTooLarge: More pixels or bytes than the settings allow.
        UsageError: A type, shape or value range that is not described above.
    """
    if isinstance(source, str | Path):
        return _from_bytes(read_file(Path(source), settings), settings)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), settings)
    if isinstance(source, Image.Image):
        return picture_of(source, settings)
    if isinstance(source, np.ndarray):
        return _from_array(source, settings, format="array")
    if hasattr(source, "detach") and hasattr(source, "cpu"):
        array = source.detach().cpu()
        if array.ndim != 3 or array.shape[0] not in (1, 3, 4):
            raise UsageError(f"expected a tensor of shape (3, H, W) or (1, H, W); got {tuple(array.shape)}")
        array = array.float() if array.is_floating_point() else array
        return _from_array(array.permute(1, 2, 0).numpy(), settings, format="tensor")
    raise UsageError(f"expected a path, bytes, a PIL image, an array or a tensor; got {type(source).__name__}")


def read_file(path: Path, settings: Settings = DEFAULTS) -> bytes:
    """The bytes of an image file.

    Raises:
        UnreadableImage: There is no such file, or it cannot be read.
        ImageTooLarge: More bytes than the settings allow.
    """
    try:
        size = path.stat().st_size
        if size > settings.max_bytes:
            raise ImageTooLarge(f"{path}: {size:,} bytes, limit {settings.max_bytes:,}; raise max_bytes to read it")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImage(f"{path}: {error.strerror or error}") from error


@contextmanager
def opened(data: bytes, settings: Settings = DEFAULTS) -> Iterator[Image.Image]:
    """An encoded image, opened by Pillow; whatever its decoder raises inside the block is one kind of error.

    Raises:
        UnreadableImage: Not an image, truncated, or in a format that this Pillow lacks.
        ImageTooLarge: More pixels or bytes than the settings, or Pillow, allow.
    """
    if len(data) > settings.max_bytes:
        raise ImageTooLarge(f"{len(data):,} bytes, limit {settings.max_bytes:,}; raise max_bytes to read it")
    try:
        with Image.open(io.BytesIO(data)) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(f"{error} This limit is Pillow's: PIL.Image.MAX_IMAGE_PIXELS") from error
    except UnidentifiedImageError as error:
        start = data[:8].hex(" ") or "empty"
        raise UnreadableImage(
            f"not an image that Pillow {PIL.__version__} can read (first bytes: {start}); convert it to PNG"
        ) from error
    except (InputError, UsageError):
        raise
    # Decoders raise nearly anything on hostile data (struct.error, SyntaxError, IndexError, ...): it is all one fact.
    except Exception as error:
        raise UnreadableImage(f"broken or truncated: {type(error).__name__}: {error}") from error


def _from_bytes(data: bytes, settings: Settings) -> Picture:
    with opened(data, settings) as image:
        return picture_of(image, settings, file_bytes=len(data))


def picture_of(image: Image.Image, settings: Settings = DEFAULTS, *, file_bytes: int | None = None) -> Picture:
    """Reads what Pillow has opened; see `open_picture`. Decoding errors are Pillow's: see `opened`."""
    _check_pixels(image.width, image.height, settings)
    quality = estimate_quality(getattr(image, "quantization", None))
    kind = image.format or "PIL"  # of a turned image it is lost
    notes = []
    if (frames := getattr(image, "n_frames", 1)) > 1:
        image.seek(0)
        notes.append(f"first of {frames} frames")
    orientation = image.getexif().get(ExifTags.Base.Orientation)
    mode = image.mode
    if settings.exif_orientation and orientation not in (None, 1):
        image = ImageOps.exif_transpose(image)
        notes.append("turned as EXIF says")
    pixels, how = _to_rgb(image, settings.alpha)
    picture = _picture(pixels, format=kind, mode=mode, notes=(*notes, *how))
    return replace(
        picture,
        provenance=replace(
            picture.provenance, file_bytes=file_bytes, jpeg_quality=quality, exif_orientation=orientation
        ),
    )


def _to_rgb(image: Image.Image, alpha: str) -> tuple[np.ndarray[Any, Any], list[str]]:
    """RGB pixels and what was done to get them. 16-bit grey keeps its depth; Pillow reads deeper colour as 8 bit."""
    if image.mode in _DEEP_MODES or image.mode == "F":
        grey = np.asarray(image, dtype=np.float32)
        if image.mode != "F":
            grey = grey / np.float32(_DEEP_MODES[image.mode])
        if not (grey.min() >= 0 and grey.max() <= 1):
            raise UnreadableImage(
                f"values from {grey.min():g} to {grey.max():g} in mode {image.mode}; expected 16-bit integers or 0..1"
            )
        return np.repeat(grey[..., None], 3, axis=2), ["grey to RGB"]
    if image.has_transparency_data and alpha != "drop":
        background = Image.new("RGBA", image.size, (_BACKGROUNDS[alpha],) * 3 + (255,))
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema() == (255, 255):
            return np.asarray(rgba.convert("RGB")), []
        return np.asarray(Image.alpha_composite(background, rgba).convert("RGB")), [f"alpha put on {alpha}"]
    done = [] if image.mode == "RGB" else [f"{image.mode} to RGB"]
    return np.asarray(image.convert("RGB")), done


def _from_array(array: np.ndarray[Any, Any], settings: Settings, *, format: str) -> Picture:
    shape = array.shape
    array = array[..., None] if len(shape) == 2 else array
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in shape:
        raise UsageError(f"expected an array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); got {shape}")
    _check_pixels(array.shape[1], array.shape[0], settings)
    if array.dtype == np.uint8:
        rgb, notes = _to_rgb(Image.fromarray(array[..., 0] if array.shape[2] == 1 else array), settings.alpha)
        return _picture(rgb, format=format, mode=str(array.dtype), notes=tuple(notes))
    if array.dtype == np.uint16:
        unit = array.astype(np.float32) / np.float32(65535)
    elif np.issubdtype(array.dtype, np.floating):
        unit = array.astype(np.float32)
    else:
        raise UsageError(f"expected uint8, uint16 or floating values; got {array.dtype}")
    low, high = float(unit.min()), float(unit.max())
    if not (low >= 0 and high <= 1):  # also catches NaN
        raise UsageError(
            f"expected floating values in [0, 1]; got {low:g} to {high:g}. From [-1, 1] pass (x + 1) / 2, "
            "from 0..255 pass uint8"
        )
    notes = []
    if unit.shape[2] == 4:
        if settings.alpha != "drop":
            opacity = unit[..., 3:]
            unit = unit[..., :3] * opacity + np.float32(_BACKGROUNDS[settings.alpha] / 255) * (1 - opacity)
            notes.append(f"alpha put on {settings.alpha}")
        unit = unit[..., :3]
    if unit.shape[2] == 1:
        unit = np.repeat(unit, 3, axis=2)
        notes.append("grey to RGB")
    return _picture(unit, format=format, mode=str(array.dtype), notes=tuple(notes))


def _check_pixels(width: int, height: int, settings: Settings) -> None:
    if width * height > settings.max_pixels:
        raise ImageTooLarge(
            f"{width}x{height} is {width * height:,} pixels, limit {settings.max_pixels:,}; "
            "crop it (do not resize: that removes the evidence) or raise max_pixels"
        )


def _picture(pixels: np.ndarray[Any, Any], *, format: str, mode: str, notes: tuple[str, ...]) -> Picture:
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(f"{width}x{height} {pixels.dtype}".encode())
    digest.update(pixels.data)
    return Picture(pixels, Provenance(width, height, format, mode, digest.hexdigest(), notes=notes))
