"""Work of the thread: pictures to what the routes answer with."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from recon_detect import errors
from recon_detect.answers import without_type
from recon_detect.examples import example
from recon_detect.images import Source
from recon_detect.images.urls import data_url
from recon_detect.output.writers import entry_of
from recon_detect.pages import explain as explanation_of

if TYPE_CHECKING:
    from recon_detect.detector import Detector
    from recon_detect.pages.evidence import EvidenceMap
    from recon_detect.results import Row
    from recon_detect.web.body import Upload


def score(detector: Detector, mode: str, uploads: Sequence[Upload], abandoned: Callable[[], bool]) -> dict[str, Any]:
    """Scores pictures, until nobody waits for the results any more.

    Raises:
        InputError: None of them can be scored, each by a fault of its own.
    """
    detector = _judging(detector, mode)
    rows: list[Row] = []
    with closing(detector.stream([Source(upload.data, upload.name) for upload in uploads])) as stream:
        for row in stream:
            if abandoned():
                break
            rows.append(row)
    if all(map(_is_unreadable, rows)):
        raise errors.InputError("; ".join(f"{row.path}: {without_type(row.error or '')}" for row in rows))
    return {"results": [_result(row, detector) for row in rows]}


def explain(detector: Detector, mode: str, page: bool, upload: Upload, abandoned: Callable[[], bool]) -> dict[str, Any]:
    """Explains one picture: its maps, what the file says of itself, and its page where that is asked for.

    Raises:
        InputError: It cannot be scored.
    """
    detector = _judging(detector, mode)
    explanation = explanation_of(Source(upload.data, upload.name), detector=detector)
    return {
        "result": _result(explanation.row, detector),
        "maps": [_map(each, explanation.picture.size) for each in explanation.maps],
        "claims": explanation.claims,
        "html": explanation.html() if page else None,
        "run": detector.run_info.to_dict(),
    }


def example_png(name: str, abandoned: Callable[[], bool]) -> bytes:
    """Makes a picture of `recon_detect.examples`."""
    buffer = io.BytesIO()
    example(name).save(buffer, format="PNG")
    return buffer.getvalue()


def _judging(detector: Detector, mode: str) -> Detector:
    """The same detector, whose answers are of a mode."""
    judging = copy.copy(detector)
    judging.settings = replace(detector.settings, mode=mode)
    judging.run_info = replace(detector.run_info, mode=mode)
    return judging


def _result(row: Row, detector: Detector) -> dict[str, Any]:
    """JSON values of a row, with its answer in words."""
    return entry_of(row, detector.run_info, detector.run_info.fingerprint)


def _map(each: EvidenceMap, size: tuple[int, int]) -> dict[str, Any]:
    return {"name": each.name, "image": data_url(each.picture(size)), "scale": each.scale, "meaning": each.meaning}


def _is_unreadable(row: Row) -> bool:
    """True for an error of the picture's own; those of the server are none."""
    kind = getattr(errors, (row.error or "").partition(":")[0], None)
    return isinstance(kind, type) and issubclass(kind, errors.InputError | errors.NumericalError)
