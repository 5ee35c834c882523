"""A model hub on loopback: what the real one answers, and ways in which it can fail."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


class Hub:
    """Files by ``repo/path``, and the failures that are switched on."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.gated: set[str] = set()
        self.gone: set[str] = set()
        self.lie_about_sum = False
        self.ignore_ranges = False
        self.break_after: int | None = None  # bytes of a body, for one request
        self.fail_with: int | None = None
        self.log: list[tuple[str, str, str | None]] = []
        self.sent = 0

    def add(self, repo: str, path: str, data: bytes) -> None:
        self.files[f"{repo}/{path}"] = data


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            hub.log.append((self.command, self.path, self.headers.get("Range")))
            name, _, rest = self.path.lstrip("/").partition("/resolve/")
            revision, _, path = rest.partition("/")
            if hub.fail_with:
                return self._error(hub.fail_with, "")
            if name in hub.gated:
                return self._error(401, "GatedRepo")
            if name in hub.gone or not any(key.startswith(name + "/") for key in hub.files):
                return self._error(404, "RepoNotFound")
            data = hub.files.get(f"{name}/{path}")
            if data is None:
                return self._error(404, "EntryNotFound")
            declared = b"another" if hub.lie_about_sum else data
            total, start, end = len(data), 0, len(data)
            wanted = None if hub.ignore_ranges else self.headers.get("Range")
            if wanted:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start, end = int(first), min(int(last) + 1 if last else total, total)
            self.send_response(206 if wanted else 200)
            self.send_header("X-Repo-Commit", COMMIT if len(revision) != 40 else revision)
            self.send_header("ETag", f'"{hashlib.sha256(declared).hexdigest()}"')
            self.send_header("X-Linked-Size", str(total))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(end - start))
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{total}")
            self.end_headers()
            if not body:
                return None
            part = data[start:end]
            if hub.break_after is not None and len(part) > hub.break_after:
                part, hub.break_after = part[: hub.break_after], None
                self.close_connection = True
            hub.sent += len(part)
            self.wfile.write(part)
            return None

        def _error(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler


@contextmanager
def serve(hub: Hub):
    """Yields the endpoint of a running hub."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
