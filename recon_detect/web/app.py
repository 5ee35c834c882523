"""The routes: pictures to results, the state of the server, and the page."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

from recon_detect._version import __version__
from recon_detect.errors import InputError
from recon_detect.web import work
from recon_detect.web.body import MOST_PICTURES, Upload, read_uploads
from recon_detect.web.guard import Guard
from recon_detect.web.line import ClientGone, Line, LineFull, Place, State, Work
from recon_detect.web.meters import Metered, Meters
from recon_detect.web.schemas import ExplanationModel, HealthModel, Problem, ScoreModel

if TYPE_CHECKING:
    from recon_detect.detector import Detector

log = logging.getLogger("recon_detect")

_GONE = (ClientGone, ClientDisconnect)
_LINES = "application/x-ndjson"
_PAGE = Path(__file__).parent / "page"
_STYLE = Path(__file__).parents[1] / "pages" / "style.css"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

Mode: TypeAlias = Annotated[
    Literal["best-guess", "medium", "high"],
    Query(description="Share of photographs that may be called found: 5 %, 1 % or 0.1 %."),
]
Name: TypeAlias = Annotated[
    str, Query(description="Name of the picture, where the body is the picture itself.", max_length=255)
]
Html: TypeAlias = Annotated[bool, Query(description="Give the page of `recon-detect explain` too.")]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the server.

    Attributes:
        max_bytes: Most bytes of a request.
        queue: Most requests that wait for the detector.
        timeout: Seconds from the beginning of a request to its answer.
        patience: Seconds without a byte of a body, after which it is not waited for; see `body.read_uploads`.
    """

    max_bytes: int = 20_000_000
    queue: int = 32
    timeout: float = 60
    patience: float = 20


