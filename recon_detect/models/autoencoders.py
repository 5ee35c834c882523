"""Autoencoders: VAEs and their kin, encoded and decoded by the `Adapter` of their class."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from recon_detect.models.adapters import ADAPTERS
from recon_detect.models.reconstructor import Reconstructor
from recon_detect.tensors.tiling import TILE, is_large, tiled

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.models.weights import Weights


class Autoencoder(Reconstructor):
    """A pretrained autoencoder on a device; attributes as of `Reconstructor`.

    Attributes:
        latent_scale: Factor of latents before a diffusion model sees them.
    """

    def __init__(
        self, weights: Weights, module: Any, device: torch.device, dtype: torch.dtype, *, pure: bool = False
    ) -> None:
        super().__init__(weights, module, device, dtype, pure=pure)
        self._adapter = ADAPTERS[type(module).__name__]
        for part in self._module.modules():
            if isinstance(part, torch.nn.ReLU):
                part.inplace = True  # a tenth of the time of a tiny one goes into fresh memory for what it returns
        self.factor = self._adapter.factor(module)
        self.encoder = self._adapter.encoder
        self._halo = self._adapter.halo(module)
        self.latent_scale = float(module.config.get("scaling_factor") or 1)

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
            posterior = self._adapter.encode(self._module, self._cast(x))
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
            return self._adapter.decode(self._module, self._cast(z))

    def encode_features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Latents, and features at half the resolution where the encoder has them and nothing is tiled."""
        features, finish = self._adapter.features, self._adapter.finish
        if features is None or finish is None or is_large(x):
            return self.encode(x), None
        with self._precision(precise=False):
            half_resolution = features(self._module, self._cast(x))
            return finish(self._module, half_resolution), half_resolution

    def feature_map(
        self, compare: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, features: Tensor | None = None
    ) -> Tensor:
        """Compares two images by the encoder's features; see `Reconstructor.feature_map`."""
        look_into, halo = self._adapter.features, self._adapter.features_halo(self._module)
        if look_into is None:
            return super().feature_map(compare, x, y, features)

        def compared(x: Tensor, y: Tensor) -> list[Tensor]:
            return [compare(*(look_into(self._module, self._cast(image)) for image in (x, y)))]

        with self._precision(precise=False):
            if features is not None:
                return compare(features, look_into(self._module, self._cast(y)))
            if is_large(x):
                return tiled(compared, [x, y], [lambda position: position // 2], tile=TILE, halo=halo)[0]
            return compared(x, y)[0]

    def _in_tiles(
        self, function: Callable[[Any, Tensor], Tensor], x: Tensor, unit: int, scale: Callable[[int], int]
    ) -> Tensor:
        """Encodes or decodes tile by tile; a position in `x` is `unit` pixels wide."""
        assert self._halo is not None
        tile, halo = TILE // unit, self._halo // unit
        return tiled(lambda part: [function(self._module, self._cast(part))], [x], [scale], tile=tile, halo=halo)[0]
