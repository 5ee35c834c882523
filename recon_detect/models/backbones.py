"""Pretrained vision transformers, loaded through transformers' own classes: an embedding per image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from recon_detect.devices import autocast
from recon_detect.errors import WeightsError
from recon_detect.models.torchvision_guard import hide_broken_torchvision
from recon_detect.models.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor

# model_type of config.json to transformers' class.
_CLASSES = {"dinov2": "Dinov2Model", "dinov2_with_registers": "Dinov2WithRegistersModel"}

# ImageNet's, which all of these were trained with, for pixels in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class Backbone:
    """A pretrained vision transformer on a device.

    Attributes:
        name: Row name, folder or hub id.
        weights: Where the weights came from.
        patch: Pixels per patch; `embed` takes sides that are multiples of it.
        dtype: Precision, by autocast below float32.
    """

    def __init__(self, weights: Weights, module: Any, device: torch.device, dtype: torch.dtype) -> None:
        self.name = weights.name
        self.weights = weights
        self.device = device
        self.dtype = dtype
        self.patch: int = module.config.patch_size
        self._module = module.to(device).eval().requires_grad_(False)
        self._mean = torch.tensor(IMAGENET_MEAN, device=device).view(1, 3, 1, 1)
        self._deviation = torch.tensor(IMAGENET_DEVIATION, device=device).view(1, 3, 1, 1)

    def embed(self, x: Tensor) -> Tensor:
        """The class token (B, D), after the last normalisation, of (B, 3, S, S) in [-1, 1]; float32."""
        pixels = ((x + 1) / 2 - self._mean) / self._deviation
        with autocast(self.device, self.dtype):
            tokens: Tensor = self._module(pixel_values=pixels.contiguous()).last_hidden_state
        return tokens[:, 0].float()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keeps transformers from drawing progress bars over weights that are there already."""
    from transformers.utils import logging

    before = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            logging.enable_progress_bar()


def load_backbone(weights: Weights, device: torch.device, dtype: str = "auto") -> Backbone:
    """Loads a backbone from a folder with ``config.json`` and safetensors; no network, no pickle, no remote code.

    Args:
        weights: From `find_weights`.
        device: Where to put it.
        dtype: ``"bfloat16"`` lowers the precision; anything else is float32.

    Raises:
        WeightsError: Another kind of model, or tensors that do not fit the configuration.
    """
    hide_broken_torchvision()
    import transformers

    path = weights.folder / "config.json"
    try:
        kind = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path}: not a configuration of transformers ({error})") from error
    if kind not in _CLASSES:
        raise WeightsError(f"{path}: model_type is {kind!r}; expected one of {', '.join(_CLASSES)}")
    try:
        with quiet_transformers():
            module, report = getattr(transformers, _CLASSES[kind]).from_pretrained(
                weights.folder,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise WeightsError(f"{weights.folder}: {_CLASSES[kind]} does not load: {error}") from error
    if missing := sorted(report["missing_keys"]):
        raise WeightsError(f"{weights.folder}: {_CLASSES[kind]} lacks {len(missing)} tensors, such as {missing[0]}")
    return Backbone(weights, module, device, torch.bfloat16 if dtype == "bfloat16" else torch.float32)
