"""SeDID: how much a single step of a diffusion model's inversion is undone by its sampling (arXiv:2307.06272)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon_detect.methods.method import Method
from recon_detect.models.needs import Need

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence

# A quarter of the way at 20 steps: ours, as the best time depends on model and data.
_STEP = 5


def stepwise_error(e: Evidence) -> Tensor:
    """The mean square of x_t less x_t after a step there and back, the statistical form. Low means generated."""
    return e.step_error(_STEP)


SEDID = Method(
    name="sedid",
    title="error of a single step of inversion and sampling of a diffusion model of pixels",
    statistic=stepwise_error,
    higher_is_generated=False,
    distance="l2",
    models=(),
    paper="arXiv:2307.06272",
    needs=frozenset({Need.AUTOENCODERS, Need.TRAINED_SIZE}),
    cost="7 evaluations of a UNet of pixels",
)
