"""Work of the thread: pictures to what the routes answer with."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from recon_detect import errors
from recon_detect.answers import answer_of
from recon_detect.examples import example
from recon_detect.images import Source
from recon_detect.output.heatmap import colour

if TYPE_CHECKING:
    from recon_detect.detector import Detector
    from recon_detect.results import Row
    from recon_detect.web.body import Upload


@dataclass(frozen=True, slots=True)
class Scored:
    """The results of a request.

    Attributes:
        content: JSON values to answer with.
        results: Those of each picture, which are part of the content.
        unreadable: Whether each picture is one that cannot be scored, by a fault of its own.
    """

    content: dict[str, Any]
    results: list[dict[str, Any]]
    unreadable: bool


def score(detector: Detector, uploads: Sequence[Upload], mode: str, abandoned: Callable[[], bool]) -> Scored:
    """Scores pictures, until nobody waits for the results any more."""
    rows: list[Row] = []
    with closing(detector.stream([Source(upload.data, upload.name) for upload in uploads])) as stream:
        for row in stream:
            if abandoned():
                break
            rows.append(row)
    results = [result_of(detector, row, mode) for row in rows]
    return Scored({"results": results}, results, all(map(_is_unreadable, rows)))


def explain(detector: Detector, upload: Upload, mode: str, abandoned: Callable[[], bool]) -> Scored:
    """Scores one picture, with its map."""
    has_map = detector.methods[0].method.has_map
    row = detector.score(Source(upload.data, upload.name), maps=has_map, progress=False)[0]
    result = result_of(detector, row, mode)
    content = {
        "result": result,
        "map": _png_url(picture) if (picture := _map(row)) else None,
        "map_scale": row.map_scale,
        "run": detector.run_info.to_dict(),
    }
    return Scored(content, [result], _is_unreadable(row))


def result_of(detector: Detector, row: Row, mode: str) -> dict[str, Any]:
    """JSON values of a row, with its answer in words."""
    run = detector.run_info
    return row.to_dict(run.fingerprint) | {"answer": answer_of(row, run, mode).to_dict()}


def _is_unreadable(row: Row) -> bool:
    """True for an error of the picture's own; those of the server are none."""
    kind = getattr(errors, (row.error or "").partition(":")[0], None)
    return isinstance(kind, type) and issubclass(kind, errors.InputError | errors.NumericalError)


def example_png(name: str, abandoned: Callable[[], bool]) -> bytes:
    """Makes a picture of `recon_detect.examples`."""
    return _png(example(name))


def _map(row: Row) -> Image.Image | None:
    """The map of a row at its own resolution."""
    return None if row.map is None or row.map_scale is None else Image.fromarray(colour(row.map, row.map_scale))


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _png_url(picture: Image.Image) -> str:
    return "data:image/png;base64," + base64.b64encode(_png(picture)).decode()
