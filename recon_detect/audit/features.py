"""Measurements of an image that do not look at what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image, JpegImagePlugin
from scipy import fft, ndimage

from recon_detect.errors import UsageError
from recon_detect.images.archives import Member
from recon_detect.images.decode import decode
from recon_detect.images.jpeg import is_libjpeg
from recon_detect.images.picture import picture_of
from recon_detect.images.reading import read_file
from recon_detect.methods.grid.jpeg import NO_JPEG, jpeg_match
from recon_detect.settings import DEFAULTS, Settings

if TYPE_CHECKING:
    from recon_detect.images.picture import ImageLike, Provenance

# A number, 0 or 1 for no and yes, a word for a category; None where the image has no such thing.
Value: TypeAlias = float | str | None
Grey: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float32]]

FILE, SIZE, COMPRESSION, PIXELS = "file", "size", "compression", "pixels"
NUMBER, FLAG, CATEGORY = "number", "flag", "category"


@dataclass(frozen=True, slots=True)
class Feature:
    """One measurement: its name in files, its name for people, what it belongs to and of which kind it is."""

    name: str
    title: str
    group: str
    kind: str = NUMBER


FEATURES = (
    Feature("format", "file format", FILE, CATEGORY),
    Feature("bytes_per_pixel", "bytes per pixel", FILE),
    Feature("jpeg_quality", "JPEG quality", FILE),
    Feature("jpeg_libjpeg", "JPEG tables of libjpeg", FILE, FLAG),
    Feature("chroma_subsampling", "chroma subsampling", FILE, CATEGORY),
    Feature("progressive", "progressive JPEG", FILE, FLAG),
    Feature("mode", "colour mode", FILE, CATEGORY),
    Feature("alpha", "transparency", FILE, FLAG),
    Feature("exif", "EXIF", FILE, FLAG),
    Feature("icc", "ICC profile", FILE, FLAG),
    Feature("xmp", "XMP", FILE, FLAG),
    Feature("c2pa", "C2PA manifest", FILE, FLAG),
    Feature("text", "text entries", FILE, FLAG),
    Feature("dpi", "resolution entry", FILE, FLAG),
    Feature("width", "width", SIZE),
    Feature("height", "height", SIZE),
    Feature("size", "exact size", SIZE, CATEGORY),
    Feature("megapixels", "megapixels", SIZE),
    Feature("aspect", "aspect ratio", SIZE),
    Feature("multiple_of_8", "sides multiples of 8", SIZE, FLAG),
    Feature("multiple_of_64", "sides multiples of 64", SIZE, FLAG),
    Feature("blockiness", "blockiness", COMPRESSION),
    Feature("grid_elsewhere", "grid of 8 px elsewhere", PIXELS),
    Feature("zero_coefficients", "vanishing DCT coefficients", COMPRESSION),
    Feature("jpeg_grid", "grid of JPEG", COMPRESSION),
    Feature("sharpness", "sharpness", PIXELS),
    Feature("fine_detail", "fine detail", PIXELS),
    Feature("brightness", "brightness", PIXELS),
    Feature("saturation", "saturation", PIXELS),
)

# Pixels are looked at in the middle square of this side: enough for means, and quick for camera images.
_SIDE = 1024
_BLOCK = 8
# Below it there are too few blocks.
_SMALLEST = 3 * _BLOCK
_WEIGHTS = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as in JPEG
_SUBSAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
# JUMBF description box whose type begins so (C2PA 2.1, section 11.1.4.2), in any container.
_C2PA = b"jumdc2pa"
_XMP_KEYS = ("xmp", "XML:com.adobe.xmp")
# Photographs that were never compressed, and images as decoders of latent diffusion write them, stay below, but for a
# few in a hundred (docs/guide/audit.md): they are no sign of JPEG. Zeros of a photograph in JPEG 98 are mostly above.
_NO_BLOCKS, _NO_ZEROS = 0.05, 0.1


def measure(image: ImageLike, settings: Settings = DEFAULTS) -> dict[str, Value]:
    """All `FEATURES` of one image by name, and ``sha256`` of its pixels.

    Args:
        image: Path or encoded bytes: pixels alone have no file to look at.
        settings: Limits and background of transparent images.

    Raises:
        InputError: The image cannot be read.
        UsageError: Neither a path nor bytes.
    """
    if isinstance(image, str | Path):
        data = read_file(Path(image), settings)
    elif isinstance(image, Member):
        data = image.read(settings)
    elif isinstance(image, bytes):
        data = image
    else:
        raise UsageError(f"an audit looks at files: expected a path or encoded bytes; got {type(image).__name__}")
    decoded = decode(data, settings)
    picture = picture_of(decoded, settings, file_bytes=len(data))
    values = _of_file(decoded.image, data, picture.provenance)
    values |= _of_pixels(picture.bytes())
    return values | {"sha256": picture.provenance.sha256}


def _of_file(file: Image.Image, data: bytes, origin: Provenance) -> dict[str, Value]:
    """After decoding: PNG stores part of its entries behind the pixels."""
    width, height = origin.width, origin.height
    entries = dict(getattr(file, "text", {})) | {key: file.info[key] for key in ("comment",) if key in file.info}
    jpeg = isinstance(file, JpegImagePlugin.JpegImageFile)
    flags = {
        "alpha": file.has_transparency_data,
        "exif": bool(file.getexif()),
        "icc": bool(file.info.get("icc_profile")),
        "xmp": any(file.info.get(key) for key in _XMP_KEYS),
        "c2pa": _C2PA in data,
        "text": bool(set(entries) - set(_XMP_KEYS)),
        # Pillow reports 72 dpi for a JPEG with EXIF and without a resolution.
        "dpi": bool(file.info.get("jfif_unit")) if jpeg else "dpi" in file.info,
        "multiple_of_8": width % 8 == height % 8 == 0,
        "multiple_of_64": width % 64 == height % 64 == 0,
    }
    if jpeg:
        flags |= {
            "progressive": bool(file.info.get("progressive")),
            "jpeg_libjpeg": is_libjpeg(getattr(file, "quantization", None)),
        }
    values: dict[str, Value] = {name: float(value) for name, value in flags.items()}
    return (
        {feature.name: None for feature in FEATURES}
        | values
        | {
            "format": origin.format,
            "bytes_per_pixel": len(data) / (width * height),
            "jpeg_quality": None if origin.jpeg_quality is None else float(origin.jpeg_quality),
            "chroma_subsampling": _SUBSAMPLING.get(JpegImagePlugin.get_sampling(file), "other") if jpeg else None,
            "mode": origin.mode,
            "width": float(width),
            "height": float(height),
            "size": f"{width}x{height}",
            "megapixels": width * height / 1e6,
            "aspect": width / height,
        }
    )


def _of_pixels(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, Value]:
    rows, columns = (slice(start := max((side - _SIDE) // 2 // _BLOCK * _BLOCK, 0), start + _SIDE)
                     for side in pixels.shape[:2])  # fmt: skip
    middle = pixels[rows, columns].astype(np.float32)
    grey: Grey = middle @ _WEIGHTS
    values: dict[str, Value] = {
        "sharpness": float(ndimage.laplace(grey).var()),
        "brightness": float(grey.mean() / 255),
        "saturation": float(np.ptp(middle, axis=2).mean() / 255),
    }
    if match := jpeg_match(pixels):
        values["jpeg_grid"] = max(match[0] - NO_JPEG, 0.0)
    if min(grey.shape) >= _SMALLEST:
        on, off = _blockiness(grey)
        values |= {
            "blockiness": max(on - _NO_BLOCKS, 0.0),
            "grid_elsewhere": off,
            "zero_coefficients": max(_zero_coefficients(grey) - _NO_ZEROS, 0.0),
            "fine_detail": _fine_detail(grey),
        }
    return values


def _blockiness(grey: Grey) -> tuple[float, float]:
    """Steps between blocks of 8 px against steps elsewhere, as logarithms: on the file's grid, and at the next worst.

    The cross difference of Chen and Hsu (IEEE TIFS 6(2), 2011), which leaves out what is straight; its logarithm, so
    that edges do not outweigh faint steps; against the three other places of the same parity, so that an image enlarged
    by 2 has none. The second is high where a JPEG was cropped off its grid.
    """
    steps = np.log1p(np.abs(grey[1:, 1:] + grey[:-1, :-1] - grey[1:, :-1] - grey[:-1, 1:]))
    contrast = np.zeros(_BLOCK)
    for axis in (0, 1):
        profile = steps.mean(axis=axis, dtype=np.float64)
        phases = profile[: len(profile) // _BLOCK * _BLOCK].reshape(-1, 4, 2).mean(axis=0) + 1e-6
        others = (phases.sum(axis=0) - phases) / 3
        contrast += np.log(phases / others).ravel() / 2
    return float(contrast[-1]), float(contrast[:-1].max())  # the step behind a block is the last


def _zero_coefficients(grey: Grey) -> float:
    """Log ratio of the shares of DCT coefficients that vanish on the grid of 8 px and half a block off it.

    Quantisation makes them vanish on the grid of a JPEG alone (ZERO, Nikoukhah et al., IPOL 11, 2021).
    """
    shares = []
    for start in (0, _BLOCK // 2):
        height, width = ((side - start) // _BLOCK * _BLOCK for side in grey.shape)
        blocks = grey[start : start + height, start : start + width].reshape(height // 8, 8, width // 8, 8)
        coefficients = fft.dctn(blocks, axes=(1, 3), norm="ortho")
        shares.append(np.mean(np.abs(coefficients) < 0.5))
    return float(np.log((shares[0] + 1e-4) / (shares[1] + 1e-4)))


def _fine_detail(grey: Grey) -> float:
    """Share of the spectrum's energy above half the Nyquist frequency, as a logarithm: low after enlarging."""
    side = min(512, *grey.shape)
    part = grey[:side, :side] - grey[:side, :side].mean()
    window = np.hanning(side).astype(np.float32)
    power = np.abs(fft.rfft2(part * window * window[:, None])) ** 2
    fine = np.maximum(np.abs(fft.fftfreq(side))[:, None], fft.rfftfreq(side)) > 0.25
    return float(np.log((power[fine].sum() + 1e-9) / (power.sum() + 1e-9)))
