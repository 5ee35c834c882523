"""Contrast: the error of the turned and the mirrored image over that of the upright one. This project's own.

The raw error mostly measures how busy a picture is; a quotient of two errors of the same picture cancels that.
Autoencoders are not equivariant (EQ-VAE, arXiv:2502.09509): what a decoder wrote has an up and a left and is
reconstructed better the way it was written, while a photograph is reconstructed about equally well either way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from recon_detect.methods.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence

VIEWS = ("rot90", "hflip")


def log_quotient(e: Evidence) -> Tensor:
    """Mean over the views v of log d(vx, AE(vx)) - log d(x, AE(x)). About 0 for photographs, high means generated."""
    upright, *turned = e.errors(("identity", *VIEWS)).log().unbind()
    return torch.stack(turned).mean(dim=0) - upright


CONTRAST = Method(
    name="contrast",
    title="log error of the turned and mirrored image against the upright one",
    statistic=log_quotient,
    higher_is_generated=True,
    distance="lpips_vgg_2",
    models=("taesd",),
    paper="this project, after arXiv:2502.09509",
    cost="3 reconstructions",
)
