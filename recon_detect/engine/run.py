"""The loop: images in, results out in the same order, in batches of one size, with memory bounded.

A pool of at most `window` decoded images waits for computation. The oldest image goes first and takes with it others of
its size, so results are held back for no more than one pool.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import torch

from recon_detect.engine.loader import Item, load
from recon_detect.engine.memory import BatchSizer
from recon_detect.errors import OutOfMemory
from recon_detect.images import Source, to_model_range
from recon_detect.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("recon_detect")

Result = TypeVar("Result")

# The pool also stops at this many bytes, 3 or 12 a pixel, so that huge photographs do not fill it with gigabytes.
_POOL_BYTES = 384_000_000


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Result]):
    """The outcome of one image: a result or an error."""

    item: Item
    result: Result | None = None
    error: Exception | None = None


def run(
    sources: Iterable[Source],
    compute: Callable[[Tensor, Sequence[Item]], Sequence[Result]],
    settings: Settings,
    device: torch.device,
    sizer: BatchSizer,
) -> Generator[Outcome[Result], None, None]:
    """Runs `compute` over all images.

    Args:
        sources: Images; read lazily.
        compute: From (B, 3, H, W) float32 in [-1, 1] on the device, and the items, to one result each.
        settings: Workers, window and limits.
        device: Where the batches go.
        sizer: Chooses batch sizes.

    Yields:
        One outcome per source, in input order. An image that fails does not stop the others. Closing the iterator
        stops the threads.
    """
    copy_stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
    pool: list[Item] = []
    done: dict[int, Outcome[Result]] = {}
    due = 0
    with closing(load(sources, settings)) as items:
        exhausted = False
        while True:
            while not exhausted and len(pool) < settings.window and _bytes(pool) < _POOL_BYTES:
                item = next(items, None)
                if item is None:
                    exhausted = True
                elif item.picture is None:
                    done[item.index] = Outcome(item, error=item.error)
                else:
                    pool.append(item)
            if pool:
                batch = _take_batch(pool, sizer)
                for outcome in _attempt(batch, compute, device, copy_stream, sizer):
                    done[outcome.item.index] = outcome
            while due in done:
                yield done.pop(due)
                due += 1
            if exhausted and not pool:
                return


def _bytes(pool: Sequence[Item]) -> int:
    return sum(item.picture.pixels.nbytes for item in pool if item.picture)


def _take_batch(pool: list[Item], sizer: BatchSizer) -> list[Item]:
    """Removes from the pool the oldest image and the next oldest of its size. One at a time keeps the input order."""
    alike = [item for item in pool if item.kind == pool[0].kind]
    batch = alike[: sizer.size(*pool[0].size)]
    taken = {item.index for item in batch}
    pool[:] = [item for item in pool if item.index not in taken]
    return batch


def _attempt(
    batch: list[Item],
    compute: Callable[[Tensor, Sequence[Item]], Sequence[Result]],
    device: torch.device,
    copy_stream: torch.cuda.Stream | None,
    sizer: BatchSizer,
) -> list[Outcome[Result]]:
    """Computes a batch; in halves when memory runs out, one by one when it fails otherwise."""
    height, width = batch[0].size
    try:
        sizer.check(len(batch), height, width)
        with torch.inference_mode():
            results = compute(_to_device(batch, device, copy_stream), batch)
        return [Outcome(item, result) for item, result in zip(batch, results, strict=True)]
    except Exception as error:
        short = _is_out_of_memory(error)
        if len(batch) == 1:
            if short and not isinstance(error, OutOfMemory):
                error = OutOfMemory(f"{width}x{height} does not fit into the memory of {device}: {error}")
            log.debug("%s failed", batch[0].source.id, exc_info=error)
            return [Outcome(batch[0], error=error)]
        if short:
            sizer.shrink(len(batch), height, width)
        step = max(len(batch) // 2, 1) if short else 1
    # Outside the except block: the traceback would keep the tensors of the failed attempt alive.
    if device.type == "cuda":
        torch.cuda.empty_cache()
    parts = [batch[start : start + step] for start in range(0, len(batch), step)]
    return [outcome for part in parts for outcome in _attempt(part, compute, device, copy_stream, sizer)]


def _is_out_of_memory(error: Exception) -> bool:
    from accelerate.utils.memory import should_reduce_batch_size

    return isinstance(error, torch.OutOfMemoryError | MemoryError | OutOfMemory) or should_reduce_batch_size(error)


def _to_device(batch: Sequence[Item], device: torch.device, copy_stream: torch.cuda.Stream | None) -> Tensor:
    """(B, 3, H, W) in [-1, 1] on the device; bytes travel, through pinned memory and a stream of their own on CUDA."""
    stored = torch.stack([item.picture.stored() for item in batch if item.picture])
    if copy_stream is not None:
        with torch.cuda.stream(copy_stream):
            stored = stored.pin_memory().to(device, non_blocking=True)
        torch.cuda.current_stream(device).wait_stream(copy_stream)
        stored.record_stream(torch.cuda.current_stream(device))
    return to_model_range(stored.to(device).contiguous(memory_format=torch.channels_last))
