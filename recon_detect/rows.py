"""Rows: what the scores of a batch, and what goes wrong with an image, become."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from recon_detect.engine.loader import Item
from recon_detect.errors import NumericalError
from recon_detect.evidence.texture import enough_texture, textured_share
from recon_detect.names import shown
from recon_detect.results import NO_TEXTURE, Row

if TYPE_CHECKING:
    from recon_detect.evidence import Evidence
    from recon_detect.methods.bound import BoundMethod


def rows_of(methods: Sequence[BoundMethod], evidence: Evidence, items: Sequence[Item], *, maps: bool) -> list[Row]:
    """Rows of a batch: the score of each method, with notes; an error where no method has a finite score."""
    by_method = {bound.method.name: bound.apply(evidence) for bound in methods}
    textures = textured_share(evidence.image()).tolist()
    remarks = ["" if enough_texture(share, evidence.image()) else NO_TEXTURE for share in textures]
    first = methods[0]
    rows = []
    for position, item in enumerate(items):
        scores = {name: of_method[position] for name, of_method in by_method.items()}
        missing = [name for name, score in scores.items() if not math.isfinite(score.value)]
        if len(missing) == len(scores):
            rows.append(error_row(item, NumericalError("no finite score: the image may have no texture at all")))
            continue
        retried = [name for image, name in sorted(evidence.retried) if image == position]
        rows.append(
            Row(
                index=item.index,
                path=item.source.id,
                scores=scores,
                label=item.source.label,
                provenance=item.picture.provenance if item.picture else None,
                texture=round(textures[position], 4),
                notes=_notes(
                    remarks[position],
                    *(score.remark for score in scores.values()),
                    *(f"{name} repeated in float32" for name in retried),
                    *(f"{name} has no finite score" for name in missing),
                ),
                map=first.error_map(evidence, scores[first.method.name], position) if maps else None,
                map_scale=first.map_scale if maps else None,
            )
        )
    return rows


def error_row(item: Item, error: Exception | None) -> Row:
    """Row of an image that could not be scored."""
    return Row(
        index=item.index,
        path=item.source.id,
        label=item.source.label,
        provenance=item.picture.provenance if item.picture else None,
        error=shown(f"{type(error).__name__}: {error}"),
    )


def _notes(*remarks: str) -> tuple[str, ...]:
    """Remarks that say something, each once."""
    return tuple(dict.fromkeys(filter(None, remarks)))
