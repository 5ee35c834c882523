"""Images in folders: which files are taken, which are left out, and what the folders say they are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from recon_detect.images.decode import heif_is_read

IMAGE_SUFFIXES = frozenset(
    (
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".dib"),
        *(".avif", ".avifs", ".jp2", ".j2k", ".jpf", ".jpx", ".jpc", ".j2c", ".psd", ".ppm", ".pgm", ".pbm", ".pnm"),
        *(".pfm", ".pcx", ".sgi", ".rgb", ".rgba", ".bw", ".ras", ".qoi", ".tga"),
    )
)
_HEIF_SUFFIXES = frozenset((".heic", ".heif", ".hif", ".heics", ".heifs"))
# What systems and tools put beside pictures: thumbnails and copies.
_SYSTEM_FOLDERS = frozenset(("__macosx", "@eadir", ".ipynb_checkpoints"))

# Folder and column values that datasets use: real|fake, 0_real|1_fake (CNNSpot), nature|ai (GenImage).
LABELS = {
    **dict.fromkeys(("real", "reals", "0_real", "nature", "photo", "photos", "photographs"), "real"),
    **dict.fromkeys(("fake", "fakes", "1_fake", "ai", "generated", "synthetic"), "generated"),
}
# Numbers mean other classes too, so that they count only where both are there.
NUMBERS = {"0": "real", "1": "generated"}


def image_files(root: Path, left_out: Counter[str]) -> Iterator[tuple[Path, str | None]]:
    """Image files in a folder and below, sorted by path, with the label that a folder inside it gives.

    Linked folders are followed, each folder once. Hidden files and folders and those of systems are left out.

    Args:
        root: The folder.
        left_out: Counts what is left out, by suffix, or as ``"hidden"``, ``"unreadable folder NAME"``.
    """
    yield from _walk(root, None, set(), left_out)


def _walk(folder: Path, label: str | None, seen: set[tuple[int, int]], left_out: Counter[str]) -> Iterator[
    tuple[Path, str | None]
]:  # fmt: skip
    try:
        status = folder.stat()
        if (place := (status.st_dev, status.st_ino)) in seen:
            return
        seen.add(place)
        with os.scandir(folder) as entries:
            listed = sorted((entry.name, _is_folder(entry)) for entry in entries)
    except OSError as error:
        left_out[f"unreadable folder {folder} ({error.strerror})"] += 1
        return
    suffixes = image_suffixes()
    for name, _ in (entry for entry in listed if not entry[1]):
        suffix = Path(name).suffix.lower()
        if name.startswith("."):
            left_out["hidden"] += 1
        elif suffix in suffixes:
            yield folder / name, label
        else:
            left_out[suffix or "without suffix"] += 1
    subfolders = [name for name, is_folder in listed if is_folder]
    paired = set(NUMBERS) <= set(subfolders)
    for name in subfolders:
        if is_of_system((name,)):
            left_out["hidden folder"] += 1
            continue
        inside = LABELS.get(name.lower()) or (NUMBERS.get(name) if paired else None)
        yield from _walk(folder / name, inside or label, seen, left_out)


def image_suffixes() -> frozenset[str]:
    """Suffixes of the formats that are read here."""
    return IMAGE_SUFFIXES | _HEIF_SUFFIXES if heif_is_read() else IMAGE_SUFFIXES


def is_of_system(parts: Iterable[str]) -> bool:
    """True where a part of a path is hidden, or a folder that systems make."""
    return any(part.startswith(".") or part.lower() in _SYSTEM_FOLDERS for part in parts)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """True for a folder or a link to one. A link in a circle is a file, which opening reports."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def label_inside(path: Path) -> str | None:
    """The label of the nearest folder of a relative path that says one."""
    return next((LABELS[part.lower()] for part in reversed(path.parts[:-1]) if part.lower() in LABELS), None)


def left_out_line(left_out: Counter[str]) -> str:
    """Describes what was left out: ``7 files left out: .heic 3, .txt 3, hidden 1``."""
    listed = ", ".join(f"{name} {count}" for name, count in left_out.most_common(12))
    more = f" and {len(left_out) - 12} other kinds" if len(left_out) > 12 else ""
    count = left_out.total()
    return f"{count} {'entry' if count == 1 else 'entries'} left out: {listed}{more}"
