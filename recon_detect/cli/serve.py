"""``recon-detect serve``."""

from __future__ import annotations

import ipaddress
import math
import socket
import sys
from contextlib import suppress
from typing import Annotated, TypeAlias

import typer

from recon_detect.cli.arguments import Device, Dtype, Effort, MaxPixels, Methods, Models, Quiet, split
from recon_detect.errors import UsageError
from recon_detect.methods import DEFAULT_METHOD
from recon_detect.settings import DEFAULTS

Host: TypeAlias = Annotated[
    str, typer.Option(help="Address to listen at. Others than this machine can connect to any but a loopback address.")
]
Port: TypeAlias = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")]
AllowName: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="Name under which people reach the server, besides localhost and addresses; may be repeated."),
]
MaxBytes: TypeAlias = Annotated[
    str, typer.Option(help="Refuse requests with more bytes than this, such as 500kB, 20MB or 20000000.")
]
Queue: TypeAlias = Annotated[int, typer.Option(min=1, help="Requests that may wait; others are refused with 429.")]
Timeout: TypeAlias = Annotated[
    float, typer.Option(min=1, help="Seconds from the beginning of a request to its answer, or it gets 504.")
]

_UNITS = {"kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000, "b": 1}


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    method: Methods = None,
    models: Models = None,
    effort: Effort = str(DEFAULTS.effort),
    max_bytes: MaxBytes = "20MB",
    max_pixels: MaxPixels = DEFAULTS.max_pixels,
    queue: Queue = 32,
    timeout: Timeout = 60,
    allow_name: AllowName = None,
    device: Device = DEFAULTS.device,
    dtype: Dtype = DEFAULTS.dtype,
    quiet: Quiet = False,
) -> None:
    """Serve a page for people and an interface for programs, on this machine.

    Needs the extra 'web' of the package. Nothing is kept, and nothing leaves the machine.

    Examples:
      recon-detect serve

      recon-detect serve --port 9000 --effort quick --max-bytes 50MB
    """
    limit = bytes_of(max_bytes)
    try:
        import uvicorn

        from recon_detect.web.app import Limits, make_app
    except ModuleNotFoundError as error:
        raise UsageError(
            f"serve needs the extra 'web' ({error.name} is missing): pip install 'recon-detect[web]'"
        ) from error
    from recon_detect.detector import load_detector

    with _bound(host, port) as listening:
        detector = load_detector(
            split(method) or DEFAULT_METHOD,
            models=split(models),
            effort=effort,
            max_pixels=max_pixels,
            max_bytes=limit,
            device=device,
            dtype=dtype,
        )
        app = make_app(detector, Limits(limit, queue, timeout), [host, *(allow_name or ())])
        if not quiet:
            _announce(listening)
        config = uvicorn.Config(
            app, log_level="warning", server_header=False, timeout_graceful_shutdown=math.ceil(timeout)
        )
        with suppress(KeyboardInterrupt):  # a signal is how a server ends
            uvicorn.Server(config).run(sockets=[listening])


def _bound(host: str, port: int) -> socket.socket:
    """A socket at an address.

    Raises:
        UsageError: The port is taken, or the address is none of this machine.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # before the address is printed: who connects at once waits for the application
    except OSError as error:
        listening.close()
        raise UsageError(
            f"cannot listen at {host}, port {port}: {error.strerror or error}; --port 0 takes a free port"
        ) from error
    return listening


def _announce(listening: socket.socket) -> None:
    """Prints where the page is, and a warning where other machines can reach it."""
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host)
    shown = "localhost" if address.is_unspecified else f"[{host}]" if address.version == 6 else host
    if not address.is_loopback:
        print(
            "recon-detect: warning: other machines can send pictures to this server; it has no passwords and no "
            "encryption",
            file=sys.stderr,
        )
    print(f"recon-detect: http://{shown}:{port}/ (Ctrl+C stops it)", file=sys.stderr, flush=True)


def bytes_of(text: str) -> int:
    """Reads a number of bytes, with or without a unit.

    Raises:
        UsageError: Something else.
    """
    number, unit = text.strip().lower(), 1
    for suffix, factor in _UNITS.items():
        if number.endswith(suffix):
            number, unit = number.removesuffix(suffix).strip(), factor
            break
    if not number.isdecimal() or not int(number):
        raise UsageError(f"--max-bytes {text}: expected a whole number, with or without kB, MB or GB")
    return int(number) * unit
