"""Pillow's side of the door: a closed list of formats, stored pixels, first pictures, and one kind of error."""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from threading import Lock
from typing import Any, TypeAlias

import PIL
from PIL import ExifTags, GifImagePlugin, Image, TiffImagePlugin, UnidentifiedImageError

from recon_detect.errors import DeviceError, ImageTooLarge, InputError, UnreadableImage
from recon_detect.images.colour import Grey, grey_of, is_deep, is_signed
from recon_detect.images.containers import picture_alone, scans
from recon_detect.images.heard import collected, printable
from recon_detect.images.jpeg import estimate_quality
from recon_detect.images.kinds import format_of, kind_of
from recon_detect.images.libtiff import ends_early
from recon_detect.settings import DEFAULTS, Settings

# Called with the bytes of a file and the pixels that its header declares, before they are decoded; may wait or raise.
Admit: TypeAlias = Callable[[int, int], None]

# Pictures of pixels. Left out: what runs another program (EPS, WMF), plays (FLI, MPEG), holds several sizes (icons),
# data of instruments (FITS, GRIB, HDF5) or textures of games, and formats without a header to know them by.
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000", "PSD", "PPM", "PCX", "SGI", "SUN", "QOI", "TGA")  # fmt: skip  # noqa: E501
_HEIF = "HEIF"
# Decoded in Python, a microsecond or more a pixel.
_SLOW_FORMATS = frozenset(("QOI",))
_SLOW_PIXELS = 4_000_000
# Encoders write about ten; a scan of ten bytes costs a pass over the picture.
_MOST_SCANS = 100
_TGA_FOOTER = b"TRUEVISION-XFILE.\0"

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNS_BACK = _TURNS | {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
# How Pillow words that it lacks a variant of a format, which says nothing against the file.
_LACKING = re.compile(r"unsupported|not supported|unknown|cannot handle|not implemented|can't|not configured", re.I)
# Decoders write into Pillow's objects: two threads must not load one that a caller gave twice.
_callers = Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A picture as Pillow decodes it: stored pixels, not turned, in Pillow's own mode.

    Attributes:
        image: The picture, loaded.
        format: Pillow's name of the format, ``"PIL"`` where the image was not read from a file.
        orientation: The EXIF tag, 1 to 8; None where there is none that the standard allows.
        jpeg_quality: See `estimate_quality`.
        grey: How its numbers are meant, where it is grey of more than 8 bits.
        notes: What was left out on the way, and what the decoder reported.
    """

    image: Image.Image
    format: str
    orientation: int | None
    jpeg_quality: int | None
    grey: Grey | None = None
    notes: tuple[str, ...] = ()

    def copy(self) -> Decoded:
        """The same with an image of its own, which stays as it is when the caller's file goes on."""
        return replace(self, image=self.image.copy())

    def upright(self) -> Image.Image:
        """The picture turned as EXIF says."""
        turn = _TURNS.get(self.orientation or 1)
        return self.image if turn is None else self.image.transpose(turn)


def decode(data: bytes, settings: Settings = DEFAULTS, admit: Admit | None = None) -> Decoded:
    """Decodes the first picture of a file. Where what surrounds it is broken, it is decoded alone, with a note.

    Raises:
        UnreadableImage: Not an image, truncated, or of a kind that this Pillow lacks.
        ImageTooLarge: More pixels or bytes than the settings, or Pillow, allow.
    """
    if len(data) > settings.max_bytes:
        raise ImageTooLarge(f"{len(data):,} bytes, limit {settings.max_bytes:,}; raise max_bytes to read it")
    with collected() as messages:
        try:
            return _decode(data, settings, admit, messages)
        except (InputError, DeviceError, MemoryError):
            raise
        except Image.DecompressionBombError as error:
            raise ImageTooLarge(f"{error} This limit is Pillow's: PIL.Image.MAX_IMAGE_PIXELS") from error
        # Decoders raise nearly anything on hostile data (struct.error, SyntaxError, IndexError, ...): it is one fact.
        except Exception as error:
            alone = picture_alone(data)
            if alone is None or len(alone) == len(data):
                raise _unreadable(data, error, messages) from error
            cause = _cause(data, format_of(data), error)
            reason = printable(str(cause) or type(cause).__name__)
            messages.insert(0, f"metadata or later frames left out, which are broken or large: {reason}")
            try:
                return _decode(alone, settings, admit, messages)
            except (InputError, DeviceError, MemoryError):
                raise
            except Exception:
                raise _unreadable(data, error, messages[1:]) from error


def decode_opened(image: Image.Image, settings: Settings = DEFAULTS, admit: Admit | None = None) -> Decoded:
    """Decodes an image that the caller opened: the frame that it is at, where it is left.

    Raises:
        UnreadableImage: Without pixels, closed, truncated or broken.
        ImageTooLarge: More pixels than the settings allow.
    """
    with _callers, collected() as messages:
        try:
            _check_size(image.size, settings)
            if admit:
                admit(0, image.width * image.height)
            tag = _orientation_tag(image)
            turns = isinstance(image, TiffImagePlugin.TiffImageFile) and bool(image.tile)
            number = image.tell() if image.format not in (None, "PSD") else 0
            image.load()
            stored = image
            if turns and (turn := _turned_by_pillow(tag)) is not None:
                stored = image.transpose(turn)
                stored.format = image.format
            notes = [f"frame {number + 1}, where the opened image is"] if number else []
            return Decoded(
                stored, image.format or "PIL", _valid(tag), _quality(image), _grey(image), (*notes, *messages)
            )
        except (InputError, DeviceError, MemoryError):
            raise
        except Exception as error:
            raise UnreadableImage(
                f"an opened image that is closed, broken or truncated: {printable(f'{type(error).__name__}: {error}')}"
            ) from error


@cache
def heif_is_read() -> bool:
    """True where pillow-heif is installed; it is then registered with Pillow."""
    if importlib.util.find_spec("pillow_heif") is None:
        return False
    import pillow_heif

    pillow_heif.register_heif_opener()
    return True


def _decode(data: bytes, settings: Settings, admit: Admit | None, messages: list[str]) -> Decoded:
    formats = (*FORMATS, _HEIF) if heif_is_read() else FORMATS
    with Image.open(io.BytesIO(data), formats=formats) as image:
        kind = image.format or "PIL"
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            # Pillow turns TIFF, and no other format, while it loads: keep the stored pixels.
            image._size = image._tile_size
            vars(image)["load_end"] = lambda: None
        _check_size(image.size, settings, _SLOW_PIXELS if kind in _SLOW_FORMATS else None)
        if kind in ("JPEG", "MPO") and scans(data, _MOST_SCANS + 1) > _MOST_SCANS:
            raise UnreadableImage(f"a JPEG of more than {_MOST_SCANS} scans, made to take long")
        if admit:
            admit(len(data), image.width * image.height)
        several = _several(image, data)
        # TIFF forgets its tags when it is loaded; PNG may keep them behind the pixels.
        tag = _orientation_tag(image) if kind == "TIFF" else None
        declared = image.size
        image.load()
        if image.size != declared:
            _check_size(image.size, settings)
        if ends_early(image, data):
            raise UnreadableImage("broken or truncated TIFF: its fax codes end before the picture does")
        notes = [several] if several else []
        tag = tag if kind == "TIFF" else _orientation_tag(image)
        return Decoded(image, kind, _valid(tag), _quality(image), _grey(image), (*notes, *messages))


def _check_size(size: tuple[int, int], settings: Settings, slow: int | None = None) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise UnreadableImage(f"{width}x{height}: an image without pixels")
    check_pixels(width, height, settings)
    if slow is not None and width * height > slow:
        raise ImageTooLarge(
            f"{width}x{height} is {width * height:,} pixels, limit {slow:,} for a format that Pillow decodes slowly; "
            "convert it to PNG"
        )


def check_pixels(width: int, height: int, settings: Settings) -> None:
    """Refuses images of more pixels than the settings allow.

    Raises:
        ImageTooLarge: More pixels.
    """
    if width * height > settings.max_pixels:
        raise ImageTooLarge(
            f"{width}x{height} is {width * height:,} pixels, limit {settings.max_pixels:,}; "
            "crop it (do not resize: that removes the evidence) or raise max_pixels"
        )


def _several(image: Image.Image, data: bytes) -> str | None:
    """A note where the file has more frames. They are not counted: a file may have very many."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return "first of several pages" if image.is_animated else None
    if isinstance(image, GifImagePlugin.GifImageFile):
        try:  # on a copy: looking moves the file on to the second frame, which may be broken
            with Image.open(io.BytesIO(data), formats=("GIF",)) as probe:
                return "first of several frames" if getattr(probe, "is_animated", False) else None
        except Exception:
            return "first of several frames"
    frames = vars(image).get("n_frames", 1)  # where the header says so; of PSD it would count layers
    return f"first of {frames} frames" if isinstance(frames, int) and frames > 1 else None


def _orientation_tag(image: Image.Image) -> Any:
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # of broken EXIF: anything
        return None


def _valid(tag: Any) -> int | None:
    return tag if type(tag) is int and 1 <= tag <= 8 else None


def _turned_by_pillow(tag: Any) -> Image.Transpose | None:
    """Finds what undoes the turn that Pillow takes of a tag of any type: it looks it up by equality."""
    try:
        return _TURNS_BACK.get(tag)
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def _quality(image: Image.Image) -> int | None:
    return estimate_quality(getattr(image, "quantization", None))


def _grey(image: Image.Image) -> Grey | None:
    return grey_of(image) if is_deep(image) or is_signed(image) else None


# Pillow names the object that it read; where that lies differs from run to run.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def _unreadable(data: bytes, error: Exception, messages: list[str]) -> UnreadableImage:
    kind, what = format_of(data), kind_of(data)
    cause = _cause(data, kind, error)
    reason = _ADDRESS.sub("", printable("; ".join([f"{type(cause).__name__}: {cause}", *messages])))
    if what and (kind is None or (kind == _HEIF and not heif_is_read())):
        return UnreadableImage(f"not an image that is read, but {what}")
    if kind is None and not data.endswith(_TGA_FOOTER):  # nearly anything passes for a TGA without a footer
        return UnreadableImage(
            f"not an image of a format that is read (first bytes: {data[:8].hex(' ')}); convert it to PNG"
        )
    if kind and (isinstance(cause, NotImplementedError | KeyError) or _LACKING.search(reason)):
        return UnreadableImage(
            f"{kind} of a variant that Pillow {PIL.__version__} does not support ({reason}); convert it to PNG"
        )
    return UnreadableImage(f"broken or truncated {kind or 'TGA'}: {reason}")


def _cause(data: bytes, kind: str | None, error: BaseException) -> BaseException:
    """The error that the decoder raised. `Image.open` hides it, so the decoder is asked again."""
    if isinstance(error, UnidentifiedImageError) and kind in Image.OPEN:
        try:
            Image.OPEN[kind][0](io.BytesIO(data), "")
        except Exception as again:
            error = again
    return error.__cause__ or error
