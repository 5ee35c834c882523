"""Threads that read and decode ahead of the computation."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass

from recon_detect.engine.prefetch import ahead
from recon_detect.errors import InputError, UsageError
from recon_detect.images import Picture, Source, open_picture
from recon_detect.settings import Settings


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


def load(sources: Iterable[Source], settings: Settings) -> Generator[Item, None, None]:
    """Opens images in threads, in input order; see `ahead`."""
    yield from ahead(lambda numbered: _open(*numbered, settings), enumerate(sources), settings.workers)


def _open(index: int, source: Source, settings: Settings) -> Item:
    try:
        picture = open_picture(source.image, settings)
        if settings.middle_square:
            picture = picture.middle_square(settings.middle_square)
        return Item(index, source, picture)
    except (InputError, UsageError, MemoryError) as error:
        return Item(index, source, None, error)
