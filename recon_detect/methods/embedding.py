"""The embedding of a frozen backbone, for classifiers: what UniversalFakeDetect (arXiv:2302.10174) does with CLIP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recon_detect.methods.method import Method, MethodResult
from recon_detect.methods.rigid import SEEN
from recon_detect.models.needs import Need

if TYPE_CHECKING:
    from recon_detect.evidence import Evidence


def embedding(e: Evidence) -> MethodResult:
    """0 for every image, with the embedding in its details: features for `calibrate --combine`."""
    features: list[dict[str, float]] = [{} for _ in range(len(e))]
    for backbone, values in zip(e.backbones, e.embeddings(SEEN), strict=True):
        for of_image, row in zip(features, values.tolist(), strict=True):
            of_image |= {f"{backbone.name}.{number}": value for number, value in enumerate(row)}
    return MethodResult(np.zeros((len(e), len(e.backbones))), details=[{"features": row} for row in features])


EMBEDDING = Method(
    name="embedding",
    title="the embedding of a backbone, for calibrate --combine; no score of its own",
    statistic=embedding,
    higher_is_generated=True,
    distance="cosine",
    models=("dinov2-base",),
    paper="arXiv:2302.10174",
    needs=frozenset({Need.BACKBONES}),
    cost="1 embedding",
)
