"""Rows that the benchmarks read, from folders on disk."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from benchmarks.common.data import ManifestRow
from benchmarks.datasets.rows import GENERATED, UNKNOWN, Dataset, Part
from recon_detect import Source, find_sources
from recon_detect.atomic import replacing
from recon_detect.errors import UsageError
from recon_detect.images.folders import IMAGE_SUFFIXES

COLUMNS = ("path", "label", "generator", "autoencoder", "width", "height")


def files_of(part: Part, root: Path, split: str) -> Iterator[tuple[Path, str]]:
    """Images of a part with what made them, sorted within each folder, each once."""
    seen: set[Path] = set()
    for pattern in part.folders:
        filled = pattern.format(split=split)
        for folder in [root] if filled == "." else sorted(root.glob(filled)):
            for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
                if path.suffix.lower() in IMAGE_SUFFIXES and path not in seen and path.is_file():
                    seen.add(path)
                    yield path, folder.name if part.generator == "*" else part.generator


def rows_of(dataset: Dataset, root: Path, split: str | None = None) -> list[ManifestRow]:
    """One row an image: path, label, generator and autoencoder.

    Raises:
        UsageError: The set has no such split, or nothing of it lies there; says how to get it.
    """
    split = dataset.splits[0] if split is None else split
    if split not in dataset.splits:
        raise UsageError(f"{dataset.name}: no split {split!r}; there are {', '.join(dataset.splits)}")
    rows = [
        {"path": str(path), "label": part.label, "generator": generator, "autoencoder": part.autoencoder}
        for part in dataset.parts
        for path, generator in files_of(part, root, split)
    ]
    if not rows:
        raise UsageError(f"{root}: nothing of {dataset.name} lies here.\n{how_to_get(dataset)}")
    return rows


def rows_of_any(place: Path) -> list[ManifestRow]:
    """The same of any folder or manifest with labels; a generator that no manifest names is called after its folder.

    Raises:
        UsageError: No image has a label.
    """
    sources = [source for source in find_sources([place]) if source.label]
    if not sources:
        raise UsageError(f"{place}: no image has a label; docs/guide/images.md says where labels come from")
    return [_row(source) for source in sources]


def _row(source: Source) -> ManifestRow:
    path, made = Path(str(source.image)), source.label == GENERATED
    named = {key: str(source.about.get(key) or "") for key in ("generator", "autoencoder")}
    fallback = {"generator": path.parent.name, "autoencoder": UNKNOWN} if made else {"generator": "", "autoencoder": ""}
    origin = {key: named[key] or fallback[key] for key in named}
    return {"path": str(path), "label": str(source.label), **origin}


def how_to_get(dataset: Dataset) -> str:
    """Source, licence and layout on disk of a data set."""
    folders = "\n".join(
        f"  {part.folders[0]}  {part.generator.replace('*', 'generators by folder') or 'photographs'}"
        for part in dataset.parts
    )
    sums = "".join(f"\n  {name}  {value}" for name, value in dataset.sums.items())
    return (
        f"{dataset.title} ({dataset.paper})\n"
        f"licence: {dataset.licence or 'none found where it is published: see there'}\n"
        f"get it from {dataset.url}\n{dataset.how}\n"
        f"expected below the root, for {{split}} {' or '.join(filter(None, dataset.splits)) or 'nothing'}:\n{folders}\n"
        + (f"published checksums:{sums}\n" if sums else "no checksums are published that we know of\n")
        + (f"note: {dataset.note}\n" if dataset.note else "")
    )


def check(dataset: Dataset, root: Path, split: str | None = None) -> Iterator[tuple[Part, int, bool]]:
    """Each part with the number of its images, and whether that is as expected (any number where none is known)."""
    chosen = dataset.splits[0] if split is None else split
    for part in dataset.parts:
        count = sum(1 for _ in files_of(part, root, chosen))
        expected = part.images if chosen == dataset.splits[0] else None
        yield part, count, count == expected if expected is not None else count > 0


def verify(dataset: Dataset, folder: Path) -> Iterator[tuple[str, bool]]:
    """Archives of a set that lie in a folder, by name, and whether their checksum is the published one."""
    for name, published in dataset.sums.items():
        if (path := folder / name).is_file():
            algorithm, _, value = published.partition(":")
            with path.open("rb") as file:
                yield name, hashlib.file_digest(file, algorithm).hexdigest() == value


def sample(rows: Sequence[ManifestRow], images: int | None) -> list[ManifestRow]:
    """Limits photographs and images of each generator to a number, chosen by the hash of their names; in order."""
    if images is None:
        return list(rows)
    by_generator: dict[str, list[ManifestRow]] = {}
    for row in sorted(rows, key=lambda row: hashlib.sha256(Path(row["path"]).name.encode()).digest()):
        by_generator.setdefault(row["generator"], []).append(row)
    chosen = {row["path"] for of in by_generator.values() for row in of[:images]}
    return [row for row in rows if row["path"] in chosen]


def write_manifest(rows: Iterable[ManifestRow], output: Path) -> tuple[int, list[str]]:
    """Writes rows with the sizes of their images, paths relative to the manifest.

    Returns:
        How many were written, and the paths of files whose header cannot be read, which are left out.
    """
    written, broken = 0, []
    with replacing(output) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in rows:
            try:
                with Image.open(row["path"]) as image:
                    width, height = image.size
            # Decoders raise nearly anything on broken files.
            except Exception:
                broken.append(row["path"])
                continue
            path = os.path.relpath(row["path"], output.parent)
            writer.writerow(row | {"path": path, "width": width, "height": height})
            written += 1
    return written, broken
