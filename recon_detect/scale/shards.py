"""The unit of work: some images into one Parquet file, which is there whole or not at all."""

from __future__ import annotations

import glob
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from recon_detect.errors import UnreadableImage, UsageError
from recon_detect.images import Source, find_sources
from recon_detect.images.folders import image_files, is_of_system
from recon_detect.images.reading import shown
from recon_detect.images.remote import RemoteFile, is_remote, remote_files
from recon_detect.images.sources import is_stored
from recon_detect.output import Journal
from recon_detect.output.partial import digest_of, stamp

if TYPE_CHECKING:
    from recon_detect.detector import Detector

log = logging.getLogger("recon_detect")

# Images of a shard that is made of single files.
IMAGES_PER_SHARD = 1000

# The path of an archive or Parquet file, or single images.
Images: TypeAlias = str | tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Shard:
    """Images that are scored together.

    Attributes:
        number: Place in the run, from 0.
        images: Path of an archive or Parquet file, or single images.
        digest: Digest of their names, and of sizes and times of their files (`output.partial.digest_of`).
    """

    number: int
    images: Images
    digest: str

    @property
    def output(self) -> str:
        """Name of the file of its rows."""
        return f"{self.number:06}.parquet"

    @property
    def title(self) -> str:
        """Name of the archive, or of the first image."""
        return self.images if isinstance(self.images, str) else self.images[0].id


@dataclass(frozen=True, slots=True)
class ShardResult:
    """Counts of the rows of a shard, and the seconds that it took; 0 where it was complete before."""

    images: int
    failed: int
    likely_generated: int
    seconds: float = 0.0


def score_shard(source: str | Path | Sequence[Source], destination: Path, detector: Detector) -> ShardResult:
    """Scores images into one Parquet file: a row for each in their order, errors included.

    The rows depend on the images and on the detector alone. The file is moved into place when it is complete, with its
    description beside it; a start that was killed left `NAME.partial`, and the next one goes on with that. Complete
    files of the same images and settings are left as they are.

    Args:
        source: An archive, a Parquet file, or images.
        destination: A path that ends in ``.parquet``.
        detector: What scores them.

    Raises:
        UsageError: The destination is of other images or settings, or cannot be written.
        OutputLocked: Another process is writing it.
    """
    images = str(source) if isinstance(source, str | Path) else tuple(source)
    inputs = inputs_of(digest_of_images(images), detector)
    # Published scores depend on the images before: an interrupted run of them starts over.
    resume = detector.run_info.compat is None
    begun = time.monotonic()
    with Journal(destination, detector.run_info, limits=inputs, resume=resume) as journal:
        before = journal.finished()
        if not before:
            with closing(detector.run(_sources(images), journal, progress=False)) as rows:
                deque(rows, maxlen=0)
        counts = before or journal.finish()
    seconds = 0.0 if before else round(time.monotonic() - begun, 3)
    return ShardResult(counts["images"], counts["failed"], counts["likely_generated"], seconds)


def plan(inputs: Iterable[str | Path], images_per_shard: int = IMAGES_PER_SHARD) -> Iterator[Shard]:
    """Cuts images into shards, the same ones each time: each archive is one, and single images are put together.

    Args:
        inputs: As for `find_sources`. A folder, pattern or store with archives or Parquet files is taken for these.
        images_per_shard: Single images of a shard.

    Raises:
        UsageError: An input is not there, or has no images.
    """
    singles: list[str | Path] = []
    numbers = count()
    titles: set[str] = set()
    for item in inputs:
        archives = _archives(os.fspath(item))
        for name in archives:
            if name not in titles:
                yield Shard(next(numbers), name, digest_of_images(name))
        titles.update(archives)
        if archives:
            _warn_of_images(os.fspath(item))
        else:
            _check_exists(os.fspath(item))
            singles.append(item)
    single = _each_once(find_sources(singles))
    while images := tuple(islice(single, images_per_shard)):
        yield Shard(next(numbers), images, digest_of_images(images))


def _check_exists(text: str) -> None:
    """Checks a path: a long run does not begin with a slip of the pen, which would be a row with an error.

    Raises:
        UsageError: It is neither there, nor a pattern or a URL, on which `find_sources` reports.
    """
    if text and "\0" not in text and "://" not in text and not glob.has_magic(text) and not os.path.lexists(text):
        raise UsageError(f"{shown(text)}: no such file or folder")


def _warn_of_images(text: str) -> None:
    """Says that images beside archives are not scored."""
    if os.path.isdir(text) and (images := sum(1 for _ in image_files(Path(text), Counter()))):  # noqa: PTH112
        log.warning("%s: %d images beside its archives are left out; give them by a pattern, as *.png", text, images)


def _each_once(sources: Iterable[Source]) -> Iterator[Source]:
    names: set[str] = set()
    for source in sources:
        if source.id not in names:
            names.add(source.id)
            yield source


def _archives(text: str) -> list[str]:
    """Archives and Parquet files that an input is or has, sorted."""
    if is_remote(text):
        return [file.url for file in _listed(text) if is_stored(file.url)]
    if os.path.isdir(text):  # noqa: PTH112 - Path raises on over-long names
        paths = (path for path in Path(text).rglob("*") if not is_of_system(path.relative_to(text).parts))
        return sorted(str(path) for path in paths if is_stored(path.name) and path.is_file())
    if os.path.isfile(text) or "\0" in text:  # noqa: PTH113
        return [text] if is_stored(text) else []
    return sorted(name for name in glob.glob(text, recursive=True) if is_stored(name))  # noqa: PTH207


def _listed(url: str) -> list[RemoteFile]:
    try:
        return list(remote_files(url))
    except UnreadableImage as error:
        raise UsageError(str(error)) from error


def _sources(images: Images) -> Iterator[Source]:
    """The images of a shard; an archive that holds something else is one with an error."""
    if not isinstance(images, str):
        yield from images
        return
    try:
        yield from find_sources([images])
    except UsageError as error:
        yield Source(UnreadableImage(str(error)), images)


def inputs_of(digest: str, detector: Detector) -> dict[str, Any]:
    """Description of the images of a shard in its output: limits of the detector, and `Shard.digest`."""
    return {**detector.settings.limits, "source": digest}


def digest_of_images(images: Images) -> str:
    """Digest of what a shard is made of; see `Shard`."""
    names = [images] if isinstance(images, str) else [source.id for source in images]
    return digest_of({name: stamp(name) for name in names})
