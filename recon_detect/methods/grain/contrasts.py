"""Contrasts: how much better an image is reconstructed in one pose than in others, as deviates of photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from recon_detect.evidence.texture import block_means
from recon_detect.methods.deviates import REMARKABLE
from recon_detect.methods.grain.nulls import Contrasts, Nulls

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from recon_detect.evidence import Evidence

# The poses that are compared: mirrored, and moved by odd numbers of pixels, off the grids of 8, 4 and 2 pixels on which
# the decoders write. A move by 4 would be half on the grid of FLUX.1 and SD3 (docs/methods/grain.md, figure) ...
POSES = ("identity", "hflip", "shift3,3", "shift5,5", "shift3,5")
# ... and those of them in which a grain is looked for: as the image is, or mirrored, each with its share of the prior.
PRIOR = {"identity": 0.8, "hflip": 0.2}
# Added to an error before its logarithm: below it, in smooth images, a contrast is noise.
FLOOR = 0.003


def without_doubtful_decoder(score: float, details: dict[str, Any]) -> dict[str, Any]:
    """Details of an image, which name a decoder only where the score is `REMARKABLE`: a photograph has none."""
    return details if score >= REMARKABLE else {name: value for name, value in details.items() if name != "decoder"}


def log_errors(e: Evidence, nulls: Nulls, poses: Sequence[str]) -> Tensor:
    """log(d(qx, AE(qx)) + `FLOOR`) of the poses q, mean over the distances of each model: (B, K, Q)."""
    names = dict.fromkeys(name for names in nulls.distances for name in names)
    logs = {name: (e.errors(poses, name) + FLOOR).log() for name in names}
    columns = [
        torch.stack([logs[name][..., model] for name in names]).mean(dim=0)
        for model, names in enumerate(nulls.distances)
    ]
    return torch.stack(columns, dim=1).permute(2, 1, 0)


def contrasts(logs: Tensor, poses: Sequence[str] = POSES) -> Contrasts:
    """The contrasts (..., P) of the poses of `PRIOR` with the others, from log errors (..., Q).

    About 0 for photographs. Of fewer `poses`, those that are missing in it are left out of `PRIOR` too.
    """
    sought = [poses.index(pose) for pose in PRIOR if pose in poses]
    others = torch.stack([torch.cat([logs[..., :q], logs[..., q + 1 :]], dim=-1) for q in sought], dim=-2)
    freedom = len(poses) - 2
    variance = others.var(dim=-1) if freedom else torch.zeros_like(others[..., 0])
    return Contrasts(others.mean(dim=-1) - logs[..., sought], variance, freedom)


def participating_blocks(e: Evidence) -> Tensor:
    """Over how many blocks of 32 px the upright error is spread, (sum of d)^2 / sum of d^2: (B, K)."""
    maps = [block_means(e.error_map(model), e.image()).flatten(1) for model in range(len(e.reconstructors))]
    return torch.stack([m.sum(dim=1).square() / m.square().sum(dim=1) for m in maps], dim=1)


def standardised(e: Evidence, nulls: Nulls, scale: float, poses: Sequence[str] = POSES) -> NDArray[np.float64]:
    """The contrasts as normal deviates of photographs that were brought to the same scale: (B, K, P)."""
    return nulls.standardise(contrasts(log_errors(e, nulls, poses), poses), participating_blocks(e), scale)
