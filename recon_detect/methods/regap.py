"""ReGap: how much an edit changes the reconstruction error (arXiv:2510.25141)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from recon_detect.methods.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence import Evidence

# The paper's structured edits cannot be recovered from its text; these are mild edits in its spirit.
EDITS = ("blur", "noise", "bgr")


def largest_change(e: Evidence) -> Tensor:
    """Largest |d(Tx, AE(Tx)) - d(x, AE(x))| over the edits T. High means generated: edits hurt fakes."""
    error, *edited = e.errors(("identity", *EDITS)).unbind()
    return (torch.stack(edited) - error).abs().amax(dim=0)


REGAP = Method(
    name="regap",
    title="largest change of the error by a mild edit: blur, noise, exchanged channels",
    statistic=largest_change,
    higher_is_generated=True,
    distance="lpips_vgg_2",
    models=("taesd",),
    paper="arXiv:2510.25141",
    cost="4 reconstructions",
)
