"""WaRPAD: how far the embedding of an enlarged image moves without a tenth of its detail (arXiv:2511.14030)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon_detect.methods.method import Method
from recon_detect.models.needs import Need

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence

SEEN = "squash896"
TILE = 224


def similarity_to_smooth(e: Evidence) -> Tensor:
    """Mean cosine over 4x4 tiles of f(x) and f(x - 0.1 * detail), detail by two levels of Haar. Low means generated."""
    return e.similarity(SEEN, f"{SEEN}+smooth0.1", tile=TILE)


WARPAD = Method(
    name="warpad",
    title="cosine of the embeddings of the image and of the image with a tenth less detail, tile by tile",
    statistic=similarity_to_smooth,
    higher_is_generated=False,
    distance="cosine",
    models=("dinov2-large",),
    paper="arXiv:2511.14030",
    needs=frozenset({Need.BACKBONES}),
    cost="32 embeddings",
)
