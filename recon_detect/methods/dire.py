"""DIRE: the error of a diffusion model's own reconstruction, and a classifier on it (arXiv:2303.09295)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from recon_detect.evidence import TRAINED
from recon_detect.methods.method import Finding, Method
from recon_detect.tensors.filters import gaussian_blur

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from recon_detect.evidence import Evidence


# Of the error map: shares of its pixels that are below.
_QUANTILES = {"median": 0.5, "quantile 0.9": 0.9, "quantile 0.99": 0.99}


def reconstruction_error(e: Evidence) -> Finding:
    """Mean of |x - x'|, eq. 4, of the middle square at the size that the model was trained at. Low means generated.

    An autoencoder in place of the diffusion model takes the image as it is. The pooled map is told as features, for
    classifiers (`calibrate --combine`).
    """
    score = -e.error(view=TRAINED).cpu().double().numpy()
    features: list[dict[str, float]] = [{} for _ in range(len(e))]
    for model, autoencoder in enumerate(e.autoencoders):
        for name, values in pooled(e.error_map(model, view=TRAINED).float()).items():
            for found, value in zip(features, values.tolist(), strict=True):
                found[f"{autoencoder.name}.{name}"] = value
    return Finding(score, score.max(axis=1), [{"features": found} for found in features], [""] * len(e))


def pooled(errors: Tensor) -> dict[str, NDArray[np.float64]]:
    """What a small classifier may see of error maps (B, 1, h, w): deviation, quantiles, detail, the four quarters."""
    flat = errors.flatten(1).cpu().double().numpy()
    detail = (errors - gaussian_blur(errors, sigma=1.0, radius=3)).abs().mean(dim=(1, 2, 3))
    quarters = F.adaptive_avg_pool2d(errors, 2).flatten(1).cpu().double().numpy()
    return {
        "deviation": flat.std(axis=1),
        **dict(zip(_QUANTILES, np.quantile(flat, list(_QUANTILES.values()), axis=1), strict=True)),
        "detail": detail.cpu().double().numpy(),
        **{f"quarter {place}": values for place, values in enumerate(quarters.T)},
    }


def classified(e: Evidence) -> Tensor:
    """Log odds by the authors' classifier, of the map |x - x'| in 8 bits, as it is saved. High means generated."""
    columns = []
    for model in range(len(e.autoencoders)):
        image, again = (e.reconstruction(model, view=TRAINED, passes=passes) for passes in (0, 1))
        columns.append(e.classifier.logit(((image - again).abs() * 127.5).clamp(0, 255).floor() / 255))
    return torch.stack(columns, dim=1)


DIRE = Method(
    name="dire",
    title="error of a reconstruction by inverting a diffusion model of pixels",
    statistic=reconstruction_error,
    higher_is_generated=True,
    distance="l1",
    models=("mini-ddpm",),
    trained_size=True,
    paper="arXiv:2303.09295",
    shown={"view": TRAINED},
)
DIRE_RESNET = replace(
    DIRE,
    name="dire-resnet",
    title="the classifier of DIRE's authors on that error's map",
    models=(),
    statistic=classified,
    classifies=True,
)
