"""The model hub: one file, or a few byte ranges of one, with errors that name the next step.

Transfer, cache, resume and tokens are huggingface_hub's. It retries an unreachable host for 23 s and then speaks of a
missing config.json; one HEAD request first distinguishes reachable, gone and gated at once, and brings the checksum
that the hub declares.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recon_detect.errors import HubUnreachable, WeightsCorrupt, WeightsError, WeightsMissing
from recon_detect.models.registry import HubFile

SHA256 = re.compile(r"[0-9a-f]{64}")
_HEAD_TIMEOUT = 10.0
_READ_TIMEOUT = 60.0
_MAX_HEADER = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Declared:
    """Address and checksum that the hub declares before a file is transferred."""

    url: str
    sha256: str | None


def sha256_of(*paths: Path) -> str:
    """SHA-256 of a file, or of several one after another, read in pieces."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def in_cache(file: HubFile, filename: str) -> Path | None:
    """The file in the hub's cache: at the pinned revision, or at ``main`` where a checksum (or nothing) pins it."""
    from huggingface_hub import try_to_load_from_cache

    pinned = file.revision is not None and file.sha256 is None
    for revision in (file.revision,) if pinned else dict.fromkeys((file.revision or "main", "main")):
        cached = try_to_load_from_cache(file.repo, _inside(file, filename), revision=revision)
        if isinstance(cached, str):
            return Path(cached)
    return None


def declared(file: HubFile, filename: str) -> Declared:
    """Asks the hub for the checksum of a file, and whether it can be had.

    Raises:
        HubUnreachable: Offline mode, no network, or a server that does not answer.
        WeightsMissing: The repository, revision or file is gone, or access has to be asked for first.
    """
    from huggingface_hub import get_hf_file_metadata, get_token, hf_hub_url, is_offline_mode
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = f"{file.repo}/{_inside(file, filename)}"
    if is_offline_mode():
        raise HubUnreachable(f"{where}: offline mode (HF_HUB_OFFLINE) is on")
    url = hf_hub_url(file.repo, filename, subfolder=file.subfolder or None, revision=file.revision)
    try:
        # Read public files without an account and gated ones with it.
        meta = get_hf_file_metadata(url, token=get_token(), timeout=_HEAD_TIMEOUT)
    except GatedRepoError as error:
        raise WeightsMissing(
            f"{where}: the owner asks for agreement first. Accept the terms on the page of {file.repo} on the hub, "
            "then run 'hf auth login' and repeat"
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError, RemoteEntryNotFoundError) as error:
        what = type(error).__name__.removesuffix("NotFoundError").replace("RemoteEntry", "file").lower()
        raise WeightsMissing(f"{where}: the hub has no such {what} (removed or renamed?)") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise HubUnreachable(f"{where}: the hub answered with status {status}; try again later") from error
    except _transport_errors() as error:
        raise HubUnreachable(f"{where}: the hub cannot be reached ({error})") from error
    if meta.commit_hash is None or meta.etag is None:
        raise HubUnreachable(f"{where}: the server at HF_ENDPOINT does not answer like a model hub")
    sha256 = meta.etag if SHA256.fullmatch(meta.etag) else None
    return Declared(url, sha256)


def download(file: HubFile, filename: str, accepted: frozenset[str] = frozenset()) -> tuple[Path, str]:
    """Transfers one file into the hub's cache and checks it.

    Args:
        file: Repository, revision and folder.
        filename: File in that folder.
        accepted: Checksums of which the file has to have one; where empty, the checksum that the hub declares.

    Returns:
        Path in the cache, and the commit that it belongs to.

    Raises:
        WeightsMissing: See `declared`.
        WeightsCorrupt: The transferred file has another checksum; it has been removed from the cache.
    """
    from huggingface_hub import get_token, hf_hub_download

    metadata = declared(file, filename)
    try:
        path = Path(
            hf_hub_download(
                file.repo, filename, subfolder=file.subfolder or None, revision=file.revision, token=get_token()
            )
        )
    except _transport_errors() as error:
        raise HubUnreachable(
            f"{file.repo}/{_inside(file, filename)}: the transfer broke off ({error}); "
            "run the same command again, it goes on where it stopped"
        ) from error
    expected = accepted or (frozenset({metadata.sha256}) if metadata.sha256 else frozenset())
    if expected and (got := sha256_of(path)) not in expected:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise WeightsCorrupt(
            f"{file.repo}/{_inside(file, filename)} at {commit_of(path)}: expected sha256 "
            f"{' or '.join(sorted(expected))}, got {got}; the file was removed, run the same command to fetch it again"
        )
    return path, commit_of(path)


