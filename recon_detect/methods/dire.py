"""DIRE: the error of a diffusion model's own reconstruction (Wang et al., ICCV 2023, arXiv:2303.09295)."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
