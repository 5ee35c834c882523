"""Families from pictures: of a generator, or photographs that went through an autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recon_detect.methods.grid.families import Family
from recon_detect.methods.grid.null import Null
from recon_detect.methods.grid.whitening import energy, similarities, unit

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

# With fewer pictures a template is mostly noise of theirs.
FEW = 20


@dataclass(frozen=True, slots=True)
class Photographs:
    """Whitened tables of photographs at one scale.

    Attributes:
        tables: (N, F, 8, 8).
        pixels: (N,), of how many pixels they are the means.
        kinds: N, such as "lossless" or "camera"; see `Null`.
    """

    tables: Tensor
    pixels: Tensor
    kinds: Sequence[str]


def template(whitened: Tensor) -> Tensor:
    """The mean direction of whitened tables (N, F, 8, 8) on one grid: (F, 8, 8), of norm 1."""
    return unit(unit(whitened).mean(0, keepdim=True))[0]


def best_cosines(whitened: Tensor, templates: Tensor) -> NDArray[np.float64]:
    """The highest of the 64 cosines of tables (N, F, 8, 8) with templates (K, F, 8, 8): (N, K)."""
    result: NDArray[np.float64] = similarities(whitened, templates).flatten(2).amax(2).double().numpy()
    return result


def fit_family(
    name: str, generated: Tensor, photographs: Mapping[float, Photographs], card: Mapping[str, Any]
) -> Family:
    """A family from whitened tables (N, F, 8, 8) of pictures on the decoder's grid, and photographs by scale."""
    one = template(generated)
    return Family(name, one, {scale: fit_null(one, each) for scale, each in photographs.items()}, card)


def fit_null(one: Tensor, photographs: Photographs) -> Null:
    """Distribution of photographs about a template (F, 8, 8)."""
    cosines = best_cosines(photographs.tables, one[None])[:, 0]
    return Null.fit(cosines, energy(photographs.tables, photographs.pixels).double().numpy(), photographs.kinds)


def left_out(whitened: Tensor, groups: Sequence[str]) -> NDArray[np.float64]:
    """The best cosine of each picture with the template of all groups but its own: (N,), NaN where nothing is left.

    Args:
        whitened: (N, F, 8, 8), on one grid.
        groups: N, such as sources or prompts: what is too alike to be on both sides.
    """
    labels = np.array(groups)
    result = np.full(len(labels), np.nan)
    for group in dict.fromkeys(groups):
        inside = torch.from_numpy(labels == group)
        if not bool(inside.all()):
            result[labels == group] = best_cosines(whitened[inside], template(whitened[~inside])[None])[:, 0]
    return result
