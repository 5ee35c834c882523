"""Methods: a short formula over evidence, its direction, its needs and its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from recon_detect.models.needs import Need

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from recon_detect.results import Score


class Nulls(Protocol):
    """Distributions over photographs that a method is given."""

    @property
    def distances(self) -> tuple[tuple[str, ...], ...]:
        """Distances of each of the K models, by which its errors are measured."""

    @property
    def setting(self) -> str:
        """Word for what they were chosen by besides the models; empty where that is all."""


@dataclass(frozen=True, slots=True)
class MethodResult:
    """Result of a statistic that has more than a number per column.

    Attributes:
        per_model: (B, K), in the direction of the method.
        score: (B,) likewise, where it is not that of the column that is most like generated; else None.
        details: For each image what belongs to its score; plain JSON values. None: nothing.
        remarks: For each image the same in words, where a reader of the score should know; or an empty string. None:
            nothing.
    """

    per_model: NDArray[np.float64]
    score: NDArray[np.float64] | None = None
    details: list[dict[str, Any]] | None = None
    remarks: list[str] | None = None


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The heat map of a method that has one of its own.

    Attributes:
        draw: Maps the score of an image, and the image's (height, width), to a map (h, w) of the whole image.
        scale: Value of the brightest colour.
    """

    draw: Callable[[Score, tuple[int, int]], NDArray[np.float32]]
    scale: float


@dataclass(frozen=True, slots=True)
class Method:
    """One score.

    A method without networks has ``needs=frozenset()`` and ``models=()``: its statistic takes what it uses from
    `Evidence.image`, returns (B, K), and `columns` names the K columns. If it reads a file of numbers that were
    measured before, `data` names the file, so that the run's fingerprint covers it.

    Attributes:
        name: Name that users write.
        title: Description in a line.
        statistic: Maps the evidence of B images to (B, K), one column per model, as the paper defines it; or to a
            `MethodResult`. A method that needs `Need.NULLS` is given the distributions of its models as well.
        higher_is_generated: The direction of `statistic`. Scores that leave the package are turned so that higher
            means more likely generated; the score of an image is its maximum over the columns.
        distance: Default distance; of a method without reconstructions the word for how it compares.
        models: Default models: names, or sets of `MODEL_SETS`.
        paper: Source.
        needs: Inputs besides the images.
        cost: Computation for each image and model, such as ``"2 reconstructions"``.
        columns: Names of the columns, where they are not the models; of a method without models its own name if empty.
        nulls: Finds the distributions over photographs for its models, an effort and perhaps a file that a user fitted,
            of a method that needs them.
        data: A file that decides its scores, besides networks.
        with_data: The method with another such file, where users may name one among the models.
        shown: What `Evidence.error_map` is asked for as the heat map of an image.
        heat_map: What is shown instead; None of methods that reconstruct, and of those without a map.
        published_models: The models of the paper, for ``compat="published"``; empty where no such mode exists.
    """

    name: str
    title: str
    statistic: Callable[..., Tensor | MethodResult]
    higher_is_generated: bool
    distance: str
    models: tuple[str, ...]
    paper: str
    needs: frozenset[Need] = frozenset({Need.AUTOENCODERS})
    cost: str = ""
    columns: tuple[str, ...] = ()
    nulls: Callable[[tuple[str, ...], str | float, Path | None], Nulls] | None = None
    data: Path | None = None
    with_data: Callable[[Path], Method] | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)
    heat_map: HeatMap | None = None
    published_models: tuple[str, ...] = ()

    @property
    def has_networks(self) -> bool:
        """True for methods that use pretrained models."""
        return bool(self.needs & {Need.AUTOENCODERS, Need.BACKBONES})

    @property
    def has_map(self) -> bool:
        """True for methods whose scores can be shown as heat maps."""
        return self.heat_map is not None or Need.AUTOENCODERS in self.needs

    @property
    def takes_distance(self) -> bool:
        """True where users may choose the distance: of reconstructions, and where no null distribution fixes it."""
        return Need.AUTOENCODERS in self.needs and Need.NULLS not in self.needs
