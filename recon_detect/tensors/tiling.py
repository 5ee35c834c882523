"""Large images in overlapping tiles, with the result of the whole image.

A network of convolutions sees no farther than its receptive field. With that much overlap, the tiles of its output are
those of the whole image up to rounding, at a fraction of the memory. Networks with attention or group normalisation
see everything and are not tiled: for them, tiles would change the score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# Side of a tile in pixels; images of more pixels than TILED_ABOVE are tiled.
TILE = 1024
TILED_ABOVE = 2_000_000


def is_large(x: Tensor, unit: int = 1) -> bool:
    """True where (B, C, h, w), whose positions are `unit` pixels wide, is to be computed in tiles."""
    return x.shape[-2] * x.shape[-1] * unit**2 > TILED_ABOVE


def tiled(
    function: Callable[..., Sequence[Tensor]],
    inputs: Sequence[Tensor],
    scales: Sequence[Callable[[int], int]],
    *,
    tile: int,
    halo: int,
) -> list[Tensor]:
    """Applies a local function tile by tile.

    Args:
        function: Maps inputs (B, C, h, w) of equal size to outputs, each (B, C', h', w').
        inputs: The whole images.
        scales: For each output, from a position in the input to the position in the output.
        tile: Side of the inner part of a tile; a multiple of every stride in `function`.
        halo: Overlap on each side; at least the radius of the receptive field, and a multiple of every stride.

    Returns:
        The outputs for the whole images.
    """
    height, width = inputs[0].shape[-2:]
    whole: list[Tensor] = []
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            y0, x0 = max(top - halo, 0), max(left - halo, 0)
            y1, x1 = min(bottom + halo, height), min(right + halo, width)
            parts = function(*(x[..., y0:y1, x0:x1] for x in inputs))
            if not whole:
                sizes = [(scale(height), scale(width)) for scale in scales]
                whole = [part.new_empty((*part.shape[:2], *size)) for part, size in zip(parts, sizes, strict=True)]
            for canvas, part, scale in zip(whole, parts, scales, strict=True):
                inner = part[..., scale(top - y0) : scale(bottom - y0), scale(left - x0) : scale(right - x0)]
                canvas[..., scale(top) : scale(bottom), scale(left) : scale(right)] = inner
    return whole
