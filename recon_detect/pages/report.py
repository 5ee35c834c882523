"""Report: the rows of a run as one page that sorts, filters and shows thumbnails."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from recon_detect._version import __version__
from recon_detect.answers import KINDS, Answer, answer_of
from recon_detect.atomic import replacing
from recon_detect.errors import ReconDetectError, UnknownName
from recon_detect.images import open_picture
from recon_detect.images.urls import data_url
from recon_detect.names import shown
from recon_detect.output.readers import read_results
from recon_detect.pages import charts
from recon_detect.pages.document import document, embedded
from recon_detect.results import Row, RunInfo
from recon_detect.settings import MODES
from recon_detect.tried import has_threshold

# Longer side of a thumbnail in pixels, and how many there are at most: each takes about 2 kB of the page.
THUMBNAIL, THUMBNAILS = 96, 500
# Rows of the page's table at a time.
PAGE = 100
# Columns of the table that the page's script makes; the first are those of its rows.
COLUMNS = ("name", "kind", "headline", "score", "one_in", "family", "size", "format", "path", "details", "thumbnail")
# The kinds of answers in the head and the filter.
LABELS = {"found": "found", "nothing": "nothing found", "undecided": "undecided", "error": "not scored"}
_BINS = 36
# Scores beyond are drawn here: whole numbers as large are still exact.
_FARTHEST = 1e15


class _Texts:
    """Texts that many rows share, each once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    def __iter__(self) -> Any:
        return iter(self._numbers)


def write_report(
    results: str | Path, output: str | Path, *, mode: str | None = None, thumbnails: int = THUMBNAILS
) -> int:
    """Writes the page of a results file, or of the folder of a run; returns the number of its rows.

    Args:
        results: A ``.jsonl``, ``.csv`` or ``.parquet`` file of ``score``, or the destination of ``run``.
        output: The page, ``.html``.
        mode: How surely a trace has to be found, see `answers.answer_of`; None takes that of the run.
        thumbnails: Number of pictures that are embedded small, the highest scores first; 0 embeds none.

    Raises:
        UsageError: No results, or another suffix.
    """
    results, output = Path(results), Path(output)
    run, rows = read_results(results)
    answered = [(row, answer_of(row, run, mode)) for row in rows]
    html = report_html(
        answered, run, results.name, _thumbnails([row for row, _ in answered], results.parent, thumbnails), mode
    )
    with replacing(output) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return len(answered)


def report_html(
    answered: Sequence[tuple[Row, Answer]],
    run: RunInfo,
    name: str,
    thumbnails: dict[int, str] | None = None,
    mode: str | None = None,
) -> str:
    """The page of rows with their answers, which are of a mode; `thumbnails` are URLs by the place of their row.

    Raises:
        UnknownName: No such mode.
    """
    small, texts = thumbnails or {}, _Texts()
    rows = [_values(row, answer, texts, small.get(place)) for place, (row, answer) in enumerate(answered)]
    counts = Counter(answer.kind for _, answer in answered)
    return document(
        "report",
        name=name,
        data=embedded({"columns": COLUMNS, "rows": rows, "texts": list(texts), "page": PAGE}),
        counts=[(kind, counts[kind]) for kind in KINDS if counts[kind]],
        total=len(answered),
        labels=LABELS,
        numbers={kind: number for number, kind in enumerate(KINDS)},
        families=sorted({shown(answer.family) for _, answer in answered if answer.family}),
        histogram=histogram([row.score for row, _ in answered], has_threshold(run.methods[0])),
        run=run,
        decided_by=_decided_by(run, mode or run.mode),
        methods=", ".join(method.name for method in run.methods),
        thumbnails=len(small),
        width=charts.WIDTH * 2, height=charts.HEIGHT, bottom=charts.BOTTOM,
        version=__version__,
    )  # fmt: skip


