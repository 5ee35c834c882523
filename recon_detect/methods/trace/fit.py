"""Distributions of the contrasts of tiles over photographs of a user, by models of a user: ``recon-detect nulls fit``.

The photographs are scored by a method of its own, `tiles_method`, so that they are read, resumed and reported as any
images are; `fitted` makes the distributions of its rows.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from recon_detect.errors import CalibrationError, UsageError
from recon_detect.evidence.distances import FEATURES, find_distance
from recon_detect.evidence.texture import most_textured
from recon_detect.images.transform import encode
from recon_detect.methods.method import Method, MethodResult
from recon_detect.methods.trace.looks import MOVED, contrasts, tile_side, tiles_of
from recon_detect.models.loading import has_features
from recon_detect.models.needs import Need
from recon_detect.models.weights import find_weights

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence
    from recon_detect.results import ModelInfo, Row

log = logging.getLogger("recon_detect")

# Raised where the contrasts of the same tiles change.
VERSION = 1
# Of fewer photographs the deviation is known to no better than a sixth.
LEAST_PHOTOGRAPHS = 20
# Side of the part of a photograph that is looked at, and what is cut off before, so that it is off any grid of JPEG.
SIDE, OFF_GRID = 512, (3, 5)
# What each photograph goes through: factor and encoding.
CONDITIONS: dict[str, tuple[float, str]] = {
    "png": (1, "png"),
    "jpeg85": (1, "jpeg-85"),
    "jpeg75": (1, "jpeg-75"),
    "down85": (0.78125, "jpeg-85"),
}
# Tiles of a photograph, the most textured.
TILES = 2
# Photographs have a mean between -0.1 and 0.4 by the models of the package.
LARGEST_MEAN = 1.5


@dataclass(frozen=True, slots=True)
class Compared:
    """The distance of each model; satisfies `methods.method.Nulls`."""

    distances: tuple[tuple[str, ...], ...]
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Distributions of a file of `write_fitted`.

    Attributes:
        contrast: By the SHA-256 of a model's weights: name, distance, family, mean and deviation.
        common: Variance that the tiles of one photograph share, in that of a tile.
        photographs: Number of photographs.
        digest: Twelve hexadecimal digits of the file.
    """

    contrast: Mapping[str, Mapping[str, Any]]
    common: float
    photographs: int
    digest: str

    def of_models(self, models: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The rows of those of some models that it covers, by the models' names.

        Raises:
            UsageError: It covers none of them.
        """
        sums = {model: find_weights(model).sha256 for model in models}
        covered = {model: self.contrast[sha256] for model, sha256 in sums.items() if sha256 in self.contrast}
        if not covered:
            names = ", ".join(str(row["name"]) for row in self.contrast.values())
            raise UsageError(
                f"the null distributions are of {names}, and none of these has the weights of {', '.join(models)}: "
                "name the model that they were fitted to, or run 'recon-detect nulls fit' for this one"
            )
        return covered


def tiles_method(distance: str | None = None) -> Method:
    """The method whose details hold the contrasts of a photograph's tiles.

    Args:
        distance: Of image and reconstruction, for all models. None takes the features of the encoder where a model has
            them, else LPIPS.

    Raises:
        UnknownName: No such distance.
    """
    if distance is not None:
        find_distance(distance)
    return Method(
        name="tiles",
        title="contrasts of the most textured tiles of photographs, as they are, compressed and reduced",
        statistic=tile_contrasts,
        higher_is_generated=True,
        distance=distance or FEATURES,
        models=("embedded",),
        paper="this project",
        needs=frozenset({Need.AUTOENCODERS, Need.NULLS}),
        nulls=partial(_compared, distance=distance),
    )


def _compared(models: tuple[str, ...], _: str | float, __: Path | None = None, *, distance: str | None) -> Compared:
    """The distance of each model, before any is loaded."""
    return Compared(tuple((distance or natural_distance(model),) for model in models))


def natural_distance(model: str) -> str:
    """The distance by the features of a model's encoder where it has them, else LPIPS."""
    return FEATURES if has_features(find_weights(model)) else "lpips_vgg_2"


def tile_contrasts(e: Evidence, compared: Compared) -> MethodResult:
    """The mean contrast (B, K) of the tiles of each photograph; NaN of one without two textured tiles.

    The details hold all of them: ``{"t": {model: {condition: [t of a tile, ...]}}}``.
    """
    tiles: dict[tuple[int, str], list[Tensor]] = {}
    for number, x in enumerate(e.image()):
        for condition, part in changed_parts(x).items():
            corners, side = tiles_of(part, (0, 0))[:TILES], tile_side(*part.shape[-2:])
            if len(corners) == TILES:
                margin = side + MOVED
                tiles[number, condition] = [part[:, top : top + margin, left : left + margin] for left, top in corners]
    means = np.full((len(e), len(compared.distances)), np.nan)
    details: list[dict[str, Any]] = [{"t": {}} for _ in range(len(e))]
    positions = [number for number, _ in tiles for _ in range(TILES)]
    together = [tile for of_image in tiles.values() for tile in of_image]
    for k, (distance,) in enumerate(compared.distances if tiles else ()):
        values = contrasts(e.only(k), together, positions, distance).reshape(-1, TILES)
        for (number, condition), t in zip(tiles, values.tolist(), strict=True):
            details[number]["t"].setdefault(e.reconstructors[k].name, {})[condition] = t
        for number in set(positions):
            means[number, k] = values[np.array(positions[::TILES]) == number].mean()
    return MethodResult(means, details=details)


def changed_parts(x: Tensor) -> dict[str, Tensor]:
    """The most textured part of a photograph (3, H, W) after each of `CONDITIONS`, at its size again."""
    top, left = OFF_GRID
    x = x[:, top:, left:]
    if tile_side(*x.shape[-2:]) == 0:
        return {}
    ((left, top, right, bottom),) = most_textured(x[None], SIDE)
    part = x[:, top:bottom, left:right]
    image = Image.fromarray(((part + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy())
    return {name: brought_back(changed(image, *how), image.size).to(x) for name, how in CONDITIONS.items()}


def changed(image: Image.Image, factor: float, encoding: str) -> Image.Image:
    """A picture that was reduced, and stored again."""
    if factor != 1:
        width, height = (round(side * factor) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return Image.open(io.BytesIO(encode(image, encoding))).convert("RGB")


def brought_back(image: Image.Image, size: tuple[int, int]) -> Tensor:
    """A picture (3, H, W) in [-1, 1] at a size (width, height)."""
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1
    if image.size == size:
        return x
    return F.interpolate(x[None], size=size[::-1], mode="bicubic", antialias=True, align_corners=False)[0].clamp_(-1, 1)


def fitted(
    rows: Sequence[Row], models: Sequence[ModelInfo], distances: Sequence[str], family: str | None = None
) -> dict[str, Any]:
    """Mean and deviation of the contrast of a tile by each model: JSON values for `write_fitted`.

    Args:
        rows: Of photographs, by `tiles_method`.
        models: The K models of the run.
        distances: K, what they were compared by.
        family: Of decoders whose sizes and grid they have; None for their names.

    Raises:
        UsageError: Fewer than `LEAST_PHOTOGRAPHS` with two textured tiles.
    """
    details = [row.details["t"] for row in rows if row.error is None]
    if len(details) < LEAST_PHOTOGRAPHS:
        first = next((f"; the first of the others: {row.path}: {row.error}" for row in rows if row.error), "")
        raise UsageError(
            f"expected at least {LEAST_PHOTOGRAPHS} photographs with two textured tiles, got {len(details)} of "
            f"{len(rows)}: name more with --real{first}"
        )
    contrast, shared = {}, []
    for model, distance in zip(models, distances, strict=True):
        t = np.array([tiles for by_model in details for tiles in by_model[model.name].values()])
        shared.append(np.corrcoef(t.T)[0, 1])
        if t.mean() > LARGEST_MEAN:
            log.warning(
                "%s: the mean contrast is %.1f, as if it had written these pictures; expected photographs that no "
                "decoder has written", model.name, t.mean(),
            )  # fmt: skip
        contrast[model.sha256] = {
            "name": model.name,
            "distance": distance,
            **({"family": family} if family else {}),
            "mean": round(float(t.mean()), 3),
            "deviation": round(float(t.std(ddof=1)), 3),
        }
    common = round(max(float(np.mean(shared)), 0.0), 3)
    return {"version": VERSION, "contrast": contrast, "common": common, "photographs": len(details)}


def read_fitted(path: Path) -> Fitted:
    """Reads a file of ``recon-detect nulls fit``.

    Raises:
        UsageError: No such file, or one of another version of the package.
        CalibrationError: It holds something else.
    """
    if not path.is_file():
        raise UsageError(f"no such file of null distributions: {path}; 'recon-detect nulls fit' makes one")
    data = path.read_bytes()
    try:
        content = json.loads(data)
        version = content["version"]
        contrast = {
            sha256: dict(row) | {"mean": float(row["mean"]), "deviation": float(row["deviation"])}
            for sha256, row in content["contrast"].items()
        }
        result = Fitted(
            contrast, float(content["common"]), int(content["photographs"]), hashlib.sha256(data).hexdigest()[:12]
        )
        if not all(np.isfinite(row["mean"]) and row["deviation"] > 0 and row["distance"] for row in contrast.values()):
            raise ValueError("a deviation that is not positive")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CalibrationError(f"{path} holds no distributions of 'recon-detect nulls fit' ({error!r})") from error
    if version != VERSION:
        raise UsageError(f"{path} was fitted with another version of the package: run 'recon-detect nulls fit' again")
    return result
