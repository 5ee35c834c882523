"""RIGID (arXiv:2405.20112) and MINDER (arXiv:2411.19117): how far a small change moves the embedding of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from recon_detect.methods.method import Method
from recon_detect.models.needs import Need

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence

# Views for the backbone: the image, with noise of 0.05 (pixels in [0, 1]), or blurred.
SEEN = "thumbnail224"
NOISY, BLURRED = f"{SEEN}+noise0.05", f"{SEEN}+blur"


def similarity_to_noisy(e: Evidence) -> Tensor:
    """cos(f(x), f(x + 0.05 n)), n standard normal. Low means generated."""
    return e.similarity(SEEN, NOISY)


def least_similarity(e: Evidence) -> Tensor:
    """The lower of the cosines under noise and under blur. Low means generated."""
    return torch.minimum(e.similarity(SEEN, NOISY), e.similarity(SEEN, BLURRED))


RIGID = Method(
    name="rigid",
    title="cosine of the embeddings of the image and of the image with noise",
    statistic=similarity_to_noisy,
    higher_is_generated=False,
    distance="cosine",
    models=("dinov2-large",),
    paper="arXiv:2405.20112",
    needs=frozenset({Need.BACKBONES}),
    cost="2 embeddings",
)
MINDER = Method(
    name="minder",
    title="the lower of the cosines under noise and under blur",
    statistic=least_similarity,
    higher_is_generated=False,
    distance="cosine",
    models=("dinov2-large",),
    paper="arXiv:2411.19117",
    needs=frozenset({Need.BACKBONES}),
    cost="3 embeddings",
)
