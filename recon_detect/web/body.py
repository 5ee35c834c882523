"""Pictures of a request: parts of a form or the body itself, in memory, never more than the limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

# Pictures of one request.
MOST_PICTURES = 16
_FORM = "multipart/form-data"
# What curl --data-binary sends; a form of pairs holds no picture.
_RAW = ("", "application/octet-stream", "application/x-www-form-urlencoded")
_LONGEST_NAME = 255
# Bytes a second that a body has to come with in the long run, as those of a phone at the edge of its network do.
_LEAST_RATE = 20_000


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture of a request: the name that the client gave it, and its bytes."""

    name: str
    data: bytes


async def read_uploads(request: Request, max_bytes: int, patience: float, name: str) -> list[Upload]:
    """Reads the pictures of a request: the files of a form, or else the body.

    Args:
        request: The request, whose body is not read yet.
        max_bytes: Most bytes of the body; reading stops there.
        patience: Most seconds without a byte, and those that all bytes together may be late, at `_LEAST_RATE`.
        name: Name of the picture where the body is one.

    Raises:
        HTTPException: 400 for a broken form, 408 for a body that stalls, 413 above the limit, 415 for another type,
            422 without a picture.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    stream = _limited(request, max_bytes, patience)
    if kind == _FORM:
        uploads = await _form(request, stream, max_bytes)
    elif kind in _RAW or kind.startswith("image/"):
        uploads = [Upload(name, b"".join([chunk async for chunk in stream]))]
    else:
        raise HTTPException(415, f"expected {_FORM}, image/* or application/octet-stream; got {kind}")
    uploads = [upload for upload in uploads if upload.data]
    if not uploads:
        raise HTTPException(422, "expected a picture; got no bytes")
    return uploads


async def _limited(request: Request, max_bytes: int, patience: float) -> AsyncGenerator[bytes, None]:
    """The chunks of a body, until they are more than the limit."""
    declared = request.headers.get("content-length", "")
    received = int(declared) if declared.isdecimal() else 0
    if received <= max_bytes:
        received = 0
        async for chunk in _awaited(request.stream(), patience):
            received += len(chunk)
            if received > max_bytes:
                break
            yield chunk
    if received > max_bytes:
        raise HTTPException(
            413, f"more than {max_bytes:,} bytes; send fewer or smaller pictures, or start with a larger --max-bytes"
        )


async def _awaited(chunks: AsyncGenerator[bytes, None], patience: float) -> AsyncGenerator[bytes, None]:
    """The chunks of a body, until they stall: a body that is not sent must not keep its place in the line."""
    clock = asyncio.get_running_loop().time
    begun, received = clock(), 0
    while True:
        try:
            async with asyncio.timeout_at(min(clock(), begun + received / _LEAST_RATE) + patience):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise HTTPException(
                408,
                f"{received:,} bytes came in {clock() - begun:.0f} s and no more; send the body without a pause of "
                f"{patience:g} s, and {_LEAST_RATE // 1000} kB a second",
                {"Connection": "close"},
            ) from error
        received += len(chunk)
        yield chunk


async def _form(request: Request, stream: AsyncGenerator[bytes, None], max_bytes: int) -> list[Upload]:
    parser = MultiPartParser(request.headers, stream, max_files=MOST_PICTURES, max_fields=MOST_PICTURES)
    parser.spool_max_size = max_bytes + 1  # above it, starlette writes a file to the disk
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError) as error:
        reason = error.message if isinstance(error, MultiPartException) else "names that are not UTF-8"
        raise HTTPException(400, f"a form that cannot be read: {reason}") from error
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        return [Upload((file.filename or "picture")[-_LONGEST_NAME:], await file.read()) for file in files]
    finally:
        await form.close()
