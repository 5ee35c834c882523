"""AEROBLADE: the autoencoder reconstruction error (Ricker et al., CVPR 2024, arXiv:2401.17879)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon_detect.methods.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence


def reconstruction_error(e: Evidence) -> Tensor:
    """Eq. 2 and 3: d(x, D(E(x))) for each autoencoder; the smallest decides. Low means generated."""
    return e.error()


AEROBLADE = Method(
    name="aeroblade",
    title="autoencoder reconstruction error, second layer of LPIPS-VGG",
    statistic=reconstruction_error,
    higher_is_generated=False,
    distance="lpips_vgg_2",
    models=("taesd",),
    paper="arXiv:2401.17879",
    cost="1 reconstruction",
    published_models=("aeroblade",),
)
