"""Error maps of an image and its reconstruction: LPIPS by layer, L1, L2, high-pass and band-pass L2, SSIM, latents.

Zero for equal images, larger for less alike; maps are (B, 1, h, w) float32, their mean is the error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from recon_detect.errors import UnknownName
from recon_detect.models.lpips import LPIPS, NETS, Features, layer_count
from recon_detect.tensors.filters import gaussian_blur
from recon_detect.tensors.tiling import TILE, tiled

if TYPE_CHECKING:
    from torch import Tensor

_LPIPS_NAME = re.compile(rf"lpips_({'|'.join(NETS)})_(\d)")


def l1(x: Tensor, y: Tensor) -> Tensor:
    """|x - y|, mean over the colours; x and y (B, 3, H, W) in [-1, 1]."""
    return (x - y).abs().mean(dim=1, keepdim=True)


def l2(x: Tensor, y: Tensor) -> Tensor:
    """(x - y)², mean over the colours: its mean is the MSE in [-1, 1], as in AEDR (arXiv:2507.18988)."""
    return (x - y).square().mean(dim=1, keepdim=True)


def highpass_l2(x: Tensor, y: Tensor) -> Tensor:
    """L2 of the difference less its 3x3 Gaussian blur (sigma 0.8, the filter of HFI): fine structure only."""
    difference = x - y
    return (difference - gaussian_blur(difference, sigma=0.8, radius=1)).square().mean(dim=1, keepdim=True)


def bandpass_l2(x: Tensor, y: Tensor) -> Tensor:
    """L2 of what lies between two Gaussian blurs of the difference (sigma 0.8 and 2): what compression leaves."""
    difference = x - y
    band = gaussian_blur(difference, sigma=0.8, radius=1) - gaussian_blur(difference, sigma=2, radius=6)
    return band.square().mean(dim=1, keepdim=True)


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """1 - SSIM (Wang et al., 2004): 11x11 Gaussian window, sigma 1.5, K1 0.01, K2 0.03, reflected edges."""
    x, y = (x + 1) / 2, (y + 1) / 2

    def mean(image: Tensor) -> Tensor:
        return gaussian_blur(image, sigma=1.5, radius=5)

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mx * my + c1) * (2 * cov + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return 1 - similarity.mean(dim=1, keepdim=True)


_PIXEL_DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1,
    "l2": l2,
    "highpass_l2": highpass_l2,
    "bandpass_l2": bandpass_l2,
    "ssim": ssim,
}

# Of what the autoencoder's own encoder sees in x and AE(x), so computed where the autoencoders are
# (`Evidence.error_map`): mean square of E(x) - E(AE(x)) over the channels, and `unit_difference` of early features.
LATENT = "latent_l2"
FEATURES = "encoder_features"
OF_ENCODER = (LATENT, FEATURES)

# Radius of the receptive field of each layer of LPIPS-VGG, rounded up to its stride, and of the pixel distances (SSIM's
# window). The other networks have no padding or odd strides, which tiles would shift.
_VGG_HALOS = {1: 16, 2: 16, 3: 32, 4: 64, 5: 112}
_PIXEL_HALO = 16

# What counts as a large error in a heat map, the same for every image so that pictures can be compared.
_MAP_SCALES = {"l1": 0.2, "l2": 0.05, "highpass_l2": 0.02, "bandpass_l2": 0.02, "ssim": 0.5}
_LPIPS_MAP_SCALE = 0.1


def distance_names() -> list[str]:
    """Every distance. ``lpips_NET_0`` is the sum of all layers, ``lpips_NET_K`` layer K."""
    lpips = [f"lpips_{net}_{layer}" for net in NETS for layer in range(layer_count(net) + 1)]
    return [*lpips, *_PIXEL_DISTANCES, *OF_ENCODER]


def map_scale(name: str) -> float:
    """The error that a heat map shows in its brightest colour."""
    return _MAP_SCALES.get(name, _LPIPS_MAP_SCALE)


class Distances:
    """The distances of a run, with each network loaded once and only as deep as needed.

    Args:
        names: See `distance_names`.
        device: Where LPIPS computes.
        dtype: Precision of its convolutions.

    Raises:
        UnknownName: No such distance.
    """

    def __init__(self, names: Iterable[str], device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.names = tuple(dict.fromkeys(names))
        layers: dict[str, set[int]] = {}
        for name in self.names:
            if name not in distance_names():
                raise UnknownName("distance", name, distance_names())
            if match := _LPIPS_NAME.fullmatch(name):
                net, layer = match[1], int(match[2])
                layers.setdefault(net, set()).update([layer] if layer else range(1, layer_count(net) + 1))
        self._halo = _halo(self.names)
        self._lpips = {net: LPIPS(net, tuple(wanted), device, dtype) for net, wanted in layers.items()}

    @property
    def tiled(self) -> bool:
        """Whether maps of large images can be computed in tiles, with the result of the whole image."""
        return self._halo is not None

    def computed_with(self, name: str) -> tuple[str, ...]:
        """The distances of the run that come out of the same computation: the layers of one network."""
        (net,) = self.nets([name]) or (None,)
        return tuple(other for other in self.names if net in self.nets([other])) if net else (name,)

    def nets(self, names: Iterable[str]) -> tuple[str, ...]:
        """The networks that some distances need."""
        matches = (_LPIPS_NAME.fullmatch(name) for name in names)
        return tuple(dict.fromkeys(match[1] for match in matches if match))

    def maps_in_tiles(self, x: Tensor, y: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """The error maps of some distances, by name, for images whose features would take gigabytes."""
        assert self._halo is not None
        nets = self.nets(names)

        def part(x: Tensor, y: Tensor) -> list[Tensor]:
            features_x, features_y = ({net: self.features(image, net) for net in nets} for image in (x, y))
            return list(self.maps(x, y, features_x, features_y, names).values())

        scales = [partial(_position, _stride(name)) for name in names]
        maps = tiled(part, [x, y], scales, tile=TILE, halo=self._halo)
        return dict(zip(names, maps, strict=True))

    def features(self, x: Tensor, net: str) -> Features:
        """What a network sees in (B, 3, H, W): the part that is computed once per image."""
        return self._lpips[net].features(x)

    def maps(
        self,
        x: Tensor,
        y: Tensor,
        features_x: dict[str, Features],
        features_y: dict[str, Features],
        names: Sequence[str],
    ) -> dict[str, Tensor]:
        """The error maps of some distances, by name; features by network."""
        layers = {net: self._lpips[net].maps(features_x[net], features_y[net]) for net in self.nets(names)}
        maps = {}
        for name in names:
            if match := _LPIPS_NAME.fullmatch(name):
                net, layer = match[1], int(match[2])
                maps[name] = layers[net][layer] if layer else _summed(layers[net], x.shape[-2:])
            else:
                maps[name] = _PIXEL_DISTANCES[name](x, y)
        return maps


def _halo(names: Sequence[str]) -> int | None:
    """The overlap that tiles need, or None where a distance cannot be tiled."""
    halos = []
    for name in names:
        match = _LPIPS_NAME.fullmatch(name)
        if match and (match[1] != "vgg" or match[2] == "0"):
            return None
        halos.append(_VGG_HALOS[int(match[2])] if match else _PIXEL_HALO)
    return max(halos, default=0)


def _stride(name: str) -> int:
    """Pixels per position of a map that can be tiled."""
    match = _LPIPS_NAME.fullmatch(name)
    return 2 ** (int(match[2]) - 1) if match else 1


def _position(stride: int, pixel: int) -> int:
    return pixel // stride


def _summed(maps: dict[int, Tensor], size: tuple[int, ...]) -> Tensor:
    """The sum of all layers at image size, as ``lpips.LPIPS(spatial=True)``."""
    total = [F.interpolate(maps[layer], size=size, mode="bilinear", align_corners=False) for layer in sorted(maps)]
    return torch.stack(total).sum(dim=0)