def commit_of(path: Path) -> str:
    """The commit that a file in the hub's cache belongs to: ``.../snapshots/COMMIT/...``."""
    folder = next(parent for parent in path.parents if parent.parent.name == "snapshots")
    return folder.name


def fetch_tensors(file: HubFile, filename: str, names: Mapping[str, str | None]) -> dict[str, Any]:
    """Fetches single tensors of a safetensors file by HTTP range requests.

    Args:
        file: Repository, revision and folder.
        filename: The safetensors file.
        names: Tensor name to the SHA-256 of its raw little-endian bytes; None leaves it unchecked.

    Returns:
        Tensors by name.

    Raises:
        WeightsError: The server ignores ranges, or the file has no such tensor.
        WeightsCorrupt: A tensor is not what its checksum says.
        WeightsMissing: See `declared`.
    """
    import torch

    url = declared(file, filename).url
    length = int.from_bytes(_range(url, 0, 8), "little")
    if not 2 <= length <= _MAX_HEADER:
        raise WeightsCorrupt(f"{url}: not a safetensors file (header of {length} bytes)")
    header = json.loads(_range(url, 8, 8 + length))
    tensors = {}
    for name, expected in names.items():
        if name not in header:
            raise WeightsError(f"{url}: no tensor {name!r} in this file")
        if header[name]["dtype"] != "F32":
            raise WeightsError(f"{url}: {name} is {header[name]['dtype']}, expected F32")
        start, end = (8 + length + offset for offset in header[name]["data_offsets"])
        data = _range(url, start, end)
        if expected and (got := hashlib.sha256(data).hexdigest()) != expected:
            raise WeightsCorrupt(f"{url}: tensor {name}: expected sha256 {expected}, got {got}")
        tensors[name] = torch.frombuffer(bytearray(data), dtype=torch.float32).reshape(header[name]["shape"])
    return tensors


def _range(url: str, start: int, end: int) -> bytes:
    """Bytes start (inclusive) to end (exclusive). Refuses a server that would send the whole file instead."""
    from huggingface_hub import get_token
    from huggingface_hub.utils import build_hf_headers, get_session  # type: ignore[attr-defined]

    headers = build_hf_headers(token=get_token()) | {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
    try:
        with get_session().stream(
            "GET", url, headers=headers, timeout=_READ_TIMEOUT, follow_redirects=True
        ) as response:
            if response.status_code != 206:
                raise WeightsError(
                    f"{url}: expected a part of the file (status 206), got status {response.status_code}; the server "
                    "does not support ranges. Put the whole file into the folder of RECON_DETECT_WEIGHTS instead"
                )
            data = bytes(response.read())
    except _transport_errors() as error:
        raise HubUnreachable(f"{url}: the transfer broke off ({error}); run the same command again") from error
    if len(data) != end - start:
        raise WeightsCorrupt(f"{url}: expected {end - start} bytes from {start}, got {len(data)}")
    return data


def _inside(file: HubFile, filename: str) -> str:
    return f"{file.subfolder}/{filename}" if file.subfolder else filename


def _transport_errors() -> tuple[type[Exception], ...]:
    """The HTTP client's own base error (httpx or httpx2, as the hub library has it) and the system's."""
    from huggingface_hub.errors import HfHubHTTPError

    bases: tuple[type[Exception], ...] = HfHubHTTPError.__bases__  # type: ignore[assignment]
    return (*bases, OSError)
