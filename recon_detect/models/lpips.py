"""LPIPS v0.1 (Zhang et al., CVPR 2018, arXiv:1801.03924) in plain torch.

The same numbers as the package lpips 0.1.4, without importing it: it needs torchvision, of which PyPI has no CPU build.
In addition: only the layers that are asked for, each as a map, and features of an image for many comparisons.
The linear heads are data files of the lpips wheel; the trunks are torchvision's weights (see `trunks`).
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from recon_detect.errors import ImageTooSmall, WeightsCorrupt, WeightsMissing
from recon_detect.models import hub
from recon_detect.models.ncnn_graph import TILE, Conv, Layer, Pool, Stage
from recon_detect.models.trunks import find_trunk
from recon_detect.tensors.devices import fast_layout

if TYPE_CHECKING:
    from torch import Tensor

Features = dict[int, "Tensor"]

# One list of operations per LPIPS layer, in torchvision's numbering of `features`.
# ("conv", index, stride, padding) with ReLU; ("pool", kernel, stride, ceil_mode); ("fire", index).
_VGG_POOL = ("pool", 2, 2, False)
_ALEX_POOL = ("pool", 3, 2, False)
_SQUEEZE_POOL = ("pool", 3, 2, True)
_TRUNKS: dict[str, tuple[tuple[tuple[Any, ...], ...], ...]] = {
    "vgg": (
        (("conv", 0, 1, 1), ("conv", 2, 1, 1)),
        (_VGG_POOL, ("conv", 5, 1, 1), ("conv", 7, 1, 1)),
        (_VGG_POOL, ("conv", 10, 1, 1), ("conv", 12, 1, 1), ("conv", 14, 1, 1)),
        (_VGG_POOL, ("conv", 17, 1, 1), ("conv", 19, 1, 1), ("conv", 21, 1, 1)),
        (_VGG_POOL, ("conv", 24, 1, 1), ("conv", 26, 1, 1), ("conv", 28, 1, 1)),
    ),
    "alex": (
        (("conv", 0, 4, 2),),
        (_ALEX_POOL, ("conv", 3, 1, 2)),
        (_ALEX_POOL, ("conv", 6, 1, 1)),
        (("conv", 8, 1, 1),),
        (("conv", 10, 1, 1),),
    ),
    "squeeze": (
        (("conv", 0, 2, 0),),
        (_SQUEEZE_POOL, ("fire", 3), ("fire", 4)),
        (_SQUEEZE_POOL, ("fire", 6), ("fire", 7)),
        (_SQUEEZE_POOL, ("fire", 9)),
        (("fire", 10),),
        (("fire", 11),),
        (("fire", 12),),
    ),
}
NETS = tuple(_TRUNKS)
_NAME = re.compile(rf"lpips_({'|'.join(NETS)})_(\d)")

_HEAD_SHA256 = {
    "alex": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    "squeeze": "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
    "vgg": "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
}

# lpips.ScalingLayer: from [-1, 1] to ImageNet's mean 0, deviation 1.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-10

# Side of the smallest images that ncnn is given.
_LEAST_SIDE = 32

_INSTALL = "pip install --no-deps lpips==0.1.4"


def layer_count(net: str) -> int:
    """Number of layers that LPIPS compares: 5, or 7 for squeeze."""
    return len(_TRUNKS[net])


class LPIPS:
    """LPIPS distances of chosen layers.

    Args:
        net: ``"vgg"``, ``"alex"`` or ``"squeeze"``.
        layers: Layers from 1; nothing beyond the deepest is computed or loaded.
        device: Device to compute on.
        dtype: Precision of all convolutions but the first, which sees the image. Distances stay in float32.
        trunk: Tensors by torchvision's name, instead of the pretrained ones.
    """

    def __init__(
        self,
        net: str,
        layers: tuple[int, ...],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        *,
        trunk: dict[str, Tensor] | None = None,
    ) -> None:
        self.net = net
        self.layers = tuple(sorted(set(layers)))
        self._stages = _TRUNKS[net][: self.layers[-1]]
        names = tuple(name for stage in self._stages for op in stage for name in _parameters(op))
        tensors = trunk if trunk is not None else find_trunk(net, names)
        heads = _load_heads(net)
        self._weights = {
            name: tensors[name]
            .to(device, torch.float32 if name.startswith("features.0.") else dtype)
            .contiguous(memory_format=fast_layout(tensors[name]))
            for name in names
        }
        self._heads = {layer: heads[layer - 1].to(device, torch.float32) for layer in self.layers}
        self._parts: list[tuple[int, Stage]] = []
        self._shift = torch.tensor(_SHIFT, device=device).view(1, 3, 1, 1)
        self._scale = torch.tensor(_SCALE, device=device).view(1, 3, 1, 1)

    def features(self, x: Tensor) -> Features:
        """Unit-normalised features of (B, 3, H, W) in [-1, 1], float32: layer to (B, C, h, w).

        Raises:
            ImageTooSmall: The image vanishes in a pooling layer.
        """
        y = (x.float() - self._shift) / self._scale
        seen: Features = {}
        if min(x.shape[-2:]) >= _LEAST_SIDE:
            for layer, part in self._parts:
                y = part(y)
                seen[layer] = _normalised(y)
            if seen:
                return seen
        try:
            for layer, stage in enumerate(self._stages, start=1):
                for op in stage:
                    y = self._apply(op, y)
                if layer in self.layers:
                    seen[layer] = _normalised(y)
        except RuntimeError as error:
            if "too small" in str(error) or "greater than actual input size" in str(error) or "empty" in str(error):
                height, width = x.shape[-2:]
                raise ImageTooSmall(
                    f"{width}x{height} is too small for layer {self.layers[-1]} of LPIPS-{self.net}; "
                    "use larger images or a lower layer"
                ) from error
            raise
        return seen

    def use_ncnn(self) -> None:
        """Lets ncnn compute the convolutions of VGG16, in float32; see `models.engines`."""
        layers: list[Layer] = []
        for number, stage in enumerate(self._stages if self.net == "vgg" else (), start=1):
            for kind, index, *_ in stage:
                weights = () if kind == "pool" else _parameters((kind, index))
                layers.append(Conv(*(self._weights[name] for name in weights), relu=True) if weights else Pool())
            if number in self.layers:
                # The planes of the first two layers exceed the cache.
                self._parts.append((number, Stage(layers, tile=TILE >> (number - 1) if number <= 2 else None)))
                layers = []

    def maps(self, x: Features, y: Features) -> dict[int, Tensor]:
        """Distance maps of two sets of features: layer to (B, 1, h, w), at the layer's own resolution."""
        return {layer: F.conv2d((x[layer] - y[layer]).square_(), self._heads[layer]) for layer in self.layers}

    def _apply(self, op: tuple[Any, ...], y: Tensor) -> Tensor:
        if op[0] == "pool":
            return F.max_pool2d(y, op[1], op[2], ceil_mode=op[3])
        if op[0] == "conv":
            return self._conv(y, f"features.{op[1]}", op[2], op[3])
        squeezed = self._conv(y, f"features.{op[1]}.squeeze")
        expanded = [
            self._conv(squeezed, f"features.{op[1]}.expand1x1"),
            self._conv(squeezed, f"features.{op[1]}.expand3x3", 1, 1),
        ]
        return torch.cat(expanded, dim=1)

    def _conv(self, y: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return F.conv2d(y.to(weight.dtype), weight, bias, stride, padding).relu_()


def _normalised(features: Tensor) -> Tensor:
    """Features (B, C, h, w) of length 1 at each position, float32."""
    features = features.float()
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + _EPSILON)


