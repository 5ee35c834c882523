"""HFI: high-frequency influence (Choi et al., arXiv:2412.20704)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon_detect.methods.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence


def high_frequency_influence(e: Evidence) -> Tensor:
    """d(x, AE(x)) - d(Fx, AE(Fx)) with F a 3x3 Gaussian of sigma 0.8; the smallest decides. Low means generated."""
    error, blurred = e.errors(("identity", "blur")).unbind()
    return error - blurred


HFI = Method(
    name="hfi",
    title="error less the error of the blurred image",
    statistic=high_frequency_influence,
    higher_is_generated=False,
    distance="lpips_vgg_2",
    models=("taesd",),
    paper="arXiv:2412.20704",
    cost="2 reconstructions",
)
