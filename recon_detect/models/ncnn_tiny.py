"""AutoencoderTiny by ncnn: the layers of diffusers' class, or of one with the same tensors, as stages of a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from recon_detect.models.ncnn_graph import Block, Chain, Conv, Layer, Up

if TYPE_CHECKING:
    from torch import Tensor

_EXPECTED = {"act_fn": "relu", "upsample_fn": "nearest", "upsampling_scaling_factor": 2, "use_midblock_gn": False}


class NcnnTiny:
    """The networks of an AutoencoderTiny: `encode`, `features`, `finish` and `decode` as of its `Adapter`.

    Args:
        module: The autoencoder, whose weights are copied.
        features: Number of layers of the encoder up to its features at half the resolution.

    Raises:
        ValueError: Layers that an AutoencoderTiny of diffusers does not have.
    """

    def __init__(self, module: Any, features: int) -> None:
        config, tensors = module.config, {name: tensor.float() for name, tensor in module.state_dict().items()}
        if any(config.get(name, value) != value for name, value in _EXPECTED.items()):
            raise ValueError(f"an AutoencoderTiny with other than {_EXPECTED}")
        layers = _Layers(tensors)
        encoder = list(layers.encoder(config["num_encoder_blocks"]))
        decoder = list(layers.decoder(config["num_decoder_blocks"]))
        if layers.unused:
            raise ValueError(f"an AutoencoderTiny with {', '.join(sorted(layers.unused)[:3])}")
        self._features = Chain(encoder[:features])
        self._latents = Chain(encoder[features:])
        self._images = Chain(decoder)

    def features(self, x: Tensor) -> Tensor:
        """Activations (B, C, H/2, W/2) of the encoder, of images (B, 3, H, W) in [-1, 1]."""
        return self._features(x)

    def finish(self, features: Tensor) -> Tensor:
        """Latents from `features`."""
        return self._latents(features)

    def encode(self, x: Tensor) -> Tensor:
        """Latents of images (B, 3, H, W) in [-1, 1]."""
        return self.finish(self.features(x))

    def decode(self, z: Tensor) -> Tensor:
        """Images in [-1, 1], not clamped."""
        return self._images(torch.tanh(z / 3) * 3)


class _Layers:
    """Layers from tensors named as diffusers names them; `unused` are those that no layer took."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        self.unused = set(tensors)

    def encoder(self, blocks: Sequence[int]) -> Iterator[Layer]:
        place = 0
        for level, count in enumerate(blocks):
            if level:
                yield self._conv(f"encoder.layers.{place}", stride=2)
            else:
                first = self._conv("encoder.layers.0")
                assert first.bias is not None
                # (x + 1) / 2 goes into the weights, so that the zeros around an image in [0, 1] are -1.
                bias = first.bias + first.weight.sum(dim=(1, 2, 3)) / 2
                yield Conv(first.weight / 2, bias, edge=-1.0)
            yield from (self._block(f"encoder.layers.{place + number}") for number in range(1, count + 1))
            place += count + 1
        yield self._conv(f"encoder.layers.{place}")

    def decoder(self, blocks: Sequence[int]) -> Iterator[Layer]:
        yield self._conv("decoder.layers.0", relu=True)
        place = 2
        for level, count in enumerate(blocks, start=1):
            yield from (self._block(f"decoder.layers.{place + number}") for number in range(count))
            place += count
            if level < len(blocks):
                yield Up()
                yield self._conv(f"decoder.layers.{place + 1}")
                place += 2
        last = self._conv(f"decoder.layers.{place}")
        assert last.bias is not None
        yield Conv(last.weight * 2, last.bias * 2 - 1)

    def _block(self, name: str) -> Block:
        convs = [self._conv(f"{name}.conv.{place}", relu=place < 4) for place in (0, 2, 4)]
        return Block(convs, self._conv(f"{name}.skip") if f"{name}.skip.weight" in self._tensors else None)

    def _conv(self, name: str, *, stride: int = 1, relu: bool = False) -> Conv:
        names = [f"{name}.{kind}" for kind in ("weight", "bias") if f"{name}.{kind}" in self._tensors]
        self.unused -= set(names)
        return Conv(*(self._tensors[part] for part in names), stride=stride, relu=relu)
