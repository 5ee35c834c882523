"""What to score: files, folders, globs, list files, manifests and the folder layouts that datasets use."""

from __future__ import annotations

import csv
import glob
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon_detect.errors import UsageError

if TYPE_CHECKING:
    from recon_detect.images.picture import ImageLike

IMAGE_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif"),
)

# Folder and column values that datasets use: real|fake, 0_real|1_fake (CNNSpot), nature|ai (GenImage).
_LABELS = {
    **dict.fromkeys(("real", "0_real", "nature", "reals", "photo", "photographs", "0"), "real"),
    **dict.fromkeys(("fake", "1_fake", "ai", "fakes", "generated", "synthetic", "1"), "generated"),
}
_PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path")
_LABEL_COLUMNS = ("label", "class", "target")


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


def find_sources(inputs: Iterable[str | Path]) -> Iterator[Source]:
    """Expands paths in the order given; within a folder, sorted by path.

    Each input is a file of any suffix, a folder (searched recursively for image suffixes), a glob pattern, a list file
    (``.txt``: one path a line) or a manifest (``.csv`` or ``.jsonl``, with ``path`` and perhaps ``label``). Paths in
    list files and manifests are relative to the file that names them. Labels come from the manifest or from the nearest
    folder named real|fake, 0_real|1_fake or nature|ai; 'real' and 'generated' are what they become.

    Raises:
        UsageError: A pattern or folder without images, a manifest without a path column.
    """
    for item in inputs:
        text = os.fspath(item)
        path = Path(text)
        if path.is_dir():
            yield from _nonempty(
                _folder(path), f"{text}: no images in this folder ({' '.join(sorted(IMAGE_SUFFIXES))})"
            )
        elif path.is_file():
            if path.suffix.lower() in (".csv", ".jsonl"):
                yield from _manifest(path)
            elif path.suffix.lower() == ".txt":
                yield from _list_file(path)
            else:
                yield _file(path)
        elif glob.has_magic(text) and not path.exists():
            matches = (Path(m) for m in sorted(glob.glob(text, recursive=True)))  # noqa: PTH207 - absolute patterns too
            yield from _nonempty((_file(m) for m in matches if m.is_file()), f"{text}: no file matches this pattern")
        else:
            yield _file(path)  # the file may be missing: that is found out when it is opened, as a row with an error


def as_sources(images: ImageLike | Source | Iterable[ImageLike | Source]) -> Iterator[Source]:
    """One or many images of any kind as sources; paths to folders, globs, list files and manifests are expanded."""
    # An array or tensor is one image (or, with four dimensions, a batch), not a sequence of rows.
    one = isinstance(images, str | Path | bytes | bytearray | Source) or hasattr(images, "ndim")
    many: Iterable[Any] = [images] if one or not hasattr(images, "__iter__") else images
    for number, image in enumerate(many):
        if isinstance(image, Source):
            yield image
        elif isinstance(image, str | Path):
            yield from find_sources([image])
        elif getattr(image, "ndim", 0) == 4:
            yield from (Source(part, f"image {number}.{place}") for place, part in enumerate(image))
        else:
            yield Source(image, f"image {number}")


def _nonempty(sources: Iterable[Source], message: str) -> Iterator[Source]:
    found = False
    for source in sources:
        found = True
        yield source
    if not found:
        raise UsageError(message)


def _file(path: Path, label: str | None = None, about: Mapping[str, Any] | None = None) -> Source:
    return Source(path, str(path), label or _label_of(path), about or {})


def _label_of(path: Path) -> str | None:
    for part in reversed(path.parts[:-1]):
        if label := _LABELS.get(part.lower()):
            return label
    return None


def _folder(root: Path) -> Iterator[Source]:
    for folder, subfolders, files in os.walk(root):
        subfolders.sort()
        for name in sorted(files):
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
                yield _file(Path(folder, name))


def _list_file(path: Path) -> Iterator[Source]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        for line in lines:
            if (name := line.strip()) and not name.startswith("#"):
                yield _file(path.parent / name)


def _manifest(path: Path) -> Iterator[Source]:
    for row in _json_lines(path) if path.suffix.lower() == ".jsonl" else _table(path):
        columns = {name.strip().lower(): name for name in row}
        path_column = next((columns[c] for c in _PATH_COLUMNS if c in columns), None)
        label_column = next((columns[c] for c in _LABEL_COLUMNS if c in columns), None)
        if path_column is None:
            got = ", ".join(columns) or "none"
            raise UsageError(f"{path}: expected a column {' or '.join(_PATH_COLUMNS)}; got {got}")
        if name := str(row[path_column] or "").strip():
            label = _LABELS.get(str(row[label_column]).strip().lower()) if label_column else None
            about = {name: value for name, value in row.items() if name not in (path_column, label_column)}
            yield _file(path.parent / name, label, about)


def _table(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        yield from csv.DictReader(lines, restkey="")


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line) if line.strip() else None
            except ValueError as error:
                raise UsageError(f"{path}, line {number}: expected a JSON object ({error})") from error
            if isinstance(row, dict):
                yield row
            elif row is not None:
                raise UsageError(f"{path}, line {number}: expected a JSON object; got {type(row).__name__}")
