"""AutoencoderTiny: TAESD and its kin in plain torch, with the tensor names and results of diffusers' class.

diffusers, transformers and accelerate take seconds to import, a network of 1.2 million parameters does not need them.
Beyond diffusers' class, `use_midblock_gn` adds the global pooling of TAEF2, and the authors' own files are read.
Source: github.com/madebyollin/taesd (MIT).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import nn

from recon_detect.models.weights import RELEASE, Weights

if TYPE_CHECKING:
    from torch import Tensor

CLASS_NAME = "AutoencoderTiny"

# Entries of config.json that decide what is computed, and `scaling_factor`, with diffusers' defaults.
_DEFAULTS: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "encoder_block_out_channels": [64, 64, 64, 64],
    "decoder_block_out_channels": [64, 64, 64, 64],
    "act_fn": "relu",
    "upsample_fn": "nearest",
    "latent_channels": 4,
    "upsampling_scaling_factor": 2,
    "num_encoder_blocks": [1, 3, 3, 3],
    "num_decoder_blocks": [3, 3, 3, 1],
    "scaling_factor": 1.0,
    "use_midblock_gn": False,
}
_ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "swish": nn.SiLU, "mish": nn.Mish, "gelu": nn.GELU}


class AutoencoderTiny(nn.Module):
    """An autoencoder of residual blocks of three 3x3 convolutions.

    Args:
        config: Entries of diffusers' config.json; those that it lacks have diffusers' defaults. `use_midblock_gn`,
            which diffusers does not have, pools globally in the blocks at the lowest resolution.

    Raises:
        ValueError: Levels without a number of channels, or an unknown activation.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.config = _DEFAULTS | {name: value for name, value in (config or {}).items() if name in _DEFAULTS}
        for part in ("encoder", "decoder"):
            channels, blocks = self.config[f"{part}_block_out_channels"], self.config[f"num_{part}_blocks"]
            if len(channels) != len(blocks):
                raise ValueError(f"{part}: {len(channels)} levels by block_out_channels, {len(blocks)} by num_blocks")
        if self.config["act_fn"] not in _ACTIVATIONS:
            raise ValueError(f"act_fn {self.config['act_fn']!r}: expected one of {', '.join(_ACTIVATIONS)}")
        self.encoder = _Layers(_encoder_layers(self.config))
        self.decoder = _Layers(_decoder_layers(self.config))

    def encode(self, x: Tensor) -> Tensor:
        """Latents (B, C, h, w) of images (B, 3, H, W) in [-1, 1]."""
        latents: Tensor = self.encoder.layers(x.add(1).div(2))
        return latents

    def decode(self, z: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1], not clamped, of latents."""
        images: Tensor = self.decoder.layers(self.bounded(z))
        return images.mul(2).sub(1)

    @staticmethod
    def bounded(z: Tensor) -> Tensor:
        """Latents as the decoder's layers take them, between -3 and 3."""
        return torch.tanh(z / 3) * 3


