"""Sources of images: files, folders, globs, lists, manifests, archives, stores, and images that callers hold."""

from __future__ import annotations

import glob
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from recon_detect.errors import InputError, UnreadableImage, UsageError
from recon_detect.images.archives import Member, Opener, is_archive, members, open_file
from recon_detect.images.decode import Decoded, decode_opened
from recon_detect.images.folders import IMAGE_SUFFIXES, image_files, image_suffixes, label_inside, left_out_line
from recon_detect.images.manifests import folder_of, list_file, manifest, named
from recon_detect.images.parquet import SUFFIX as PARQUET
from recon_detect.images.parquet import parquet_images
from recon_detect.images.picture import image_of_dict
from recon_detect.images.reading import read_file, shown
from recon_detect.images.remote import is_remote, remote_files

if TYPE_CHECKING:
    from recon_detect.images.picture import ImageLike

log = logging.getLogger("recon_detect")

_EXPECTED = (
    "expected a path, encoded bytes, an open binary file, a PIL image, an array (H, W[, C]) or (B, H, W, 3), a tensor "
    "(C, H, W) or (B, C, H, W), a dict with 'bytes' or 'path', or several of them"
)


@dataclass(frozen=True, slots=True)
class Source:
    """One image to score.

    Attributes:
        image: What to open.
        id: What to call it in the results.
        label: ``"real"`` or ``"generated"`` where it is known.
        about: What else its manifest says of it, by column.
    """

    image: ImageLike
    id: str
    label: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict, compare=False)


def find_sources(inputs: Iterable[str | Path], left_out: Counter[str] | None = None) -> Iterator[Source]:
    """Expands paths in the order given; within a folder, sorted by path.

    Each input is a file of any suffix, a folder (searched recursively for image suffixes), a glob pattern, a list file
    (``.txt``: one path a line), a manifest (``.csv``, ``.jsonl`` or ``.parquet``, with ``path`` and perhaps ``label``),
    an archive of images (``.zip``, ``.tar``, compressed ``.tar``; ``.parquet`` with encoded images) or the URL of a
    store that fsspec reaches. A path that exists is that file, whatever its name. Paths in list files and manifests are
    relative to the file that names them. An image in an archive is named as if the archive were a folder; one in a
    Parquet file with its row as folder: ``data.parquet/17/cat.png``.
    Labels come from the manifest, or from the nearest folder inside what was given that is named as in
    docs/guide/images.md; 'real' and 'generated' are what they become.

    Args:
        inputs: The paths.
        left_out: Counts files that folders hold and that are not taken, by suffix, and labels that are not known; each
            folder and manifest also has a line in the log on them.

    Raises:
        UsageError: An empty path, a pattern or folder without images, a manifest without a path column.
    """
    for item in inputs:
        text = os.fspath(item)
        if not text:
            raise UsageError("expected a path; got an empty one (for the current folder write '.')")
        if is_remote(text):
            yield from _remote(text, left_out)
            continue
        if os.path.isdir(text):  # noqa: PTH112 - Path raises on over-long names
            yield from _folder(Path(text), left_out)
        elif os.path.isfile(text):  # noqa: PTH113
            yield from _file_or_list(Path(text), left_out)
        elif glob.has_magic(text) and "\0" not in text and not os.path.lexists(text):
            matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - absolute patterns too
            names = (Path(m) for m in matches if not os.path.isdir(m))  # noqa: PTH112 - Path raises where it may not look
            files = (source for name in names for source in _matched(text, name, left_out))
            yield from _nonempty(files, f"{shown(text)}: no file matches this pattern")
        else:
            yield _file(Path(text))  # that it is missing is found out when it is opened, as a row with an error


