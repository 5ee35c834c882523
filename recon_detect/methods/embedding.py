"""The embedding of a frozen backbone, for classifiers: what UniversalFakeDetect (arXiv:2302.10174) does with CLIP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recon_detect.methods.method import Finding, Method
from recon_detect.methods.rigid import SEEN

if TYPE_CHECKING:
    from recon_detect.evidence import Evidence


def embedding(e: Evidence) -> Finding:
    """Nothing by itself, so 0 for every image; the numbers are features for `calibrate --combine`."""
    features: list[dict[str, float]] = [{} for _ in range(len(e))]
    for backbone, values in zip(e.backbones, e.embeddings(SEEN), strict=True):
        for found, row in zip(features, values.tolist(), strict=True):
            found |= {f"{backbone.name}.{place}": value for place, value in enumerate(row)}
    nothing = np.zeros((len(e), len(e.backbones)))
    return Finding(nothing, nothing[:, 0], [{"features": found} for found in features], [""] * len(e))


EMBEDDING = Method(
    name="embedding",
    title="the embedding of a backbone, for calibrate --combine; no score of its own",
    statistic=embedding,
    higher_is_generated=True,
    distance="cosine",
    models=("dinov2-base",),
    paper="arXiv:2302.10174",
    embeds=True,
)
