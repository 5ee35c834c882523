"""Files that are either whole or not there."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil

# Process ids are those of one machine, and folders may be shared.
_MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_TEMPORARY = re.compile(rf"\.recon-detect-{_MACHINE}-(\d+)-[0-9a-f]{{8}}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary name beside `path`, moved into place when the block ends well and removed when it does not.

    What killed processes of this machine left in the folder is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left(path.parent)
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
    temporary = path.with_name(f".recon-detect-{_MACHINE}-{os.getpid()}-{digest}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@cache
def remove_left(folder: Path) -> None:
    """Removes temporary files of processes that are dead, once for each folder."""
    with suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]:
            if (match := _TEMPORARY.fullmatch(name)) and not psutil.pid_exists(int(match[1])):
                (folder / name).unlink(missing_ok=True)
