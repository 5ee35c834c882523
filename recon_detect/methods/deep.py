"""Deeper reconstructions: AEROBLADE's error after the diffusion model as well (arXiv:2401.17879, section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon_detect.methods.method import Method
from recon_detect.models.needs import Need

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence


def deeper_error(e: Evidence) -> Tensor:
    """d(x, D(S(I(E(x))))), I and S inversion and sampling of the latents by a diffusion model. Low means generated."""
    return e.error(deep=True)


DEEP = Method(
    name="deep",
    title="error of a reconstruction by the autoencoder with its diffusion model",
    statistic=deeper_error,
    higher_is_generated=False,
    distance="lpips_vgg_2",
    models=("sd1",),
    paper="arXiv:2401.17879",
    needs=frozenset({Need.AUTOENCODERS, Need.DENOISERS}),
    cost="1 reconstruction, 40 evaluations of a UNet of latents",
    shown={"deep": True},
)
