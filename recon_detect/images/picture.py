"""RGB pixels, with their provenance, from anything that holds an image: the only door for pixel ranges."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from recon_detect.errors import InputError, UnreadableImage, UsageError
from recon_detect.images.archives import Member
from recon_detect.images.colour import array_of, to_bytes, to_rgb, values_to_rgb, with_channels
from recon_detect.images.decode import Admit, Decoded, check_pixels, decode, decode_opened
from recon_detect.images.duplicates import difference_hash
from recon_detect.images.heard import collected, printable
from recon_detect.images.reading import read_file, read_stream
from recon_detect.settings import DEFAULTS, Settings

if TYPE_CHECKING:
    import torch

    ImageLike: TypeAlias = (
        str
        | Path
        | bytes
        | bytearray
        | memoryview
        | IO[bytes]
        | Mapping[str, Any]
        | Image.Image
        | np.ndarray[Any, Any]
        | torch.Tensor
        | Decoded
        | Member
        | InputError
    )


@dataclass(frozen=True, slots=True)
class Provenance:
    """The origin of the pixels; None where the source does not state it.

    Attributes:
        width: Width of the scored pixels.
        height: Height of the scored pixels.
        format: Pillow's name of the file format, or ``"PIL"``, ``"array"``, ``"tensor"``.
        mode: Pillow's mode before conversion to RGB, such as ``"CMYK"``.
        file_bytes: Size of the file.
        jpeg_quality: libjpeg quality (1 to 100) whose quantisation table is nearest to the file's.
        exif_orientation: The EXIF tag, 1 to 8; None for any other value.
        sha256: SHA-256 of the RGB pixels, shape and dtype included: equal pictures have equal sums in any container.
        phash: Difference hash of the picture, 16 hexadecimal digits: near copies differ in few bits; see `duplicates`.
        notes: What was done on the way that changes pixels or leaves something out, and what the decoder reported.
    """

    width: int
    height: int
    format: str
    mode: str
    sha256: str
    phash: str = ""
    file_bytes: int | None = None
    jpeg_quality: int | None = None
    exif_orientation: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """RGB pixels, shape (H, W, 3): uint8 in 0..255, or float32 in 0..1 where the source is deeper than 8 bits."""

    pixels: np.ndarray[Any, Any] = field(repr=False)
    provenance: Provenance

    def middle_square(self, side: int) -> Picture:
        """The middle square, brought to a size; see `middle_square`. The provenance stays that of the whole image."""
        return replace(self, pixels=middle_square(self.bytes(), side))

    def bytes(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The pixels as (H, W, 3) uint8."""
        return to_bytes(self.pixels)

    def stored(self) -> torch.Tensor:
        """The pixels as (3, H, W), RGB, in their own type and range."""
        import torch

        return torch.from_numpy(self.pixels.transpose(2, 0, 1).copy())

    def tensor(self) -> torch.Tensor:
        """The pixels as (3, H, W), float32, RGB, in [-1, 1]."""
        return to_model_range(self.stored())


_LARGEST_RESIZED = 8192 * 8192


def middle_square(pixels: np.ndarray[Any, Any], side: int) -> np.ndarray[Any, Any]:
    """The middle square of (H, W, 3) uint8, brought to (side, side, 3) as DIRE and guided-diffusion do.

    Halved by boxes while the shorter side is twice the size or more, then resized bicubically, then cropped.
    """
    image = Image.fromarray(pixels)
    while min(image.size) >= 2 * side:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    factor = side / min(image.size)
    width, height = (round(length * factor) for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    if width * height <= _LARGEST_RESIZED:
        square = image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + side, top + side))
    else:  # of a strip of 1 by 5,000,000 the whole would have a billion pixels; the square differs in roundings alone
        across, down = image.width / width, image.height / height
        right, bottom = min((left + side) * across, image.width), min((top + side) * down, image.height)
        square = image.resize((side, side), Image.Resampling.BICUBIC, (left * across, top * down, right, bottom))
    return np.ascontiguousarray(square)


def to_model_range(stored: torch.Tensor) -> torch.Tensor:
    """Converts uint8 in 0..255 or float32 in 0..1 to float32 in [-1, 1], on the device where the tensor is."""
    unit = stored.clone() if stored.is_floating_point() else stored.float().div_(255)
    return unit.mul_(2).sub_(1)  # in place: of large images each copy counts


