"""Sharing: reconstructors with equal encoders, or equal altogether, are run once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recon_detect.models.reconstructor import Reconstructor


def share_equal_parts(reconstructors: Sequence[Reconstructor]) -> None:
    """Gives equal keys to encoders, and to whole reconstructors, with equal tensors and configurations.

    Stable Diffusion 1 and 2, for example, have the same encoder and different decoders. A class whose encoder is not
    named (`Reconstructor.encoder`) shares latents only with models that are equal in all tensors.
    """
    if len(reconstructors) < 2:
        return
    for model in reconstructors:
        encoder, decoder = hashlib.sha256(), hashlib.sha256()
        kind, tensors = model.state()
        named = any(name.startswith(model.encoder) for name in tensors) if model.encoder else False
        for name, tensor in sorted(tensors.items()):
            digest = encoder if not named or name.startswith(model.encoder) else decoder
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        model.encoder_key = f"{kind}:{encoder.hexdigest()}"
        model.key = f"{model.encoder_key}:{decoder.hexdigest()}"