class _Layers(nn.Module):
    """Layers one after another, under the name that they have in diffusers' files."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)


class _Block(nn.Module):
    """Three 3x3 convolutions beside a skip, with a global pooling before them where `pooled`."""

    def __init__(self, channels: int, activation: type[nn.Module], *, pooled: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(channels, channels), activation(), _conv(channels, channels), activation(), _conv(channels, channels)
        )
        self.fuse = nn.ReLU()
        self.pool = _pool(channels) if pooled else None

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        fused: Tensor = self.fuse(self.conv(x) + x)
        return fused


def _pool(channels: int) -> nn.Sequential:
    """Global pooling: what group normalisation divides by is a mean over the whole image."""
    wide = 4 * channels
    widen, narrow = nn.Conv2d(channels, wide, 1, bias=False), nn.Conv2d(wide, channels, 1, bias=False)
    return nn.Sequential(widen, nn.GroupNorm(4, wide), nn.ReLU(), narrow)


def _conv(inputs: int, outputs: int, *, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, stride=stride, bias=bias)


def _encoder_layers(config: Mapping[str, Any]) -> Iterator[nn.Module]:
    levels = list(zip(config["encoder_block_out_channels"], config["num_encoder_blocks"], strict=True))
    for level, (channels, blocks) in enumerate(levels):
        yield _conv(channels, channels, stride=2, bias=False) if level else _conv(config["in_channels"], channels)
        lowest = level == len(levels) - 1
        yield from _blocks(config, channels, blocks, lowest=lowest)
    yield _conv(levels[-1][0], config["latent_channels"])


def _decoder_layers(config: Mapping[str, Any]) -> Iterator[nn.Module]:
    levels = list(zip(config["decoder_block_out_channels"], config["num_decoder_blocks"], strict=True))
    yield _conv(config["latent_channels"], levels[0][0])
    yield _ACTIVATIONS[config["act_fn"]]()
    for level, (channels, blocks) in enumerate(levels):
        yield from _blocks(config, channels, blocks, lowest=level == 0)
        if level < len(levels) - 1:
            yield nn.Upsample(scale_factor=config["upsampling_scaling_factor"], mode=config["upsample_fn"])
            yield _conv(channels, channels, bias=False)
        else:
            yield _conv(channels, config["out_channels"])


def _blocks(config: Mapping[str, Any], channels: int, number: int, *, lowest: bool) -> Iterator[_Block]:
    """The blocks of one level."""
    pooled = lowest and config["use_midblock_gn"]
    return (_Block(channels, _ACTIVATIONS[config["act_fn"]], pooled=pooled) for _ in range(number))


def load_tiny(weights: Weights, dtype: torch.dtype = torch.float32) -> AutoencoderTiny:
    """Loads an AutoencoderTiny from diffusers' format, or from the two files of its authors.

    Args:
        weights: Result of `find_weights`.
        dtype: Precision of the weights.

    Raises:
        ValueError: Tensors are missing, or have no place in the configuration.
        RuntimeError: Tensors have other shapes than the configuration says.
    """
    folder = weights.folder
    if weights.filename == RELEASE[0]:
        config, state = _from_release(*(load_file(folder / name) for name in RELEASE))
    else:
        config, state = json.loads((folder / "config.json").read_bytes()), load_file(folder / weights.filename)
    with torch.device("meta"):  # no numbers are drawn
        module = AutoencoderTiny(config)
    expected = module.state_dict().keys()
    for names, problem in ((expected - state.keys(), "not in the file"), (state.keys() - expected, "without a place")):
        if names:
            raise ValueError(f"{len(names)} weights are {problem}, such as {min(names)}")
    module.load_state_dict({name: tensor.to(dtype) for name, tensor in state.items()}, assign=True)
    return module


def _from_release(
    encoder: Mapping[str, Tensor], decoder: Mapping[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and tensors in diffusers' format, from the authors': there the decoder's first layer is a clamp."""
    config = {
        "latent_channels": encoder[f"{max(map(_layer, encoder))}.bias"].shape[0],
        "num_encoder_blocks": _blocks_by_level(encoder),
        "num_decoder_blocks": _blocks_by_level(decoder),
        "use_midblock_gn": any(".pool." in name for name in encoder),
    }
    state = {f"encoder.layers.{name}": tensor for name, tensor in encoder.items()}
    for name, tensor in decoder.items():
        _, _, rest = name.partition(".")
        state[f"decoder.layers.{_layer(name) - 1}.{rest}"] = tensor
    return config, state


def _layer(name: str) -> int:
    return int(name.partition(".")[0])


def _blocks_by_level(state: Mapping[str, Tensor]) -> list[int]:
    """Numbers of blocks between the convolutions that stand alone."""
    blocks = {_layer(name) for name in state if ".conv." in name}
    alone = sorted({_layer(name) for name in state} - blocks)
    return [sum(first < block < last for block in blocks) for first, last in pairwise(alone)]
