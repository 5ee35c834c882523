"""What a method is: a short formula over evidence, its direction, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Method:
    """One score.

    Attributes:
        name: What users write.
        title: What it is, in a line.
        statistic: From the evidence of B images to (B, K), one column per model, as the paper defines it.
        higher_is_generated: The direction of `statistic`. Scores that leave the package are turned so that higher
            means more likely generated; the score of an image is its maximum over the models.
        distance: Default distance.
        models: Default models: names, or sets of `MODEL_SETS`.
        paper: Source.
        published_models: The models of the paper, for ``compat="published"``; empty where no such mode exists.
    """

    name: str
    title: str
    statistic: Callable[[Evidence], Tensor]
    higher_is_generated: bool
    distance: str
    models: tuple[str, ...]
    paper: str
    published_models: tuple[str, ...] = ()
