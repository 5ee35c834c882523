"""DIRE: the error of a diffusion model's own reconstruction, and a classifier on it (arXiv:2303.09295)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from recon_detect.evidence import TRAINED
from recon_detect.methods.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence


def reconstruction_error(e: Evidence) -> Tensor:
    """Mean of |x - x'|, eq. 4, of the middle square at the size that the model was trained at. Low means generated.

    An autoencoder in place of the diffusion model takes the image as it is.
    """
    return e.error(view=TRAINED)


def classified(e: Evidence) -> Tensor:
    """Log odds by the authors' classifier, of the map |x - x'| in 8 bits, as it is saved. High means generated."""
    columns = []
    for model in range(len(e.autoencoders)):
        image, again = (e.reconstruction(model, view=TRAINED, passes=passes) for passes in (0, 1))
        columns.append(e.classifier.logit(((image - again).abs() * 127.5).clamp(0, 255).floor() / 255))
    return torch.stack(columns, dim=1)


DIRE_RESNET = Method(
    name="dire-resnet",
    title="the classifier of DIRE's authors on that error's map",
    statistic=classified,
    higher_is_generated=True,
    distance="l1",
    models=(),
    trained_size=True,
    paper="arXiv:2303.09295",
    shown={"view": TRAINED},
    classifies=True,
)
DIRE = Method(
    name="dire",
    title="error of a reconstruction by inverting a diffusion model of pixels",
    statistic=reconstruction_error,
    higher_is_generated=False,
    distance="l1",
    models=(),
    trained_size=True,
    paper="arXiv:2303.09295",
    shown={"view": TRAINED},
)
