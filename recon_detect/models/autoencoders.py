"""Autoencoders: VAEs and their kin, encoded and decoded by the `Adapter` of their class."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from recon_detect.models.adapters import ADAPTERS, tiny_features
from recon_detect.models.engines import NCNN, TORCH, Choice, choose_engine, use_fastest
from recon_detect.models.ncnn_tiny import NcnnTiny
from recon_detect.models.reconstructor import Reconstructor
from recon_detect.tensors.tiling import TILE, is_large, tiled

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.models.weights import Weights

log = logging.getLogger("recon_detect")

# Side in pixels of the noise that engines of tiny autoencoders encode in turn.
_SIDE = 192


class Autoencoder(Reconstructor):
    """A pretrained autoencoder on a device; attributes as of `Reconstructor`.

    Args:
        weights: Source of the weights.
        module: The network, as diffusers has it.
        device: Device to compute on.
        dtype: See `Reconstructor`.
        pure: Whether its weights are in that precision.
        fast: Let the engine that was chosen for this machine compute it (`engines`), in float32 on a CPU.

    Attributes:
        latent_scale: Factor of latents before a diffusion model sees them.
        choice: Why `engine` computes it, of a tiny one where there was a choice.
    """

    def __init__(
        self,
        weights: Weights,
        module: Any,
        device: torch.device,
        dtype: torch.dtype,
        *,
        pure: bool = False,
        fast: bool = False,
    ) -> None:
        super().__init__(weights, module, device, dtype, pure=pure)
        self._adapter = ADAPTERS[type(module).__name__]
        for part in self._module.modules():
            if isinstance(part, torch.nn.ReLU):
                part.inplace = True  # a tenth of the time of a tiny one goes into fresh memory for what it returns
        self.factor = self._adapter.factor(module)
        self.encoder = self._adapter.encoder
        self._halo = self._adapter.halo(module)
        # What the adapter's functions are given: the module, or an engine that has the same layers.
        self._network: Any = module
        self.choice: Choice | None = None
        if fast and self._adapter is ADAPTERS["AutoencoderTiny"]:
            self._choose()
        elif fast:
            self.engine = use_fastest(self._module)
        self.latent_scale = float(module.config.get("scaling_factor") or 1)

    def _choose(self) -> None:
        """Gives the layers to the engine that is chosen for this machine."""
        encode, module = self._adapter.encode, self._module
        try:
            layers = NcnnTiny(module, tiny_features(module.config))
        except ValueError as error:
            log.debug("%s: %s; torch computes it", self.name, error)
            return
        x = torch.rand(1, 3, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
        work = {TORCH: lambda: encode(module, self._cast(x)), NCNN: lambda: layers.encode(x)}
        self.choice = choose_engine(NCNN, lambda: work)
        self.engine = self.choice.engine
        if self.engine == NCNN:
            self._network = layers
            self._adapter = replace(
                self._adapter,
                encode=NcnnTiny.encode,
                decode=NcnnTiny.decode,
                features=NcnnTiny.features,
                finish=NcnnTiny.finish,
            )

    @property
    def tiled(self) -> bool:
        """True where large images are computed in tiles: for networks that see the whole image at 1/8 of it at most."""
        return self._halo is not None

    def encode(
        self, x: Tensor, noise: Callable[[tuple[int, ...]], Tensor] | None = None, *, precise: bool = False
    ) -> Tensor:
        """Latents of images; see `Reconstructor.encode`."""
        with self._precision(precise):
            if self._halo is not None and is_large(x):
                lowest = self._adapter.lowest(self._module)
                encode = lowest.down if lowest else self._adapter.encode
                latents = self._in_tiles(encode, x, 1, lambda position: position // self.factor)
                return lowest.finish(self._module, latents) if lowest else latents
            posterior = self._adapter.encode(self._network, self._cast(x))
            if isinstance(posterior, torch.Tensor):
                return posterior
            if noise is None:
                mode: Tensor = posterior.mode()
                return mode
            mean = posterior.mean
            sample: Tensor = mean + posterior.std * noise(tuple(mean.shape)).to(mean)
            return sample

    def decode(self, z: Tensor, *, precise: bool = False) -> Tensor:
        """Images in [-1, 1] (not clamped), from latents of `encode`."""
        with self._precision(precise):
            if self._halo is not None and is_large(z, self.factor):
                lowest = self._adapter.lowest(self._module)
                decode = lowest.up if lowest else self._adapter.decode
                z = lowest.begin(self._module, self._cast(z)) if lowest else z
                return self._in_tiles(decode, z, self.factor, lambda position: position * self.factor)
            return self._adapter.decode(self._network, self._cast(z))

    def encode_features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Latents, and features at half the resolution where the encoder has them and nothing is tiled."""
        features, finish = self._adapter.features, self._adapter.finish
        if features is None or finish is None or is_large(x):
            return self.encode(x), None
        with self._precision(precise=False):
            half_resolution = features(self._network, self._cast(x))
            return finish(self._network, half_resolution), half_resolution

    def feature_map(
        self, compare: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, features: Tensor | None = None
    ) -> Tensor:
        """Compares two images by the encoder's features; see `Reconstructor.feature_map`."""
        look_into, halo = self._adapter.features, self._adapter.features_halo(self._module)
        if look_into is None:
            return super().feature_map(compare, x, y, features)

        def compared(x: Tensor, y: Tensor) -> list[Tensor]:
            return [compare(*(look_into(self._network, self._cast(image)) for image in (x, y)))]

        with self._precision(precise=False):
            if features is not None:
                return compare(features, look_into(self._network, self._cast(y)))
            if is_large(x):
                return tiled(compared, [x, y], [lambda position: position // 2], tile=TILE, halo=halo)[0]
            return compared(x, y)[0]

    def _in_tiles(
        self, function: Callable[[Any, Tensor], Tensor], x: Tensor, unit: int, scale: Callable[[int], int]
    ) -> Tensor:
        """Encodes or decodes tile by tile; a position in `x` is `unit` pixels wide."""
        assert self._halo is not None
        tile, halo = TILE // unit, self._halo // unit
        return tiled(lambda part: [function(self._network, self._cast(part))], [x], [scale], tile=tile, halo=halo)[0]