def _decided_by(run: RunInfo, mode: str) -> str:
    """Threshold that a score had to exceed to be found, as `answers.answer_of` has it."""
    if run.threshold is not None:
        return f"the threshold {run.threshold:g}"
    if run.calibration:
        return f"the calibration {run.calibration}"
    if not has_threshold(run.methods[0]):
        return f"nothing: {run.methods[0].name} ships no threshold"
    if mode not in MODES:  # of results without rows
        raise UnknownName("mode", mode, MODES)
    return f"mode {mode}: by the method's estimate, at most 1 photograph in {1 / MODES[mode]:,.0f} by mistake"


def histogram(scores: Iterable[float], is_deviate: bool) -> dict[str, Any] | None:
    """Bars (x, y, width, height), ticks and levels of the scores in the drawing of the page; None without any."""
    finite = sorted(min(max(score, -_FARTHEST), _FARTHEST) for score in scores if math.isfinite(score))
    if not finite:
        return None
    low, high = math.floor(finite[0]), max(math.ceil(finite[-1]), math.floor(finite[0]) + 1)
    inner, left = charts.WIDTH * 2 - 24, 12
    counts = Counter(min(int((score - low) / (high - low) * _BINS), _BINS - 1) for score in finite)
    most, base = max(counts.values()), charts.HEIGHT - charts.BOTTOM
    step = max(1, round((high - low) / 8))

    def across(value: float) -> float:
        return round(left + (value - low) / (high - low) * inner, 1)

    return {
        "bars": [
            (round(left + place / _BINS * inner, 1), round(base - count / most * (base - 24), 1),
             round(inner / _BINS - 1, 1), round(count / most * (base - 24), 1), count,
             f"{low + place * (high - low) / _BINS:.2f}")
            for place, count in sorted(counts.items())
        ],
        "ticks": [(across(value), f"{value:g}") for value in range(low, high + 1, step)],
        "levels": [
            (across(value), name) for name, value in charts.LEVELS.items() if is_deviate and low < value < high
        ],
        "most": most,
    }  # fmt: skip


def _values(row: Row, answer: Answer, texts: _Texts, thumbnail: str | None) -> list[Any]:
    """Values of a row by `COLUMNS`; texts that rows share are numbers of them."""
    file = row.provenance
    path = shown(row.path)
    notes = (*answer.limits, *(file.notes if file else ()), *row.notes)
    details = [texts.number(shown(text)) for text in (answer.meaning, answer.tried, *notes) if text]
    return [
        path.rpartition("/")[2] or path,
        KINDS.index(answer.kind),
        texts.number(shown(answer.headline)),
        round(row.score, 4) if math.isfinite(row.score) else None,
        answer.one_in,
        texts.number(shown(answer.family or "")),
        f"{file.width} x {file.height}" if file else "",
        shown(f"{file.format} q{file.jpeg_quality}" if file.jpeg_quality else file.format) if file else "",
        path,
        details,
        thumbnail,
    ]


def _thumbnails(rows: Sequence[Row], folder: Path, count: int) -> dict[int, str]:
    """URLs of small pictures by the place of their row, of the highest scores whose files can be read."""
    ordered = sorted(
        (place for place, row in enumerate(rows) if math.isfinite(row.score)), key=lambda place: -rows[place].score
    )
    urls: dict[int, str] = {}
    for place in ordered:
        if len(urls) >= count:
            break
        if url := _thumbnail(rows[place].path, folder):
            urls[place] = url
    return urls


def _thumbnail(path: str, folder: Path) -> str | None:
    """A small picture as a URL; None where no file of this name can be read, from here or from the folder."""
    # Path raises on names that are too long or have a null character.
    file = next((place for place in (Path(path), folder / path) if os.path.isfile(place)), None)  # noqa: PTH113
    if file is None:
        return None
    try:
        picture = Image.fromarray(open_picture(file).bytes())
    except (ReconDetectError, OSError):
        return None
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return data_url(picture, "JPEG", quality=70)
