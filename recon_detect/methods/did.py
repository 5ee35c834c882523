"""A second-order difference after DID (CVPR 2026, arXiv:2602.23732), with an autoencoder in place of DIRE's model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon_detect.methods.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence


def second_order_difference(e: Evidence) -> Tensor:
    """Mean of |x - x'| - |x' - x''|: the noise that any reconstruction makes cancels. Low means generated."""
    return e.error() - e.error(passes=2)


DID = Method(
    name="did",
    title="error of the first pass less the error of the second",
    statistic=second_order_difference,
    higher_is_generated=False,
    distance="l1",
    models=("taesd",),
    paper="arXiv:2602.23732",
    cost="2 reconstructions",
)
