"""Numbers on the server for Prometheus: requests, seconds, the line, pictures and errors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from recon_detect.web.line import Line

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120)


class Meters:
    """The counters of one server, in a registry of their own."""

    def __init__(self, line: Line) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter("recon_detect_requests", "Requests.", labels, registry=self.registry)
        self.seconds = Histogram(
            "recon_detect_request_seconds", "Seconds to the last byte.", ("route",), buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.pictures = Counter("recon_detect_pictures", "Pictures by their answer.", ("kind",), registry=self.registry)
        waiting = Gauge("recon_detect_queue_length", "Requests that wait for the detector.", registry=self.registry)
        waiting.set_function(lambda: line.waiting)
        running = Gauge("recon_detect_running", "Requests that are being scored.", registry=self.registry)
        running.set_function(lambda: line.running)
        abandoned = Gauge(
            "recon_detect_abandoned", "Requests that are being scored and nobody waits for.", registry=self.registry
        )
        abandoned.set_function(lambda: line.abandoned)

    def text(self) -> bytes:
        """The numbers in Prometheus' format of text."""
        return generate_latest(self.registry)


class Metered:
    """Middleware that counts requests by route and status. Paths without a route count together."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self.app = app
        self.meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, and counts it when it ends."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 499  # of a client that has gone, as nginx has it

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS") else "other"
            self.meters.requests.labels(method, route, str(status)).inc()
            self.meters.seconds.labels(route).observe(time.perf_counter() - start)
