"""The precision that students are trained in: bfloat16 where the CPU has instructions for it, or else float32."""

from __future__ import annotations

import torch

from recon_detect.tensors.devices import has_bfloat16

PRECISION = torch.bfloat16 if has_bfloat16(torch.device("cpu")) else torch.float32


def lowered() -> torch.autocast:
    """Convolutions and products in `PRECISION`, with weights in float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=torch.bfloat16 == PRECISION)
