"""RDD's image score: HFI less half of the turned image's HFI (Choi et al., CVPR 2026)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon_detect.methods.hfi import high_frequency_influence
from recon_detect.methods.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence

# The weight of the rotation; that of the blur is 1.
_LAMBDA_R = 0.5


def image_score(e: Evidence) -> Tensor:
    """S_image = f(x) - f(Fx) - 1/2 f(Rx) + 1/2 f(FRx), f = d(., AE(.)), R a turn by 90 degrees. Low means generated."""
    turned = e.error(view="rot90") - e.error(view="rot90+blur")
    return high_frequency_influence(e) - _LAMBDA_R * turned


RDD = Method(
    name="rdd",
    title="HFI less half the HFI of the turned image",
    statistic=image_score,
    higher_is_generated=False,
    distance="lpips_vgg_2",
    models=("taesd",),
    paper="Choi et al., CVPR 2026",
)
