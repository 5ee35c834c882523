"""Colours of heat maps."""

from __future__ import annotations

from typing import Any

import numpy as np

# Black, purple, red, yellow, white: even in lightness, readable in grey and with colour blindness.
_ANCHORS = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], dtype=np.float64)


def colour(error: np.ndarray[Any, Any], scale: float) -> np.ndarray[Any, Any]:
    """Colours an error map (h, w) as (h, w, 3) uint8; an error of `scale` and above is the brightest.

    The scale is the same for all images: stretched to each image's own range, a clean image would look as wrong as any.
    """
    position = np.clip(error / scale, 0, 1) * (len(_ANCHORS) - 1)
    channels = [np.interp(position, np.arange(len(_ANCHORS)), _ANCHORS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)
