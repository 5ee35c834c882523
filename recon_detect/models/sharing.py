"""Sharing: reconstructors with equal encoders, or equal altogether, are run once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from recon_detect.models.reconstructor import Reconstructor


def share_equal_parts(reconstructors: Sequence[Reconstructor]) -> None:
    """Gives equal keys to encoders, and to whole reconstructors, with equal tensors and configurations.

    Stable Diffusion 1 and 2, for example, have the same encoder and different decoders. A class whose encoder is not
    named (`Reconstructor.encoder`) shares latents only with models that are equal in all tensors.
    """
    states = [model.state() for model in reconstructors]
    for place, (model, (kind, tensors)) in enumerate(zip(reconstructors, states, strict=True)):
        named = [name for name in tensors if model.encoder and name.startswith(model.encoder)]
        encoder = named or list(tensors)
        # Without the place, one file under two configurations would have one key.
        model.encoder_key, model.key = f"{model.encoder_key}:{place}", f"{model.key}:{place}"
        for earlier, (other_kind, others) in zip(reconstructors[:place], states[:place], strict=True):
            if kind == other_kind and tensors.keys() == others.keys() and _equal(tensors, others, encoder):
                model.encoder_key = earlier.encoder_key
                if _equal(tensors, others, tensors):
                    model.key = earlier.key


def _equal(tensors: Mapping[str, torch.Tensor], others: Mapping[str, torch.Tensor], names: Iterable[str]) -> bool:
    """True where tensors of some names are equal; the first that is not ends it."""
    pairs = ((tensors[name], others[name]) for name in names)
    return all(one.dtype == other.dtype and torch.equal(one, other) for one, other in pairs)
