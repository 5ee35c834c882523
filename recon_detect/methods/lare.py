"""LaRE: how badly a diffusion model predicts the noise that is added to an image's latents (arXiv:2403.17465)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon_detect.methods.method import Method
from recon_detect.models.needs import Need

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence

# A fifth of the way, one evaluation each: ours, as are the fixed noises.
_TIME = 0.2
_DRAWS = 4


def latent_reconstruction_error(e: Evidence) -> Tensor:
    """Mean square of eps(x_t, t) - n, x_t the latents with noise n. Low means generated.

    A diffusion model of pixels is given the image itself, at the size that it was trained on.
    """
    return e.noise_error(time=_TIME, draws=_DRAWS)


LARE = Method(
    name="lare",
    title="error of the noise that a diffusion model predicts, without sampling",
    statistic=latent_reconstruction_error,
    higher_is_generated=False,
    distance="l2",
    models=("sd1",),
    paper="arXiv:2403.17465",
    needs=frozenset({Need.AUTOENCODERS, Need.DENOISERS, Need.TRAINED_SIZE}),
    cost="4 evaluations of a UNet",
)
