"""Contrasts: how much better an image is reconstructed in one pose than in others, as deviates of photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import log_ndtr, ndtri_exp

from recon_detect.evidence.texture import block_means
from recon_detect.methods.grain.nulls import Contrasts, Nulls

if TYPE_CHECKING:
    from collections.abc import Sequence

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
# One photograph in a hundred is beyond it: what is beyond is worth a remark.
REMARKABLE = 2.33


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


def corrected(z: NDArray[np.float64], share: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Corrects z for 1 / `share` tests like it (Sidak, 1967): Phi(result) = Phi(z) ** (1 / share).

    Written in whichever tail is small, so that nothing is rounded to infinity.
    """
    log_p = log_ndtr(-z)
    with np.errstate(divide="ignore", invalid="ignore"):
        small = np.where(log_p < -30, log_p - np.log(share), np.log(-np.expm1(np.log1p(-np.exp(log_p)) / share)))
    result: NDArray[np.float64] = np.where(z > 0, -ndtri_exp(small), ndtri_exp(log_ndtr(z) / share))
    return result


def pooled(per_model: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best of (B, K) models, corrected for their number: (B,)."""
    return corrected(per_model.max(axis=1), 1 / per_model.shape[1])
