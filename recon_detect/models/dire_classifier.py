"""The classifier of DIRE's authors, a ResNet-50 on DIRE maps, as transformers' ResNetForImageClassification."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from recon_detect.errors import WeightsError
from recon_detect.models.backbones import IMAGENET, quiet_transformers
from recon_detect.models.torchvision_guard import hide_broken_torchvision
from recon_detect.models.weights import find_weights

if TYPE_CHECKING:
    from torch import Tensor

# Maps are brought to the first side and cropped to the second in the middle.
_RESIZED, _CROPPED = 256, 224


class DireClassifier:
    """A trained ResNet on a device.

    Attributes:
        name: The folder or hub id.
        weights: Source of the weights.
        configs: The configuration file that decides what it computes.
        dtype: float32.
    """

    def __init__(self, model: str, device: torch.device) -> None:
        """Loads a folder that `convert_classifier` wrote, or a hub id.

        Raises:
            WeightsError: Missing, or not a ResNet with one output.
        """
        hide_broken_torchvision()
        from transformers import ResNetForImageClassification

        self.weights = find_weights(model)
        self.configs = (self.weights.folder / "config.json",)
        self.name = model
        self.dtype = torch.float32
        try:
            with quiet_transformers():
                module, report = ResNetForImageClassification.from_pretrained(
                    self.weights.folder, local_files_only=True, use_safetensors=True, output_loading_info=True
                )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise WeightsError(f"{self.weights.folder}: ResNetForImageClassification does not load: {error}") from error
        if report["missing_keys"] or module.config.num_labels != 1:
            raise WeightsError(
                f"{self.weights.folder}: expected a whole ResNet with one output, as 'convert' writes it"
            )
        self._module = module.to(device).eval().requires_grad_(False)
        self._mean, self._deviation = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in IMAGENET)

    def logit(self, maps: Tensor) -> Tensor:
        """Log odds of being generated (B,), of DIRE maps (B, 3, H, W) in [0, 1] in steps of 1 / 255, as saved."""
        height, width = maps.shape[-2:]
        if min(height, width) != _RESIZED:
            size = [round(side * _RESIZED / min(height, width)) for side in (height, width)]
            maps = F.interpolate(maps, size=size, mode="bilinear", antialias=True, align_corners=False)
        top, left = (round((side - _CROPPED) / 2) for side in maps.shape[-2:])
        crop = maps[..., top : top + _CROPPED, left : left + _CROPPED]
        logits: Tensor = self._module(pixel_values=(crop - self._mean) / self._deviation).logits
        return logits[:, 0]