def make_app(detector: Detector, limits: Limits = Limits(), names: Iterable[str] = ()) -> FastAPI:
    """Makes the application.

    Args:
        detector: Scores the pictures, in a thread of its own.
        limits: Limits of the server.
        names: Names besides ``localhost`` that the server answers to.
    """
    line = Line(limits.queue, limits.timeout)
    meters = Meters(line)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        line.close()

    app = FastAPI(
        title="recon_detect",
        version=__version__,
        summary="Looks for the traces of known image generators' decoders in pictures.",
        docs_url=None,  # its scripts come from another host
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.detector, app.state.limits, app.state.line, app.state.meters = detector, limits, line, meters
    app.state.examples = {}
    app.add_middleware(Guard, names=names)
    app.add_middleware(Metered, meters=meters)
    for kind in (StarletteHTTPException, RequestValidationError, InputError, LineFull, TimeoutError, *_GONE, Exception):
        app.add_exception_handler(kind, _problem)
    _add_routes(app)
    _add_page(app)
    return app


async def _place(request: Request) -> AsyncIterator[Place]:
    """A place in the line, taken before the body is read, so that waiting bodies are few."""
    line: Line = request.app.state.line
    with line.place() as place:
        yield place


InLine: TypeAlias = Annotated[Place, Depends(_place)]


def _add_routes(app: FastAPI) -> None:
    """Adds the routes for programs, with what OpenAPI says of them."""
    problems = {400: "A broken request", 403: "A request of another site", 408: "A body that stalls"}
    problems |= {413: "Too many bytes", 415: "Another type"}
    problems |= {422: "No picture, or one that cannot be scored", 429: "The line is full", 504: "The time is over"}
    responses: dict[int | str, dict[str, Any]] = {
        code: {"model": Problem, "description": text} for code, text in problems.items()
    }
    responses[429]["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
    for path, route, model in (("/v1/score", score, ScoreModel), ("/v1/explain", explain, ExplanationModel)):
        app.post(path, response_model=model, responses=responses, openapi_extra={"requestBody": _BODY})(route)
    refused: dict[int | str, dict[str, Any]] = {code: responses[code] for code in (400, 403)}
    app.get("/health", response_model=HealthModel, responses=refused)(health)
    app.get("/metrics", response_class=PlainTextResponse, responses=refused)(metrics)
    app.get("/examples/{name}.png", include_in_schema=False)(example)


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1, "maxItems": MOST_PICTURES}
_FORM = {"type": "object", "properties": {"picture": _FILES}, "required": ["picture"]}
_BODY = {
    "required": True,
    "content": {"multipart/form-data": {"schema": _FORM}, "application/octet-stream": _BINARY, "image/*": _BINARY},
}


async def score(request: Request, place: InLine, mode: Mode = "medium", name: Name = "picture") -> Response:
    """Score the files of a form, or the body itself. A picture that cannot be read has an error among the results."""
    uploads = await _uploads(request, place, name)
    return await _answer(request, place, partial(work.score, request.app.state.detector, mode, uploads))


async def explain(
    request: Request, place: InLine, mode: Mode = "medium", name: Name = "picture", html: Html = False
) -> Response:
    """Score one picture, and show why: maps, what the file says of itself, the settings that reproduce the score."""
    uploads = await _uploads(request, place, name)
    if len(uploads) != 1:
        raise HTTPException(422, f"expected one picture; got {len(uploads)}: send each in a request of its own")
    return await _answer(request, place, partial(work.explain, request.app.state.detector, mode, html, uploads[0]))


async def health(request: Request) -> dict[str, Any]:
    """Show the state of the server and its limits."""
    state = request.app.state
    return {
        "status": "ok",
        "version": __version__,
        "methods": [info.name for info in state.detector.run_info.methods],
        "run": state.detector.run_info.fingerprint,
        "waiting": state.line.waiting,
        "running": state.line.running,
        "abandoned": state.line.abandoned,
        "max_pixels": state.detector.settings.max_pixels,
        **asdict(state.limits),
    }


async def metrics(request: Request) -> PlainTextResponse:
    """Show requests, seconds, the line, pictures and errors in Prometheus' format."""
    return PlainTextResponse(request.app.state.meters.text(), media_type="text/plain; version=0.0.4")


async def example(request: Request, name: Literal["photograph", "decoded"], place: InLine) -> Response:
    """A picture to try, made on the first request."""
    made: dict[str, bytes] = request.app.state.examples
    if name not in made:
        made[name] = await place.result(partial(work.example_png, name), request.is_disconnected)
    return Response(made[name], media_type="image/png")


async def _uploads(request: Request, place: Place, name: str) -> list[Upload]:
    """The pictures of a request, within its time."""
    limits: Limits = request.app.state.limits
    async with asyncio.timeout_at(place.deadline):
        return await read_uploads(request, limits.max_bytes, limits.patience, name)


async def _answer(request: Request, place: Place, task: Work) -> Response:
    """Runs work in its turn. Who accepts lines of JSON gets each change of the state as a line, the result last."""
    if _LINES in request.headers.get("accept", ""):
        return StreamingResponse(_lines(request, place.states(task)), media_type=_LINES)
    content = await place.result(task, request.is_disconnected)
    _count(request, content)
    return JSONResponse(content)


async def _lines(request: Request, states: AsyncIterator[State]) -> AsyncIterator[str]:
    """The lines of a request: ``{"state": "queued", "ahead": 2}``, then ``{"state": "done", "status": 200, ...}``."""
    try:
        async for state in states:
            if state.name == "done":
                _count(request, state.result)
                yield _line(state="done", status=200, **state.result)
            else:
                yield _line(state=state.name, ahead=state.ahead)
    except Exception as error:
        status, detail, _ = _status(request, error)
        if status == 500:
            log.error("%s failed", request.url.path, exc_info=error)
        yield _line(state="done", status=status, detail=detail)


def _count(request: Request, content: dict[str, Any]) -> None:
    for result in content.get("results") or [content["result"]]:
        request.app.state.meters.pictures.labels(result["answer"]["kind"]).inc()


def _line(**content: Any) -> str:
    return json.dumps(content, allow_nan=False) + "\n"


async def _problem(request: Request, error: Exception) -> Response:
    """The answer to an error, of whatever kind."""
    status, detail, headers = _status(request, error)
    return JSONResponse({"detail": detail}, status, headers)


def _status(request: Request, error: Exception) -> tuple[int, str, dict[str, str]]:
    """The status of an error, its words and headers."""
    status, headers = 500, {}
    detail = "a fault of recon-detect; the log of the server names it"
    if isinstance(error, StarletteHTTPException):
        status, detail, headers = error.status_code, str(error.detail), dict(error.headers or {})
    elif isinstance(error, RequestValidationError):
        status = 422
        detail = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    elif isinstance(error, InputError):
        status, detail = 422, str(error)
    elif isinstance(error, LineFull):
        status, detail, headers = 429, str(error), {"Retry-After": str(error.retry_after)}
    elif isinstance(error, TimeoutError):
        limit = request.app.state.limits.timeout
        status = 504
        detail = f"no answer within {limit:g} s; try again, or start with a larger --timeout or a smaller --effort"
    elif isinstance(error, _GONE):
        status, detail = 499, "the client has gone"  # as nginx counts them; nobody reads it
    return status, detail, headers


def _add_page(app: FastAPI) -> None:
    """Adds the files of the page, which are read once: no path of a request reaches the file system."""
    for path in (*sorted(_PAGE.iterdir()), _STYLE):
        if kind := _TYPES.get(path.suffix):
            route = "/" if path.name == "index.html" else f"/{path.name}"
            app.get(route, include_in_schema=False)(_serving(path.read_bytes(), kind))


def _serving(content: bytes, kind: str) -> Callable[[], Awaitable[Response]]:
    async def serve() -> Response:
        return Response(content, media_type=kind)

    return serve