def open_picture(source: Any, settings: Settings = DEFAULTS, admit: Admit | None = None) -> Picture:
    """Reads one image.

    Args:
        source: An `ImageLike`: path, encoded bytes, open binary file, Pillow image, array, tensor, or the dict
            ``{"bytes": ..., "path": ...}`` of Hugging Face data sets. Arrays are (H, W), (H, W, 1), (H, W, 3) or
            (H, W, 4); tensors are (3, H, W) or (1, H, W). Integer values span their type (uint8, uint16), floating
            values lie in [0, 1]. Of a Pillow image the frame that it is at is read.
        settings: Limits, EXIF orientation and background of transparent images.
        admit: Called with the bytes of the file and the pixels that it declares, before they are decoded.

    Raises:
        UnreadableImage: Not an image, truncated, or in a format that this Pillow lacks.
        ImageTooLarge: More pixels or bytes than the settings allow.
        UsageError: A type, shape or value range that is not described above.
    """
    source = image_of_dict(source) if isinstance(source, Mapping) else source
    if isinstance(source, str | Path):
        return _from_bytes(read_file(Path(source), settings), settings, admit)
    if isinstance(source, Member):
        return _from_bytes(source.read(settings), settings, admit)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), settings, admit)
    if isinstance(source, Decoded):
        return picture_of(source, settings)
    if isinstance(source, InputError):  # what came of an image when its source was made
        raise source
    if isinstance(source, Image.Image):
        return picture_of(decode_opened(source, settings, admit), settings)
    if isinstance(source, np.ndarray) or (hasattr(source, "detach") and hasattr(source, "cpu")):
        return _from_values(source, settings, admit)
    if callable(getattr(source, "read", None)):
        return _from_bytes(read_stream(source, settings), settings, admit)
    raise UsageError(
        f"expected a path, bytes, an open file, a PIL image, an array or a tensor; got {type(source).__name__}"
    )


def image_of_dict(source: Mapping[Any, Any]) -> Any:
    """The bytes, or else the path, of an image as Hugging Face data sets hold it undecoded.

    Raises:
        UsageError: A dict without either.
    """
    image = next((source[key] for key in ("bytes", "path") if source.get(key) is not None), None)
    if image is None:
        keys = ", ".join(map(str, list(source)[:5]))
        raise UsageError(f"expected a dict with 'bytes' or 'path', as of Hugging Face data sets; got {keys or 'none'}")
    return image


def picture_of(decoded: Decoded, settings: Settings = DEFAULTS, *, file_bytes: int | None = None) -> Picture:
    """RGB pixels of what Pillow decoded; see `open_picture`."""
    turned = settings.exif_orientation and decoded.orientation not in (None, 1)
    with collected() as messages:
        try:
            pixels, how = to_rgb(decoded.upright() if turned else decoded.image, settings.alpha, decoded.grey)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # a palette that is not there, a mode without a way to RGB, ...
            reason = printable(f"{type(error).__name__}: {error}")
            raise UnreadableImage(
                f"mode {decoded.image.mode}, which Pillow cannot turn into RGB ({reason}); convert it to RGB"
            ) from error
    notes = (*decoded.notes, *(["turned as EXIF says"] if turned else []), *how, *messages)
    picture = _picture(pixels, format=decoded.format, mode=decoded.image.mode, notes=notes)
    provenance = replace(
        picture.provenance,
        file_bytes=file_bytes,
        jpeg_quality=decoded.jpeg_quality,
        exif_orientation=decoded.orientation,
    )
    return replace(picture, provenance=provenance)


def _from_bytes(data: bytes, settings: Settings, admit: Admit | None) -> Picture:
    return picture_of(decode(data, settings, admit), settings, file_bytes=len(data))


def _from_values(source: Any, settings: Settings, admit: Admit | None) -> Picture:
    kind = "array" if isinstance(source, np.ndarray) else "tensor"
    array = source if kind == "array" else array_of(source)
    if kind == "array":
        array = with_channels(array)
    height, width = array.shape[:2]
    check_pixels(width, height, settings)
    if admit:
        admit(0, width * height)
    pixels, notes = values_to_rgb(array, settings.alpha)
    return _picture(pixels, format=kind, mode=str(array.dtype), notes=tuple(notes))


def _picture(pixels: np.ndarray[Any, Any], *, format: str, mode: str, notes: tuple[str, ...]) -> Picture:
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(f"{width}x{height} {pixels.dtype}".encode())
    digest.update(pixels.data)
    provenance = Provenance(width, height, format, mode, digest.hexdigest(), difference_hash(pixels), notes=notes)
    return Picture(pixels, provenance)