def as_sources(images: ImageLike | Source | Iterable[ImageLike | Source]) -> Iterator[Source]:
    """One or many images of any kind as sources; paths to folders, globs, list files and manifests are expanded.

    Raises:
        UsageError: What cannot be an image or several.
    """
    for number, image in enumerate(_several(images)):
        if isinstance(image, Source):
            yield image
        elif isinstance(image, str | Path):
            yield from find_sources([image])
        elif isinstance(image, Mapping):
            path = image.get("path")
            name = os.path.basename(path) if isinstance(path, str) and path else f"image {number}"  # noqa: PTH119
            yield Source(image, path if image.get("bytes") is None and path else name)
        elif isinstance(image, Image.Image):
            yield Source(_at_its_frame(image), f"image {number}")
        elif getattr(image, "ndim", 0) == 4:
            yield from (Source(part, f"image {number}.{place}") for place, part in enumerate(_batch(image)))
        else:
            opened = getattr(image, "name", None) if hasattr(image, "read") else None
            yield Source(image, opened if isinstance(opened, str) else f"image {number}")


def _several(images: Any) -> Iterable[Any]:
    """Several images. An array or tensor of numbers, an open file and a dict are one image, not a sequence of rows."""
    one = (str, Path, bytes, bytearray, memoryview, Source, Image.Image, Mapping, Decoded, InputError)
    if isinstance(images, Mapping):
        image_of_dict(images)  # raises for a dict of something else, as for all that is no image
    if isinstance(images, one) or callable(getattr(images, "read", None)):
        return [images]
    if isinstance(images, np.ndarray) and images.dtype.kind in "OUST":
        return [item.item() if isinstance(item, np.generic) else item for item in images.ravel()]
    if isinstance(images, np.ndarray) or (hasattr(images, "detach") and hasattr(images, "cpu")):
        return [images]
    if not hasattr(images, "__iter__"):
        raise UsageError(f"{_EXPECTED}; got {type(images).__name__}")
    return images  # type: ignore[no-any-return]


def _at_its_frame(image: Image.Image) -> Any:
    """The image, or its present frame where it has several: the caller may go on to the next before this is scored."""
    try:
        several = bool(getattr(image, "is_animated", False))
    except Exception:  # of a closed or broken file: anything
        several = False
    if not several:
        return image
    try:
        decoded = decode_opened(image)
    except InputError as error:
        return error
    return decoded.copy()


def _batch(images: Any) -> Any:
    """The images of a batch: an array (B, H, W, 3) or (B, H, W, 4), a tensor (B, C, H, W)."""
    if isinstance(images, np.ndarray) and images.shape[-1] not in (3, 4):
        raise UsageError(f"{_EXPECTED}; got an array of shape {images.shape}")
    return images


def _nonempty(sources: Iterable[Source], message: str) -> Iterator[Source]:
    empty = True
    for source in sources:
        empty = False
        yield source
    if empty:
        raise UsageError(message)


def _file(path: Path, label: str | None = None, about: Mapping[str, Any] | None = None) -> Source:
    name = str(path)
    return Source(path, shown(name) if name[:5].lower() == "data:" else name, label, about or {})


def _inside_pattern(pattern: str, match: Path) -> str | None:
    """The label of folders that the pattern leaves open."""
    first = next(place for place, part in enumerate(Path(pattern).parts) if glob.has_magic(part))
    return label_inside(Path(*match.parts[first:]))


def _matched(pattern: str, match: Path, left_out: Counter[str] | None) -> Iterator[Source]:
    """The images of a file that a pattern matches: those of an archive, or itself."""
    if is_stored(match.name):
        yield from _file_or_list(match, left_out)
    else:
        yield _file(match, _inside_pattern(pattern, match))


def _folder(root: Path, left_out: Counter[str] | None) -> Iterator[Source]:
    counts: Counter[str] = Counter()
    suffixes = " ".join(sorted(IMAGE_SUFFIXES))
    empty = True
    for path, label in image_files(root, counts):
        empty = False
        yield _file(path, label)
    _report(str(root), counts, left_out)
    if empty:
        line = f"; {left_out_line(counts)}" if counts else ""
        raise UsageError(f"{root}: no images in this folder ({suffixes}){line}")


