"""Error maps of an image and its reconstruction: LPIPS by layer, L1, L2, high-pass and band-pass L2, SSIM, latents.

Zero for equal images, larger for less alike; maps are (B, 1, h, w) float32, their mean is the error. A distance is a
row of `DISTANCES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from recon_detect.errors import UnknownName
from recon_detect.models.lpips import LPIPS, NETS, Features, layer_count
from recon_detect.tensors.filters import gaussian_blur, unit_difference
from recon_detect.tensors.tiling import TILE, tiled

if TYPE_CHECKING:
    from torch import Tensor


def l1(x: Tensor, y: Tensor) -> Tensor:
    """|x - y|, mean over the channels; x and y (B, C, H, W)."""
    return (x - y).abs().mean(dim=1, keepdim=True)


def l2(x: Tensor, y: Tensor) -> Tensor:
    """(x - y)², mean over the channels: its mean is the MSE in [-1, 1], as in AEDR (arXiv:2507.18988)."""
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


class Of(Enum):
    """Part of an image and its reconstruction that a distance compares."""

    PIXELS = "pixels"
    LPIPS = "features of an LPIPS network"
    LATENTS = "latents of the reconstructor"
    FEATURES = "features of the reconstructor's encoder"


@dataclass(frozen=True, slots=True)
class Distance:
    """One distance.

    Attributes:
        name: Name that users write.
        of: Part that is compared.
        map_scale: The error that a heat map shows in its brightest colour, the same for every image so that pictures
            can be compared.
        function: Maps two such parts (B, C, h, w) to a map (B, 1, h, w); None for LPIPS, which has weights.
        halo: Radius in pixels of what a position of the map depends on, a multiple of `stride`; 0 where the
            reconstructor makes tiles of its own; None where tiles would change the result.
        stride: Pixels per position of the map.
        net: Network of LPIPS.
        layer: Layer of LPIPS, or 0 for the sum of all.
    """

    name: str
    of: Of
    map_scale: float
    function: Callable[[Tensor, Tensor], Tensor] | None
    halo: int | None
    stride: int = 1
    net: str = ""
    layer: int = 0


# Radius of the receptive field of each layer of LPIPS-VGG, rounded up to its stride. The other networks have no padding
# or odd strides, which tiles would shift.
_VGG_HALOS = {1: 16, 2: 16, 3: 32, 4: 64, 5: 112}


def _lpips(net: str, layer: int) -> Distance:
    halo = _VGG_HALOS.get(layer) if net == "vgg" else None
    stride = 2 ** (layer - 1) if layer else 1
    return Distance(f"lpips_{net}_{layer}", Of.LPIPS, 0.1, None, halo, stride, net, layer)


LATENT, FEATURES = "latent_l2", "encoder_features"
# ``lpips_NET_0`` is the sum of all layers, ``lpips_NET_K`` layer K.
_ROWS = (
    *(_lpips(net, layer) for net in NETS for layer in range(layer_count(net) + 1)),
    Distance("l1", Of.PIXELS, 0.2, l1, 0),
    Distance("l2", Of.PIXELS, 0.05, l2, 0),
    Distance("highpass_l2", Of.PIXELS, 0.02, highpass_l2, 1),
    Distance("bandpass_l2", Of.PIXELS, 0.02, bandpass_l2, 6),
    Distance("ssim", Of.PIXELS, 0.5, ssim, 5),
    Distance(LATENT, Of.LATENTS, 0.1, l2, 0),
    Distance(FEATURES, Of.FEATURES, 0.1, unit_difference, 0),
)
DISTANCES: dict[str, Distance] = {row.name: row for row in _ROWS}


def find_distance(name: str) -> Distance:
    """The distance of a name.

    Raises:
        UnknownName: No such distance.
    """
    if name not in DISTANCES:
        raise UnknownName("distance", name, DISTANCES)
    return DISTANCES[name]


class Distances:
    """The distances of a run, with the networks that they need.

    Args:
        names: Names in `DISTANCES`.
        lpips: The networks, as `load_lpips` loads them for these names.

    Raises:
        UnknownName: No such distance.
    """

    def __init__(self, names: Iterable[str], lpips: Mapping[str, LPIPS] | None = None) -> None:
        self.rows = {name: find_distance(name) for name in names}
        self.names = tuple(self.rows)
        self._lpips = lpips or {}

    @property
    def tiled(self) -> bool:
        """True where maps of large images are computed in tiles, with the result of the whole image."""
        return all(row.halo is not None for row in self.rows.values())

    def computed_with(self, name: str) -> tuple[str, ...]:
        """The distances of the run that come out of the same computation: the layers of one network."""
        net = self.rows[name].net
        return tuple(other.name for other in self.rows.values() if other.net == net) if net else (name,)

    def nets(self, names: Iterable[str]) -> tuple[str, ...]:
        """The networks that some distances need."""
        return tuple(dict.fromkeys(self.rows[name].net for name in names if self.rows[name].net))

    def maps_in_tiles(self, x: Tensor, y: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """The error maps of some distances, by name, for images whose features would take gigabytes."""
        nets, rows = self.nets(names), [self.rows[name] for name in names]

        def part(x: Tensor, y: Tensor) -> list[Tensor]:
            features_x, features_y = ({net: self.features(image, net) for net in nets} for image in (x, y))
            return list(self.maps(x, y, features_x, features_y, names).values())

        stride = max(row.stride for row in rows)
        halo = math.ceil(max(row.halo or 0 for row in rows) / stride) * stride
        scales = [partial(_position, row.stride) for row in rows]
        return dict(zip(names, tiled(part, [x, y], scales, tile=TILE, halo=halo), strict=True))

    def features(self, x: Tensor, net: str) -> Features:
        """Features that a network sees in (B, 3, H, W): the part that is computed once per image."""
        return self._lpips[net].features(x)

    def maps(
        self,
        x: Tensor,
        y: Tensor,
        features_x: Mapping[str, Features],
        features_y: Mapping[str, Features],
        names: Sequence[str],
    ) -> dict[str, Tensor]:
        """The error maps of some distances of pixels and of LPIPS, by name; features by network."""
        layers = {net: self._lpips[net].maps(features_x[net], features_y[net]) for net in self.nets(names)}
        maps = {}
        for row in (self.rows[name] for name in names):
            if row.function:
                maps[row.name] = row.function(x, y)
            else:
                of_net = layers[row.net]
                maps[row.name] = of_net[row.layer] if row.layer else _summed(of_net, x.shape[-2:])
        return maps


def _position(stride: int, pixel: int) -> int:
    return pixel // stride


def _summed(maps: Mapping[int, Tensor], size: tuple[int, ...]) -> Tensor:
    """The sum of all layers at image size, as ``lpips.LPIPS(spatial=True)``."""
    total = [F.interpolate(maps[layer], size=size, mode="bilinear", align_corners=False) for layer in sorted(maps)]
    return torch.stack(total).sum(dim=0)
