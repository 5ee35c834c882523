"""RGB from the modes of Pillow and from arrays: uint8 in 0..255, or float32 in 0..1 where the source is deeper."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin

from recon_detect.errors import UnreadableImage, UsageError

_BACKGROUNDS = {"white": 255, "black": 0}
_BAND = 512
_UNSIGNED, _SIGNED, _FLOATING = 1, 2, 3  # SampleFormat of TIFF
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1  # PhotometricInterpretation of TIFF


class Grey(NamedTuple):
    """The meaning of the numbers of a deep grey image: the value of white, and whether it stands for black."""

    top: float
    inverted: bool = False


def to_rgb(image: Image.Image, alpha: str, grey: Grey | None = None) -> tuple[np.ndarray[Any, Any], list[str]]:
    """(H, W, 3) and notes on what was done. Grey of more than 8 bits keeps its depth; colour is read as 8 bits."""
    if is_deep(image):
        return _deep_grey(image, alpha, grey or grey_of(image))
    if image.has_transparency_data and alpha != "drop":
        background = Image.new("RGBA", image.size, (_BACKGROUNDS[alpha],) * 3 + (255,))
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema() == (255, 255):
            return np.asarray(rgba.convert("RGB")), []
        return np.asarray(Image.alpha_composite(background, rgba).convert("RGB")), [f"alpha put on {alpha}"]
    done = [] if image.mode == "RGB" else [f"{image.mode} to RGB"]
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB")), done


def values_to_rgb(array: np.ndarray[Any, Any], alpha: str) -> tuple[np.ndarray[Any, Any], list[str]]:
    """(H, W, 3) from (H, W, C), C 1, 3 or 4, and notes on what was done.

    Raises:
        UsageError: Another type, or floating values outside [0, 1].
    """
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype == np.uint8 and array.shape[2] == 3:
        return array, []
    if array.dtype == np.uint8:
        return to_rgb(Image.fromarray(array[..., 0] if array.shape[2] == 1 else array), alpha)
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
        if alpha != "drop":
            opacity = unit[..., 3:]
            unit = unit[..., :3] * opacity + np.float32(_BACKGROUNDS[alpha] / 255) * (1 - opacity)
            notes.append(f"alpha put on {alpha}")
        unit = unit[..., :3]
    if unit.shape[2] == 1:
        unit = np.repeat(unit, 3, axis=2)
        notes.append("grey to RGB")
    return unit, notes


def to_bytes(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(H, W, 3) uint8 of pixels in uint8 or in float32 from 0 to 1, in bands of rows: of large images copies count."""
    if pixels.dtype == np.uint8:
        return pixels
    rounded = np.empty(pixels.shape, np.uint8)
    for top in range(0, len(pixels), _BAND):
        rounded[top : top + _BAND] = (pixels[top : top + _BAND] * 255).round()
    return rounded


def with_channels(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(H, W, C) from (H, W) or (H, W, C).

    Raises:
        UsageError: Another shape.
    """
    shape = array.shape
    array = array[..., None] if len(shape) == 2 else array
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in shape:
        raise UsageError(f"expected an array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); got {shape}")
    return array


def array_of(tensor: Any) -> np.ndarray[Any, Any]:
    """(H, W, C) of a torch tensor (C, H, W), with C 1, 3 or 4.

    Raises:
        UsageError: Another shape, or a tensor without values of its own (sparse, quantised, on the meta device).
    """
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3, 4) or 0 in tensor.shape:
        raise UsageError(f"expected a tensor of shape (3, H, W) or (1, H, W); got {tuple(tensor.shape)}")
    try:
        dense = tensor.detach().cpu()
        dense = dense.float() if dense.is_floating_point() else dense
        array: np.ndarray[Any, Any] = dense.permute(1, 2, 0).numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        kind = f"{str(tensor.layout).removeprefix('torch.')} tensor of {tensor.dtype} on {tensor.device}"
        raise UsageError(f"expected a dense tensor with values; got a {kind}") from error
    return array


def is_deep(image: Image.Image) -> bool:
    """True for grey of more than 8 bits: modes I, I;16 and its kin, and F."""
    return image.mode.startswith(("I", "F"))


def is_signed(image: Image.Image) -> bool:
    """True for TIFF of signed samples, which Pillow reads as unsigned where they have 8 bits."""
    return isinstance(image, TiffImagePlugin.TiffImageFile) and _SIGNED in image.tag_v2.get(
        TiffImagePlugin.SAMPLEFORMAT, ()
    )


def _deep_grey(image: Image.Image, alpha: str, meant: Grey) -> tuple[np.ndarray[Any, Any], list[str]]:
    top, inverted = meant
    stored = np.asarray(image)
    if top > 2**31:
        stored = stored.view(np.uint32)  # Pillow has no mode for it
    grey = stored.astype(np.float32) / np.float32(top)
    if not (grey.min() >= 0 and grey.max() <= 1):  # also catches NaN
        raise UnreadableImage(
            f"values from {stored.min():g} to {stored.max():g} in mode {image.mode}; expected integers from 0 to "
            f"{top:g}, or floating values from 0 to 1"
        )
    notes = ["grey to RGB"]
    if inverted:
        grey = 1 - grey
        notes.append("white is zero: turned")
    clear = image.info.get("transparency")
    if isinstance(clear, int) and alpha != "drop" and (stored == clear).any():
        grey = np.where(stored == clear, np.float32(_BACKGROUNDS[alpha] / 255), grey)
        notes.append(f"alpha put on {alpha}")
    return np.repeat(grey[..., None], 3, axis=2), notes


def grey_of(image: Image.Image) -> Grey:
    """Reads the meaning of the numbers of a deep grey image: TIFF states it, other formats fill 16 bits.

    Raises:
        UnreadableImage: A TIFF that says of its samples what has no agreed meaning.
    """
    depth = 1.0 if image.mode == "F" else 65535.0
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return Grey(depth)
    (bits,) = set(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
    (kind,) = set(image.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT, (_UNSIGNED,)))
    photometric = image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, _WHITE_IS_ZERO)
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) or kind not in (_UNSIGNED, _FLOATING) or bits < 9:
        raise UnreadableImage(
            f"TIFF of {bits} bits with photometric interpretation {photometric} and sample format {kind}: expected "
            "grey (0 or 1), unsigned or floating (1 or 3); convert it to 16-bit PNG"
        )
    return Grey(depth if kind == _FLOATING else 2.0**bits - 1, photometric == _WHITE_IS_ZERO)
