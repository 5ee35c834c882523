"""Threads that read and decode ahead of the computation, within bounds on what they hold."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass

from recon_detect.engine.available import available_memory
from recon_detect.engine.prefetch import ahead
from recon_detect.errors import OutOfMemory, ReconDetectError
from recon_detect.images import Picture, Source, open_picture
from recon_detect.settings import Settings

log = logging.getLogger("recon_detect")

# Pixels that headers declare, of images that are being decoded or wait to be taken; a larger image goes alone.
_AHEAD_PIXELS = 64_000_000
# Peak bytes a declared pixel while a picture is decoded, measured over all formats (docs/guide/images.md).
_BYTES_PER_PIXEL = 32


@dataclass(frozen=True, slots=True)
class Item:
    """One image on its way: its place in the input, and its pixels or what went wrong with them."""

    index: int
    source: Source
    picture: Picture | None
    error: Exception | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width; (0, 0) where there are no pixels."""
        return (self.picture.pixels.shape[0], self.picture.pixels.shape[1]) if self.picture else (0, 0)

    @property
    def kind(self) -> tuple[object, ...]:
        """Images of one kind can be stacked: same size, same type of pixels."""
        return (*self.size, self.picture.pixels.dtype if self.picture else None)


class Turnstile:
    """A bound on the memory of the images that are past it, which pass in the order of the input.

    In this order the image that the consumer waits for is never behind one that waits for the consumer.
    """

    def __init__(self) -> None:
        self._held: dict[int, int] = {}
        self._next = 0
        self._open = True
        self._changed = threading.Condition()

    def enter(self, index: int, pixels: int, file_bytes: int) -> None:
        """Waits for the turn of this image, and until it fits or no other is held; again, it passes at once.

        Raises:
            OutOfMemory: It does not fit alone.
        """
        with self._changed:
            if index < self._next:
                return
            self._changed.wait_for(lambda: not self._open or (self._next == index and self._may(pixels, file_bytes)))
            self._held[index] = pixels
            self._next += 1
            self._changed.notify_all()
            needed, free = pixels * _BYTES_PER_PIXEL + file_bytes, available_memory()
        if pixels and needed > free:
            raise OutOfMemory(
                f"{pixels:,} pixels need about {needed / 1e9:.1f} GB of memory to decode, {free / 1e9:.1f} GB are "
                "free; crop the image (do not resize it) or run where there is more"
            )

    def leave(self, index: int) -> None:
        """The image has been taken."""
        with self._changed:
            self._held.pop(index, None)
            self._changed.notify_all()

    def close(self) -> None:
        """Lets all pass that wait: nobody takes what comes of them."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def _may(self, pixels: int, file_bytes: int) -> bool:
        if not self._held:
            return True
        together = sum(self._held.values()) + pixels
        return together <= _AHEAD_PIXELS and together * _BYTES_PER_PIXEL + file_bytes <= available_memory()


def load(sources: Iterable[Source], settings: Settings) -> Generator[Item, None, None]:
    """Opens images in threads, in input order; see `ahead`."""
    turnstile = Turnstile()
    try:
        opening = ahead(lambda entry: _open(*entry, settings, turnstile), enumerate(sources), settings.workers)
        with closing(opening) as items:
            for item in items:
                turnstile.leave(item.index)
                yield item
    finally:
        turnstile.close()


def _open(index: int, source: Source, settings: Settings, turnstile: Turnstile) -> Item:
    """One image or its error, of whatever type: no image may cost the others their rows."""

    def admit(file_bytes: int, pixels: int) -> None:
        turnstile.enter(index, pixels, file_bytes)

    try:
        picture = open_picture(source.image, settings, admit)
        if settings.middle_square:
            picture = picture.middle_square(settings.middle_square)
        return Item(index, source, picture)
    except MemoryError as error:
        return Item(
            index, source, None, OutOfMemory(f"no memory to decode it ({error or 'none left'}); crop the image")
        )
    except Exception as error:
        if not isinstance(error, ReconDetectError):
            log.debug("%s could not be read", source.id, exc_info=error)
        return Item(index, source, None, error)
    finally:
        admit(0, 0)  # its turn, where it did not come so far