def load_lpips(
    names: Iterable[str], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> dict[str, LPIPS]:
    """Loads the networks that some distances need, each once and only as deep as needed: by `LPIPS.net`.

    Args:
        names: Names of distances: ``lpips_NET_0``, the sum of all layers, and ``lpips_NET_K``, layer K; skips others.
        device: Device to compute on.
        dtype: See `LPIPS`.
    """
    layers: dict[str, set[int]] = {}
    for match in map(_NAME.fullmatch, names):
        if match:
            net, layer = match[1], int(match[2])
            layers.setdefault(net, set()).update([layer] if layer else range(1, layer_count(net) + 1))
    return {net: LPIPS(net, tuple(wanted), device, dtype) for net, wanted in layers.items()}


def _parameters(op: tuple[Any, ...]) -> list[str]:
    if op[0] == "pool":
        return []
    parts = [f"features.{op[1]}"]
    if op[0] == "fire":
        parts = [f"features.{op[1]}.{part}" for part in ("squeeze", "expand1x1", "expand3x3")]
    return [f"{part}.{kind}" for part in parts for kind in ("weight", "bias")]


def _load_heads(net: str) -> list[Tensor]:
    """The linear heads, (1, C, 1, 1) per layer, from the data files of the lpips wheel."""
    spec = importlib.util.find_spec("lpips")
    if spec is None or not spec.submodule_search_locations:
        raise WeightsMissing(f"the linear heads of LPIPS are data of the package lpips: {_INSTALL}")
    path = Path(spec.submodule_search_locations[0]) / "weights" / "v0.1" / f"{net}.pth"
    if not path.is_file() or hub.sha256_of(path) != _HEAD_SHA256[net]:
        raise WeightsCorrupt(f"{path}: not the file of lpips 0.1.4: {_INSTALL} --force-reinstall")
    state = torch.load(path, map_location="cpu", weights_only=True)
    return [state[f"lin{layer}.model.1.weight"] for layer in range(layer_count(net))]
