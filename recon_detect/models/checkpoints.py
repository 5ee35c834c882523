"""Recognition of files that are not weights, before a reader fails on them with a less useful message."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recon_detect.errors import WeightsCorrupt, WeightsError
from recon_detect.images.kinds import kind_of

_FETCH = "download the file itself again"


def check_safetensors(path: Path) -> None:
    """Looks at the first bytes of a safetensors file.

    Raises:
        WeightsCorrupt: A pointer of Git LFS, an HTML page, an empty file, a pickle, or cut off; says which.
    """
    start = _start(path)
    if (what := _no_weights(start)) or (what := _pickled(path, start)):
        raise WeightsCorrupt(f"{path}: expected safetensors; this is {what}")
    length = int.from_bytes(start[:8], "little")
    if start[8:9] != b"{":
        raise WeightsCorrupt(f"{path}: expected safetensors; its first bytes are {start[:8].hex(' ')}: {_FETCH}")
    if 8 + length > path.stat().st_size:
        raise WeightsCorrupt(f"{path}: cut off in its header: {_FETCH}")


def read_pickled(path: Path) -> Mapping[str, Any]:
    """The tensors and plain values of a checkpoint of torch, by name, in its present or its old format.

    Raises:
        WeightsError: No such file, no checkpoint (says what it is), or something else than tensors in it.
    """
    import torch

    start = _start(path)
    if what := _no_weights(start):
        raise WeightsError(f"{path}: expected a checkpoint of torch (.pt, .pth, .ckpt, .bin); this is {what}")
    if start[8:9] == b"{":
        raise WeightsError(f"{path}: expected a checkpoint of torch; this is safetensors, which needs no conversion")
    try:
        # The old format, before torch 1.6, cannot be mapped into memory.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))  # type: ignore[no-any-return]
    except Exception as error:  # unpickling raises nearly anything
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path}: not a checkpoint of tensors alone: {reason}") from error


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(512)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such file") from error
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from error


def _no_weights(start: bytes) -> str | None:
    """Describes a file that is in neither of the formats of weights."""
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return None
    if start.startswith((b"{", b"[")):
        return f"JSON, such as an error of a server or an index of parts: {_FETCH}"
    return kind_of(start)


def _pickled(path: Path, start: bytes) -> str | None:
    if zipfile.is_zipfile(path):
        return "a checkpoint of torch under another name: convert it with safetensors"
    if start.startswith(b"\x80") and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and start[8:9] != b"{":
        return "a pickle, as torch wrote before version 1.6: convert it with safetensors"
    return None
