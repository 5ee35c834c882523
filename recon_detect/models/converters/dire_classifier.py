"""Checkpoints of DIRE's classifier, a ResNet-50 of torchvision, as transformers' ResNetForImageClassification."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from recon_detect.atomic import replacing
from recon_detect.errors import WeightsError
from recon_detect.models.converters.guided_diffusion import read_checkpoint
from recon_detect.models.pixel_diffusion import check_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

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
        new_name, count = re.subn(pattern, replacement, name)
        if count:
            # torchvision counts stages and convolutions from 1.
            new_name = re.sub(r"stages\.(\d)", lambda m: f"stages.{int(m[1]) - 1}", new_name)
            return re.sub(r"layer\.(\d)\.", lambda m: f"layer.{int(m[1]) - 1}.", new_name)
    return name


def _config(checkpoint: Path, state: Mapping[str, Tensor]) -> dict[str, Any]:
    try:
        stages = sorted({int(match[1]) for name in state if (match := re.match(r"layer(\d)\.", name))})
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
