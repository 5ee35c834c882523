"""DIRE: the error of a diffusion model's own reconstruction, and a classifier on it (arXiv:2303.09295)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from recon_detect.evidence import TRAINED
from recon_detect.methods.method import Method, MethodResult
from recon_detect.models.needs import Need
from recon_detect.tensors.filters import gaussian_blur

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from recon_detect.evidence import Evidence


# Shares of the pixels of the error map that are below.
_QUANTILES = {"median": 0.5, "quantile 0.9": 0.9, "quantile 0.99": 0.99}


def reconstruction_error(e: Evidence) -> MethodResult:
    """Mean of |x - x'|, eq. 4, of the middle square at the size that the model was trained at. Low means generated.

    An autoencoder in place of the diffusion model takes the image as it is. The details hold the pooled map as
    features, for classifiers (`calibrate --combine`).
    """
    errors = e.error(view=TRAINED).cpu().double().numpy()
    features: list[dict[str, float]] = [{} for _ in range(len(e))]
    for number, model in enumerate(e.reconstructors):
        for name, values in pooled(e.error_map(number, view=TRAINED).float()).items():
            for of_image, value in zip(features, values.tolist(), strict=True):
                of_image[f"{model.name}.{name}"] = value
    return MethodResult(errors, details=[{"features": of_image} for of_image in features])


def pooled(errors: Tensor) -> dict[str, NDArray[np.float64]]:
    """Statistics of error maps (B, 1, h, w) for a small classifier: deviation, quantiles, detail, the four quarters."""
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
    for model in range(len(e.reconstructors)):
        image, again = (e.reconstruction(model, view=TRAINED, passes=passes) for passes in (0, 1))
        columns.append(e.classifier.logit(((image - again).abs() * 127.5).clamp(0, 255).floor() / 255))
    return torch.stack(columns, dim=1)


DIRE = Method(
    name="dire",
    title="error of a reconstruction by inverting a diffusion model of pixels",
    statistic=reconstruction_error,
    higher_is_generated=False,
    distance="l1",
    models=("mini-ddpm",),
    paper="arXiv:2303.09295",
    needs=frozenset({Need.AUTOENCODERS, Need.TRAINED_SIZE}),
    cost="40 evaluations of a UNet of pixels",
    shown={"view": TRAINED},
)
DIRE_RESNET = replace(
    DIRE,
    name="dire-resnet",
    title="the classifier of DIRE's authors on that error's map",
    models=(),
    statistic=classified,
    higher_is_generated=True,
    needs=DIRE.needs | {Need.CLASSIFIER},
)
