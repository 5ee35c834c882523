"""Checks that outputs can be written, before anything is computed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from recon_detect.errors import UsageError
from recon_detect.names import is_too_long

# Enough that a full disk shows.
_PROBE = bytes(65536)


def check_file(path: Path | None, description: str = ".run.json") -> None:
    """Checks that a file can be written, and the description whose name is its own and a suffix; None is no file.

    Raises:
        UsageError: It is a folder, its name is too long, or its folder cannot be made or written.
    """
    if path is None:
        return
    if is_too_long(path.name + description):  # first: Path raises on such names
        raise UsageError(f"{path}: the name is too long; expected at most {255 - len(description)} bytes")
    for written in (path, path.with_name(path.name + description)) if path.name else (path,):
        if written.is_dir():
            raise UsageError(f"{written}: a folder; expected the name of a file")
    check_folder(path.parent)


def check_apart(paths: Iterable[str], folder: Path | None) -> None:
    """Checks that what is written into a folder does not become images of the next start; None is no folder.

    Raises:
        UsageError: It is one of the folders of images, or inside of one.
    """
    if folder is None:
        return
    for path in paths:
        if path and folder.resolve().is_relative_to(Path(path).resolve()) and Path(path).is_dir():
            raise UsageError(f"{folder} is inside of {path}, whose images are scored; choose another destination")


def check_folder(path: Path | None) -> None:
    """Checks that files can be written into a folder, which is made; None is no folder.

    Raises:
        UsageError: It is a file, or cannot be made or written, or its disk is full.
    """
    if path is None:
        return
    probe = path / f".recon-detect-probe-{os.getpid()}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(_PROBE)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{path}: it or a part of it is a file; expected a folder") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
