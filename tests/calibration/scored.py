"""Rows of scored images."""

from __future__ import annotations

import math

from recon_detect import Provenance, Row
from recon_detect.results import Score


def rows(scores, label="real", *, path=None, generator=None, texture=0.9, method="aeroblade", **origin):
    """One row per score; a score of a list is one per model, None is one that is not finite."""
    return [
        Row(
            number,
            path or f"{label}{number}",
            {method: score_of(score if isinstance(score, list | tuple) else [score])},
            label,
            # Pixels differ by path and by what is said of the file, as those of different images do.
            Provenance(
                **_PLAIN | {"sha256": " ".join(map(str, [path or f"{label}{number}", *origin.values()]))} | origin
            ),
            texture,
            generator=generator,
        )
        for number, score in enumerate(scores)
    ]


_PLAIN = {"width": 512, "height": 512, "format": "PNG", "mode": "RGB"}


def score_of(values):
    numbers = [math.nan if value is None else value for value in values]
    return Score(math.nan if None in values else max(numbers), {f"m{k}": value for k, value in enumerate(numbers)})
