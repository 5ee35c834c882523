"""Stores that fsspec reaches, such as ``s3://``, ``gs://`` and ``hf://``: archives and images under URLs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from recon_detect.errors import UnreadableImage
from recon_detect.images.heard import printable
from recon_detect.images.reading import shown

_STORE = re.compile(r"(?!(?:https?|ftp|data|file):)[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_MAGIC = re.compile(r"[*?\[]")


def is_remote(name: str) -> bool:
    """True for URLs of stores. Web addresses are none: nothing is fetched from where a list of names points."""
    return _STORE.match(name) is not None


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file in a store.

    Attributes:
        url: Where it is.
        inside: The part of it that the folder or pattern left open.
        opener: Opens it.
        size: Bytes; 0 where the store does not say.
    """

    url: str
    inside: str
    opener: Callable[[], IO[bytes]]
    size: int


def remote_files(url: str) -> Iterator[RemoteFile]:
    """A file, those below a folder, or those that match a pattern; sorted.

    Raises:
        UnreadableImage: No such file, a store that does not answer, or whose package is not installed.
    """
    try:
        import fsspec

        store, path = fsspec.url_to_fs(url)
        fixed = _MAGIC.split(path, maxsplit=1)[0]
        listed = store.find(path, detail=True) if fixed == path else store.glob(path, detail=True)
    except (ImportError, OSError, ValueError) as error:
        advice = "; pip install 'recon-detect[remote]' and the package of the store" if _is_missing(error) else ""
        scheme, reason = url.partition("://")[0].lower(), printable(f"{type(error).__name__}: {error}")
        raise UnreadableImage(f"{shown(url)}: {scheme} URL that cannot be listed ({reason}){advice}") from error
    files = sorted((name, about) for name, about in listed.items() if about.get("type") != "directory")
    if not files:
        raise UnreadableImage(f"{shown(url)}: no such file, or no files below it")
    for name, about in files:
        yield RemoteFile(
            store.unstrip_protocol(name),
            name.removeprefix(fixed).lstrip("/"),
            partial(_open, store, name),
            int(about.get("size") or 0),
        )


def _open(store: Any, name: str) -> IO[bytes]:
    file: IO[bytes] = store.open(name, "rb")
    return file


def _is_missing(error: Exception) -> bool:
    return isinstance(error, ImportError) or "Protocol not known" in str(error)
