"""Bound methods: a method with the models, the distance and the null distributions that it is used with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from recon_detect.errors import UsageError
from recon_detect.evidence.distances import find_distance
from recon_detect.methods.method import Method, MethodResult, Nulls
from recon_detect.models.needs import Need
from recon_detect.models.registry import AUTOENCODERS, BACKBONES, expand
from recon_detect.models.weights import check_name
from recon_detect.results import MethodInfo, Score
from recon_detect.settings import DEFAULTS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from recon_detect.evidence import Evidence


# Ends the names of files of data among models, which are names, folders and hub ids: families of decoders for methods
# without networks, and null distributions for those that need them.
FAMILIES_SUFFIX, NULLS_SUFFIX = DATA_SUFFIXES = (".safetensors", ".json")


@dataclass(frozen=True, slots=True)
class BoundMethod:
    """A method as it is used.

    Attributes:
        method: The formula.
        models: Names of its models; none of a method without networks.
        distance: Distance of image and reconstruction, where the formula does not fix it.
        nulls: The distributions of its contrasts over photographs, of a method that needs them.
    """

    method: Method
    models: tuple[str, ...]
    distance: str
    nulls: Nulls | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the K columns of its statistic: those that the method names, or its models."""
        return self.method.columns or self.models or (self.method.name,)

    @property
    def distances(self) -> tuple[str, ...]:
        """The distances that it may ask evidence for."""
        if Need.AUTOENCODERS not in self.method.needs:
            return ()
        of_nulls = (name for names in self.nulls.distances for name in names) if self.nulls else ()
        return tuple(dict.fromkeys((self.distance, *of_nulls)))

    @property
    def map_scale(self) -> float:
        """Value that the heat map of an image shows brightest."""
        return self.method.heat_map.scale if self.method.heat_map else find_distance(self.distance).map_scale

    def info(self) -> MethodInfo:
        """The description for `RunInfo`."""
        data = self.method.data
        digest = hashlib.sha256(data.read_bytes()).hexdigest()[:12] if data else None
        if digest and self.nulls and self.nulls.setting:
            digest = f"{digest}:{self.nulls.setting}"
        return MethodInfo(self.method.name, "+".join(self.distances) or self.distance, self.columns, digest)

    def apply(self, evidence: Evidence) -> list[Score]:
        """The score of each image of a batch; higher means more likely generated.

        Raises:
            UsageError: The statistic has another number of rows or columns.
        """
        seen = evidence.using(self.distance, self.models)
        result = self.method.statistic(seen, self.nulls) if self.nulls else self.method.statistic(seen)
        if not isinstance(result, MethodResult):
            result = MethodResult(result.cpu().double().numpy())
        if result.per_model.shape != (len(evidence), len(self.columns)):
            raise UsageError(
                f"{self.method.name}: expected a statistic of shape (images, columns) = "
                f"{(len(evidence), len(self.columns))}, got {tuple(result.per_model.shape)}"
            )
        direction = 1 if self.method.higher_is_generated else -1
        per_model = direction * result.per_model
        score = per_model.max(axis=1) if result.score is None else direction * result.score
        details = result.details or [{} for _ in score]
        remarks = result.remarks or [""] * len(score)
        return [
            Score(value, dict(zip(self.columns, row, strict=True)), of_image, remark)
            for value, row, of_image, remark in zip(score.tolist(), per_model.tolist(), details, remarks, strict=True)
        ]

    def error_map(self, evidence: Evidence, score: Score, position: int) -> NDArray[np.float32]:
        """The heat map (h, w) of one image: the method's own, or the error map of the model that decided the score."""
        if self.method.heat_map:
            height, width = evidence.image().shape[-2:]
            return self.method.heat_map.draw(score, (height, width))
        best = max(score.per_model, key=score.per_model.__getitem__)
        maps: torch.Tensor = evidence.using(self.distance, [best]).error_map(0, **self.method.shown)
        error_map: NDArray[Any] = maps[position, 0].float().cpu().numpy()
        return error_map


def bind(
    method: Method,
    models: tuple[str, ...] | None = None,
    distance: str | None = None,
    compat: str | None = None,
    effort: str | float = DEFAULTS.effort,
) -> BoundMethod:
    """Binds a method to the models and the distance that are asked for, or to its own.

    Args:
        method: The formula.
        models: Names for several methods at once: each takes those of its kind, and its own where there are none.
        distance: Name of a distance; None takes the method's own.
        compat: ``"published"`` takes the models of the paper where none are named.
        effort: Of methods that search.

    Raises:
        UsageError: The method has no model of its own, an effort that is none, or no distributions of the models.
        UnknownName: No such distance.
    """
    files = [name for name in models or () if name.endswith(DATA_SUFFIXES)]
    if not method.has_networks:
        return BoundMethod(_with_data(method, files), (), method.distance)
    # Folders and hub ids may be of any kind.
    other_kind = AUTOENCODERS if Need.BACKBONES in method.needs else BACKBONES
    fitting = tuple(name for name in expand(models or ()) if name not in {*other_kind, *files})
    names = fitting or expand(method.published_models if compat else method.models)
    if not names:
        raise UsageError(
            f"{method.name} has no model of its own: pass one, such as a folder that 'recon-detect convert "
            "guided-diffusion' wrote, or the hub id of a UNet2DModel"
        )
    for name in names:
        check_name(name)
    if method.nulls:
        nulls = method.nulls(names, effort, _only_file(method, files, NULLS_SUFFIX))
        return BoundMethod(method, names, nulls.distances[0][0], nulls)
    if Need.AUTOENCODERS not in method.needs:
        return BoundMethod(method, names, method.distance)
    return BoundMethod(method, names, find_distance(distance or method.distance).name)


def _with_data(method: Method, files: Sequence[str]) -> Method:
    """A method without networks, with the file that was named among the models if there is one."""
    file = _only_file(method, files, FAMILIES_SUFFIX)
    return method.with_data(file) if file and method.with_data else method


def _only_file(method: Method, files: Sequence[str], suffix: str) -> Path | None:
    """The file with a suffix among some; None if there is none."""
    chosen = [Path(name).expanduser() for name in files if name.endswith(suffix)]
    if len(chosen) > 1:
        raise UsageError(f"{method.name}: expected one file of data, got {', '.join(map(str, chosen))}")
    return chosen[0] if chosen else None
