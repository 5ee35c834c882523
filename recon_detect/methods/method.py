"""What a method is: a short formula over evidence, its direction, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from recon_detect.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Finding:
    """What a method says that is more than a number per model.

    Attributes:
        per_model: (B, K).
        score: (B,); of its own, where it is not the maximum over the models.
        details: For each image what was found besides; plain JSON values.
        remarks: For each image the same in words, where a reader of the score should know; or an empty string.
    """

    per_model: NDArray[np.float64]
    score: NDArray[np.float64]
    details: list[dict[str, Any]]
    remarks: list[str]


@dataclass(frozen=True, slots=True)
class Method:
    """One score.

    Attributes:
        name: What users write.
        title: What it is, in a line.
        statistic: From the evidence of B images to (B, K), one column per model, as the paper defines it; or to a
            `Finding`, whose direction is always that higher means generated.
        higher_is_generated: The direction of `statistic`. Scores that leave the package are turned so that higher
            means more likely generated; the score of an image is its maximum over the models.
        distance: Default distance; ``"cosine"`` of methods that embed.
        models: Default models: names, or sets of `MODEL_SETS`.
        paper: Source.
        embeds: Whether it compares embeddings of backbones instead of reconstructions of autoencoders.
        denoises: Whether it needs the diffusion models that the autoencoders belong to.
        shown: What `Evidence.error_map` is asked for as the heat map of an image.
        classifies: Whether it needs a trained classifier (`Settings.classifier`).
        trained_size: Whether it sees images at the size that a diffusion model of pixels was trained on, and not else.
        null: Whether it needs the distribution over photographs of every model (see `nulls`).
        published_models: The models of the paper, for ``compat="published"``; empty where no such mode exists.
    """

    name: str
    title: str
    statistic: Callable[[Evidence], Tensor | Finding]
    higher_is_generated: bool
    distance: str
    models: tuple[str, ...]
    paper: str
    embeds: bool = False
    denoises: bool = False
    classifies: bool = False
    trained_size: bool = False
    null: bool = False
    shown: Mapping[str, Any] = field(default_factory=dict)
    published_models: tuple[str, ...] = ()
