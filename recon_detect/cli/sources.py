"""The images that a command line names."""

from __future__ import annotations

import glob
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from recon_detect.errors import UsageError
from recon_detect.images import Source, find_sources
from recon_detect.settings import DEFAULTS

STDIN = "-"


class Sources:
    """Images by path, each once. They are looked up again for each pass: only their names are held in memory.

    Args:
        paths: See `find_sources`.
        label: Label of all of them; None takes those of manifests and folders.

    Raises:
        UsageError: There are none.

    The path ``-`` is an image on stdin, which is read once and held.
    """

    def __init__(self, paths: Sequence[str], label: str | None = None) -> None:
        # The package has a limit of its own, and says so in the row.
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        self._paths = paths
        self._label = label
        self._stdin = b""
        self._count = sum(1 for _ in self)
        if not self._count:
            raise UsageError(f"no images in {', '.join(paths)}")

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Source]:
        names: set[str] = set()
        for source in self._found():
            if source.id not in names:
                names.add(source.id)
                yield replace(source, label=self._label or source.label)

    def _found(self) -> Iterator[Source]:
        for path in self._paths:
            if path != STDIN:
                yield from find_sources([path])
                continue
            if not self._stdin:
                self._stdin = sys.stdin.buffer.read(DEFAULTS.max_bytes + 1)
            yield Source(self._stdin, STDIN, None)


def labelled(real: Sequence[str], generated: Sequence[str]) -> tuple[Sources, dict[str | None, Sources]]:
    """Photographs, and generated images by the NAME of those that are given as NAME=PATH.

    Raises:
        UsageError: A path does not exist, there are none of a kind that is named, or an image is of both.
    """
    by_name: dict[str | None, list[str]] = {}
    for text in generated:
        name, _, path = ("", "", text) if Path(text).exists() else text.rpartition("=")
        by_name.setdefault(name or None, []).append(path)
    for path in (*real, *(path for paths in by_name.values() for path in paths)):
        if path and not glob.has_magic(path) and not os.path.lexists(path):
            raise UsageError(f"{path}: no such file or folder")
    photographs = Sources(real, "real")
    others = {name: Sources(paths, "generated") for name, paths in by_name.items()}
    if others:
        names = {source.id for source in photographs}
        for source in (source for sources in others.values() for source in sources):
            if source.id in names:
                raise UsageError(f"{source.id} is given as --real and as --generated; leave it out of one")
    return photographs, others