def _report(name: str, counts: Counter[str], left_out: Counter[str] | None) -> None:
    """Counts what was left out, with a line in the log."""
    if counts:
        log.warning("%s: %s", name, left_out_line(counts))
    if left_out is not None:
        left_out.update(counts)


def _file_or_list(path: Path, left_out: Counter[str] | None) -> Iterator[Source]:
    suffix = path.suffix.lower()
    if suffix == ".txt":
        for name in list_file(path):
            yield _file(named(path.parent, name), None if Path(name).is_absolute() else label_inside(Path(name)))
    elif suffix in (".csv", ".jsonl"):
        unknown: Counter[str] = Counter()
        folder = folder_of(path)
        for name, label, about in manifest(path, unknown):
            inside = None if Path(name).is_absolute() else label_inside(Path(name))
            yield _file(named(folder, name), label or inside, about)
        if unknown:
            listed = ", ".join(f"{label!r} {count}" for label, count in unknown.most_common(8))
            log.warning("%s: labels that are not known, whose rows have none: %s", path, listed)
        if left_out is not None:
            left_out.update({f"label {label!r}": count for label, count in unknown.items()})
    elif is_stored(path.name):
        yield from _stored(str(path), partial(open_file, path), left_out, folder_of(path))
    else:
        yield _file(path)


def is_stored(name: str) -> bool:
    """True for names of files that hold images: archives and Parquet."""
    return is_archive(name) or name.lower().endswith(PARQUET)


def _stored(name: str, opener: Opener, left_out: Counter[str] | None, folder: Path | None = None) -> Iterator[Source]:
    """Images of an archive or Parquet file; `folder` is what paths in it are relative to, None for those of a store."""
    if name.lower().endswith(PARQUET):
        yield from _parquet(name, opener, folder)
        return
    counts: Counter[str] = Counter()
    for inside, member in members(name, opener, counts, streamed=folder is None):
        yield Source(member, f"{name}/{inside}" if inside else name, label_inside(Path(inside)))
    _report(name, counts, left_out)


def _parquet(name: str, opener: Opener, folder: Path | None) -> Iterator[Source]:
    try:
        for image in parquet_images(name, opener):
            inner = Path(image.path or "")
            file = named(folder, image.path) if folder and image.path else None
            if image.content:
                content: ImageLike = Member(0, partial(_content, image.content, file))
            else:
                content = file or UnreadableImage("a row without a path")
            name_of_row = str(file) if file and not image.content else f"{name}/{Path(str(image.row), inner.name)}"
            label = image.label or (None if inner.is_absolute() else label_inside(inner))
            yield Source(content, name_of_row, label)
    except UnreadableImage as error:
        yield Source(error, name)


def _content(content: Callable[[int], bytes | None], file: Path | None, limit: int) -> bytes:
    """The bytes of a row of a Parquet file, or else those of the file that it names."""
    data = content(limit)
    if data is not None:
        return data
    if file is None:
        raise ValueError("the row has neither bytes nor a path that can be read")
    return read_file(file)[:limit]


def _remote(url: str, left_out: Counter[str] | None) -> Iterator[Source]:
    """Images in a store: below a folder, by a pattern, or in archives."""
    suffixes = image_suffixes()
    counts: Counter[str] = Counter()
    try:
        for file in remote_files(url):
            suffix = Path(file.url).suffix.lower()
            if is_stored(file.url):
                yield from _stored(file.url, file.opener, left_out)
            elif suffix in suffixes or not file.inside:
                yield Source(Member(file.size, partial(_whole, file.opener)), file.url, label_inside(Path(file.inside)))
            else:
                counts[suffix or "without suffix"] += 1
    except UnreadableImage as error:
        yield Source(error, url)
    _report(url, counts, left_out)


def _whole(opener: Opener, limit: int) -> bytes:
    with opener() as file:
        return file.read(limit)
