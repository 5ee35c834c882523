"""Quality of a JPEG file from its quantisation tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

# ITU-T T.81, table K.1 (luminance) in zigzag-free row order, which is what Pillow returns.
_LUMINANCE = np.array(
    [
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
        14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
        18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ]
)  # fmt: skip


def _table(quality: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The luminance table that libjpeg writes at this quality (`jpeg_quality_scaling`)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    table: np.ndarray[tuple[int], np.dtype[np.int64]] = np.clip((_LUMINANCE * scale + 50) // 100, 1, 255)
    return table


def estimate_quality(tables: Mapping[int, Sequence[int]] | None) -> int | None:
    """The libjpeg quality (1 to 100) whose luminance table is nearest in L1, or None without tables.

    Encoders with tables of their own (cameras, Photoshop) get the nearest quality, which is what strata need.
    """
    nearest = _nearest(tables)
    return nearest[0] if nearest else None


def is_libjpeg(tables: Mapping[int, Sequence[int]] | None) -> bool:
    """True where the luminance table is exactly one of those that libjpeg writes."""
    nearest = _nearest(tables)
    return nearest is not None and nearest[1] == 0


def _nearest(tables: Mapping[int, Sequence[int]] | None) -> tuple[int, int] | None:
    """The libjpeg quality with the nearest luminance table, and how far that is in L1; None without tables."""
    first = np.asarray(tables[min(tables)]) if tables else np.empty(0)
    if first.size != 64:
        return None
    quality = min(range(100, 0, -1), key=lambda quality: int(np.abs(_table(quality) - first).sum()))
    return quality, int(np.abs(_table(quality) - first).sum())
