"""RDD: HFI less half of the turned image's HFI, alone or times a score of the latents (Choi et al., CVPR 2026)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon_detect.methods.hfi import high_frequency_influence
from recon_detect.methods.method import Method
from recon_detect.models.needs import Need

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence

# The weight of the rotation; that of the blur is 1.
_LAMBDA_R = 0.5


def image_score(e: Evidence) -> Tensor:
    """S_image = f(x) - f(Fx) - 1/2 f(Rx) + 1/2 f(FRx), f = d(., AE(.)), R a turn by 90 degrees. Low means generated."""
    turned = e.error(view="rot90") - e.error(view="rot90+blur")
    return high_frequency_influence(e) - _LAMBDA_R * turned


# The noise that is added to latents, and how often; the second is ours.
_TIME = 0.05
_DRAWS = 4


def latent_score(e: Evidence) -> Tensor:
    """S_latent = f(R z) - f(z), f the error of the noise that the diffusion model predicts in latents z = E(x)."""
    return e.noise_error("rot90", time=_TIME, draws=_DRAWS) - e.noise_error(time=_TIME, draws=_DRAWS)


def both(e: Evidence) -> Tensor:
    """S_image * S_latent^2. Low means generated."""
    return image_score(e) * latent_score(e).square()


RDD = Method(
    name="rdd",
    title="HFI less half the HFI of the turned image",
    statistic=image_score,
    higher_is_generated=False,
    distance="lpips_vgg_2",
    models=("taesd",),
    paper="Choi et al., CVPR 2026",
    cost="4 reconstructions",
)
RDD_LATENT = Method(
    name="rdd-latent",
    title="RDD times the square of how much worse a diffusion model knows the turned latents",
    statistic=both,
    higher_is_generated=False,
    distance="lpips_vgg_2",
    models=("sd1",),
    paper="Choi et al., CVPR 2026",
    needs=frozenset({Need.AUTOENCODERS, Need.DENOISERS}),
    cost="4 reconstructions, 8 evaluations of a UNet of latents",
)
