"""Batch sizes: the number of images that fit into memory at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from recon_detect.engine.available import available_memory
from recon_detect.errors import OutOfMemory
from recon_detect.tensors.tiling import TILED_ABOVE

if TYPE_CHECKING:
    from recon_detect.models.reconstructor import Reconstructor

log = logging.getLogger("recon_detect")

# Peak bytes per pixel in float32, measured on the CPU (docs/results/speed.md): activations at full resolution rule.
_TINY_BYTES_PER_PIXEL = 850
_FULL_BYTES_PER_PIXEL = 3500
_WHOLE_BYTES_PER_PIXEL = 100

# Larger batches are slower on the CPU: all methods on two images of 320 px took 40 s together, 31 s in turn.
_CPU_BATCH_PIXELS = 320 * 320
_SHARE_OF_FREE = 0.8
_MAX_BATCH = 256


class BatchSizer:
    """Chooses batch sizes and learns from running out of memory.

    Args:
        device: Where the batches run.
        reconstructors: What they run through.
        fixed: A batch size to keep to as long as it fits.
        tiled: Whether the distances too are computed in tiles for large images.
    """

    def __init__(
        self,
        device: torch.device,
        reconstructors: Sequence[Reconstructor],
        fixed: int | None = None,
        *,
        tiled: bool = False,
    ) -> None:
        self._device = device
        self._fixed = fixed
        tiny = all(model.tiled for model in reconstructors)
        self._bytes_per_pixel = _TINY_BYTES_PER_PIXEL if tiny else _FULL_BYTES_PER_PIXEL
        self._tiled = tiled and tiny
        self._limit: int | None = None  # pixels, once memory has run out

    def size(self, height: int, width: int) -> int:
        """Images of this size per batch, at least 1."""
        pixels = height * width
        if self._fixed is not None:
            wanted = self._fixed
        elif self._device.type == "cpu":
            wanted = _CPU_BATCH_PIXELS // pixels
        else:
            wanted = int(_SHARE_OF_FREE * self._free()) // self._bytes(pixels)
        if self._limit is not None:
            wanted = min(wanted, self._limit // pixels)
        return min(max(wanted, 1), _MAX_BATCH)

    def shrink(self, count: int, height: int, width: int) -> None:
        """Notes that `count` images of this size did not fit."""
        self._limit = max(count // 2, 1) * height * width
        log.info("out of memory with %d images of %dx%d; going on with half", count, width, height)

    def check(self, count: int, height: int, width: int) -> None:
        """Refuses a batch that cannot fit. On the CPU the system would end the process rather than raise.

        Raises:
            OutOfMemory: More is needed than is free.
        """
        if self._device.type != "cpu":
            return
        needed, free = count * self._bytes(height * width), self._free()
        if needed > free:
            raise OutOfMemory(
                f"{width}x{height} needs about {needed / 1e9:.1f} GB of memory ({count} at a time), "
                f"{free / 1e9:.1f} GB are free; crop the image (do not resize it) or run where there is more"
            )

    def _bytes(self, pixels: int) -> int:
        """Peak for one image. In tiles only the image, its reconstruction and its maps are held whole."""
        if self._tiled and pixels > TILED_ABOVE:
            return self._bytes_per_pixel * TILED_ABOVE + _WHOLE_BYTES_PER_PIXEL * pixels
        return self._bytes_per_pixel * pixels

    def _free(self) -> int:
        if self._device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self._device)
            reserved = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
            return int(free + reserved)
        return available_memory()
