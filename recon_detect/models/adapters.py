"""Adapters: how each class of autoencoders encodes and decodes, one row per class."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recon_detect.models.tiny import AutoencoderTiny

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Lowest:
    """Encoding and decoding in two parts, of a network that sees the whole image at its lowest resolution alone.

    Attributes:
        down: From images to the lowest resolution, in tiles.
        finish: From there to latents, of the whole image.
        begin: From latents to what is enlarged, of the whole image.
        up: From there to images, in tiles.
    """

    down: Callable[[Any, Tensor], Tensor]
    finish: Callable[[Any, Tensor], Tensor]
    begin: Callable[[Any, Tensor], Tensor]
    up: Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Adapter:
    """Encoding and decoding by a class, without sampling, quantising, tiling or rounding.

    Attributes:
        encode: Maps a module and images in [-1, 1] to latents, or to the posterior where there is one.
        decode: Maps a module and latents to images in [-1, 1].
        factor: Pixels per latent position.
        encoder: Prefixes of the names of all tensors that `encode` uses. Without any, every tensor counts as part of
            the encoder, so that two models share latents only if all their tensors are equal.
        halo: Radius of the receptive field in pixels, rounded up to the factor, of networks that are convolutions alone
            and can be tiled; None for a module that sees the whole image.
        lowest: The two parts of a module that is tiled but for its lowest resolution.
        features: Activations of the encoder at half the resolution, to compare images by as LPIPS does.
        features_halo: Radius of their receptive field in pixels, a multiple of 2.
        finish: Maps `features` to latents.
    """

    encode: Callable[[Any, Tensor], Any]
    decode: Callable[[Any, Tensor], Tensor]
    factor: Callable[[Any], int]
    encoder: tuple[str, ...] = ()
    halo: Callable[[Any], int | None] = lambda module: None
    lowest: Callable[[Any], Lowest | None] = lambda module: None
    features: Callable[[Any, Tensor], Tensor] | None = None
    features_halo: Callable[[Any], int] = lambda module: 0
    finish: Callable[[Any, Tensor], Tensor] | None = None


def halvings(key: str) -> Callable[[Any], int]:
    """The factor of a network that halves the resolution between the entries of a list in its configuration."""
    return lambda module: 2 ** (len(module.config[key]) - 1)


def tiny_radius(config: Any) -> int:
    """Radius in pixels of an AutoencoderTiny: three 3x3 convolutions a block, one at each change of resolution."""
    encoder = [3 * blocks * 2**level for level, blocks in enumerate(config["num_encoder_blocks"])]
    decoder = [3 * blocks * 2**level for level, blocks in enumerate(reversed(config["num_decoder_blocks"]))]
    changes = 1 << len(encoder)  # 1 + 2 + 4 + ..., and 1 at full resolution
    factor = 1 << (len(encoder) - 1)
    radius: int = max(sum(encoder), sum(decoder)) + changes + factor
    return math.ceil(radius / factor) * factor


def tiny_features(config: Any) -> int:
    """Number of layers of an encoder up to the second block at half the resolution, or the only one."""
    full, half, *_ = config["num_encoder_blocks"]
    return 1 + int(full) + 1 + min(int(half), 2)


def tiny_features_radius(config: Any) -> int:
    """Radius in pixels of the receptive field of the layers of `tiny_features`, rounded up to their stride."""
    full, half, *_ = config["num_encoder_blocks"]
    radius = 1 + 3 * int(full) + 1 + 2 * 3 * min(int(half), 2)  # a convolution, blocks, a change of resolution, blocks
    return math.ceil(radius / 2) * 2


def _before_lowest(config: Any) -> int:
    """Number of layers of an encoder before the blocks at the lowest resolution."""
    return sum(int(blocks) + 1 for blocks in config["num_encoder_blocks"][:-1]) + 1


def _through_lowest(config: Any) -> int:
    """Number of layers of a decoder up to the last block at the lowest resolution."""
    return 2 + int(config["num_decoder_blocks"][0])


_POOLED = Lowest(
    lambda m, x: m.encoder.layers[: _before_lowest(m.config)]((x + 1) / 2),
    lambda m, f: m.encoder.layers[_before_lowest(m.config) :](f),
    lambda m, z: m.decoder.layers[: _through_lowest(m.config)](m.bounded(z)),
    lambda m, f: m.decoder.layers[_through_lowest(m.config) :](f) * 2 - 1,
)
_KL = Adapter(
    lambda m, x: m.encode(x).latent_dist,
    lambda m, z: m.decode(z).sample,
    halvings("block_out_channels"),
    ("encoder.", "quant_conv."),
)
# Video autoencoders: one frame. Latents are (B, C, 1, h, w). Wan 2.2 takes patches of 2 px apart before it halves.
_VIDEO = Adapter(
    lambda m, x: m.encode(x[:, :, None]).latent_dist,
    lambda m, z: m.decode(z).sample[:, :, 0],
    lambda m: int(m.config.get("patch_size") or 1) * 2 ** len(m.config["temperal_downsample"]),
    ("encoder.", "quant_conv."),
)
ADAPTERS: dict[str, Adapter] = {
    "AutoencoderKL": _KL,
    "AutoencoderKLFlux2": _KL,
    "AsymmetricAutoencoderKL": Adapter(_KL.encode, _KL.decode, halvings("down_block_out_channels"), _KL.encoder),
    "AutoencoderTiny": Adapter(
        AutoencoderTiny.encode,
        AutoencoderTiny.decode,
        halvings("encoder_block_out_channels"),
        ("encoder.",),
        lambda m: tiny_radius(m.config),
        lambda m: _POOLED if m.config["use_midblock_gn"] else None,
        lambda m, x: m.encoder.layers[: tiny_features(m.config)]((x + 1) / 2),
        lambda m: tiny_features_radius(m.config),
        lambda m, f: m.encoder.layers[tiny_features(m.config) :](f),
    ),
    "VQModel": Adapter(
        lambda m, x: m.encode(x).latents,
        lambda m, z: m.decode(z, force_not_quantize=True).sample,
        halvings("block_out_channels"),
        ("encoder.", "quant_conv."),
    ),
    "AutoencoderDC": Adapter(
        lambda m, x: m.encode(x).latent,
        lambda m, z: m.decode(z).sample,
        lambda m: int(m.spatial_compression_ratio),
        ("encoder.",),
    ),
    "AutoencoderKLQwenImage": _VIDEO,
    "AutoencoderKLWan": _VIDEO,
    # Works on [0, 1].
    "PaellaVQModel": Adapter(
        lambda m, x: m.encode((x + 1) / 2).latents,
        lambda m, z: m.decode(z, force_not_quantize=True).sample * 2 - 1,
        lambda m: int(m.config["up_down_scale_factor"]) * 2 ** (int(m.config["levels"]) - 1),
        ("in_block.", "down_blocks."),
    ),
}
