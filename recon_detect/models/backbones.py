"""Pretrained image backbones, loaded through transformers' own classes: an embedding per image."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from recon_detect.errors import WeightsError
from recon_detect.models.torchvision_guard import hide_broken_torchvision
from recon_detect.models.weights import Weights
from recon_detect.tensors.devices import autocast

if TYPE_CHECKING:
    from torch import Tensor

# Means and deviations that the backbones were trained with, for pixels in [0, 1].
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of backbone: transformers' class, what its output holds the embedding in, and its normalisation."""

    module: str
    embedding: Callable[[Any], Tensor]
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    arguments: dict[str, Any] = field(default_factory=dict)


def _class_token(output: Any) -> Tensor:
    token: Tensor = output.last_hidden_state[:, 0]
    return token


def _pooled(output: Any) -> Tensor:
    pooled: Tensor = output.pooler_output.flatten(1)
    return pooled


_VIT = _Kind("ViTModel", _class_token, arguments={"add_pooling_layer": False})
# By model_type of config.json.
_KINDS = {
    "dinov2": _Kind("Dinov2Model", _class_token),
    "dinov2_with_registers": _Kind("Dinov2WithRegistersModel", _class_token),
    "vit": _VIT,  # DINO ViT-B/16
    "resnet": _Kind("ResNetModel", _pooled),  # DINO ResNet-50
    "clip": _Kind("CLIPVisionModel", _pooled, _CLIP),
    "clip_vision_model": _Kind("CLIPVisionModel", _pooled, _CLIP),
}


class Backbone:
    """A pretrained backbone on a device.

    Attributes:
        name: Row name, folder or hub id.
        weights: Source of the weights.
        configs: The configuration file that decides what it computes.
        dtype: Precision, by autocast below float32.
    """

    def __init__(self, weights: Weights, module: Any, kind: _Kind, device: torch.device, dtype: torch.dtype) -> None:
        self.name = weights.name
        self.weights = weights
        self.configs = (weights.folder / "config.json",)
        self.device = device
        self.dtype = dtype
        self._module = module.to(device).eval().requires_grad_(False)
        self._kind = kind
        self._mean, self._deviation = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in kind.normalisation)

    def embed(self, x: Tensor) -> Tensor:
        """The class token after the last normalisation, or what a network without one pools: (B, D) float32.

        Args:
            x: (B, 3, S, S) in [-1, 1]; of a transformer, S is a multiple of its patch.
        """
        pixels = ((x + 1) / 2 - self._mean) / self._deviation
        with autocast(self.device, self.dtype):
            output = self._module(pixel_values=pixels.contiguous())
        return self._kind.embedding(output).float()


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
        weights: Result of `find_weights`.
        device: Device to load to.
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
    if kind not in _KINDS:
        raise WeightsError(f"{path}: model_type is {kind!r}; expected one of {', '.join(_KINDS)}")
    row = _KINDS[kind]
    try:
        with quiet_transformers():
            module, report = getattr(transformers, row.module).from_pretrained(
                weights.folder,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **row.arguments,
            )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise WeightsError(f"{weights.folder}: {row.module} does not load: {error}") from error
    if missing := sorted(report["missing_keys"]):
        raise WeightsError(f"{weights.folder}: {row.module} lacks {len(missing)} tensors, such as {missing[0]}")
    return Backbone(weights, module, row, device, torch.bfloat16 if dtype == "bfloat16" else torch.float32)
