"""The classifier of DIRE's authors, a ResNet-50 on DIRE maps, as transformers' ResNetForImageClassification."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from recon_detect.atomic import replacing
from recon_detect.errors import WeightsError
from recon_detect.models.backbones import IMAGENET, quiet_transformers
from recon_detect.models.converters.guided_diffusion import read_checkpoint
from recon_detect.models.pixel_diffusion import check_shapes
from recon_detect.models.torchvision_guard import hide_broken_torchvision
from recon_detect.models.weights import find_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

# Maps are brought to the first side and cropped to the second in the middle.
_RESIZED, _CROPPED = 256, 224

# torchvision's names, which the authors train with, and those of transformers.
_RENAMED = (
    (r"^conv1\.", r"resnet.embedder.embedder.convolution."),
    (r"^bn1\.", r"resnet.embedder.embedder.normalization."),
    (r"^fc\.", r"classifier.1."),
    (r"^layer(\d)\.(\d+)\.downsample\.0\.", r"resnet.encoder.stages.\1.layers.\2.shortcut.convolution."),
    (r"^layer(\d)\.(\d+)\.downsample\.1\.", r"resnet.encoder.stages.\1.layers.\2.shortcut.normalization."),
    (r"^layer(\d)\.(\d+)\.conv(\d)\.", r"resnet.encoder.stages.\1.layers.\2.layer.\3.convolution."),
    (r"^layer(\d)\.(\d+)\.bn(\d)\.", r"resnet.encoder.stages.\1.layers.\2.layer.\3.normalization."),
)


class DireClassifier:
    """A trained ResNet on a device.

    Attributes:
        name: The folder or hub id.
        weights: Where the weights came from.
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


def convert_classifier(checkpoint: Path, output: Path) -> None:
    """Writes a checkpoint of the authors' training script as a folder for transformers.

    Args:
        checkpoint: The ``.pth`` file: a state dict of torchvision's ResNet with bottlenecks and one output, alone or
            under ``model``; read with ``weights_only=True``.
        output: The folder.

    Raises:
        WeightsError: Anything else.
    """
    from safetensors.torch import save_file

    state = read_checkpoint(checkpoint, under="model")
    placed = {_renamed(name): tensor for name, tensor in state.items()}
    config = _config(checkpoint, state)
    _check(checkpoint, placed, config)
    output.mkdir(parents=True, exist_ok=True)
    with replacing(output / "model.safetensors") as temporary:
        save_file({name: tensor.contiguous() for name, tensor in placed.items()}, temporary, metadata={"format": "pt"})
    with replacing(output / "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        found, count = re.subn(pattern, replacement, name)
        if count:
            # torchvision counts stages and convolutions from 1.
            found = re.sub(r"stages\.(\d)", lambda m: f"stages.{int(m[1]) - 1}", found)
            return re.sub(r"layer\.(\d)\.", lambda m: f"layer.{int(m[1]) - 1}.", found)
    return name


def _config(checkpoint: Path, state: Mapping[str, Tensor]) -> dict[str, Any]:
    try:
        stages = sorted({int(found[1]) for name in state if (found := re.match(r"layer(\d)\.", name))})
        return {
            "architectures": ["ResNetForImageClassification"],
            "model_type": "resnet",
            "embedding_size": state["conv1.weight"].shape[0],
            "hidden_sizes": [state[f"layer{stage}.0.conv3.weight"].shape[0] for stage in stages],
            "depths": [len({n for n in state if re.match(rf"layer{stage}\.\d+\.conv3", n)}) for stage in stages],
            "layer_type": "bottleneck",
            "num_labels": state["fc.weight"].shape[0],
        }
    except KeyError as error:
        raise WeightsError(
            f"{checkpoint}: not a ResNet with bottlenecks, as DIRE's classifier is: no {error}"
        ) from error


def _check(checkpoint: Path, placed: Mapping[str, Tensor], config: dict[str, Any]) -> None:
    from transformers import ResNetConfig, ResNetForImageClassification

    with torch.device("meta"):
        module = ResNetForImageClassification(ResNetConfig(**config))
    try:
        check_shapes(module, placed)
    except ValueError as error:
        raise WeightsError(f"{checkpoint}: {error}") from error
    if config["num_labels"] != 1:
        raise WeightsError(f"{checkpoint}: {config['num_labels']} outputs; expected the one of DIRE's classifier")
