"""Winograd's algorithm F(4, 3) in torch: 3x3 convolutions of many channels with a quarter of the multiplications.

A tile of 4 x 4 positions sees 6 x 6. Both sides of the product are transformed to 36 values, which are multiplied one
by one; across channels that is 36 products of matrices, which a CPU computes near its peak. Each channel is transformed
once and multiplied with all others, so that few channels gain nothing.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2016), equations 8 to 12 and section 4.3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import nn

from recon_detect.tensors.threads import in_threads

if TYPE_CHECKING:
    from torch import Tensor

_Matrix: TypeAlias = list[list[float]]

# Channels on both sides from which it is faster than a direct convolution.
CHANNELS = 128
# Tiles that a thread multiplies at once: the transformed weights are read once for so many.
_TILES = 256
# Tiles times channels that are transformed at once: more than twice as many leave the second cache of a core.
_VALUES = 4096
# Tiles below which transforming the weights costs more than it saves.
_FEWEST = 64
# Positions of a tile along each axis, and how many of the input they see.
_OUT, _SEEN = 4, 6

_INPUT: _Matrix = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
          [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]  # fmt: skip
_KERNEL: _Matrix = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
           [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]  # fmt: skip
_OUTPUT: _Matrix = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
# Of the 36 values, that which every position of the output has once: the bias is added there.
_CONSTANT = _SEEN + 1


def _both_ways(matrix: _Matrix) -> Tensor:
    """The transform of rows and columns at once."""
    one_way = torch.tensor(matrix, dtype=torch.float64)
    return torch.kron(one_way, one_way).float()


_OF_INPUT, _OF_KERNEL, _OF_OUTPUT = (_both_ways(matrix) for matrix in (_INPUT, _KERNEL, _OUTPUT))


class WinogradConv2d(nn.Conv2d):
    """A convolution of `suits` that computes float32 images on a CPU by Winograd's algorithm; see `use_winograd`."""

    def forward(self, x: Tensor) -> Tensor:
        """The output (B, out, H, W); by the direct algorithm where `_fits` is false, or compiled."""
        if torch.compiler.is_compiling() or not self._fits(x):
            return super().forward(x)
        return winograd(x, self.weight, self.bias)

    def _fits(self, x: Tensor) -> bool:
        """True of a batch of enough float32 positions on a CPU that needs no gradient."""
        if x.dim() != 4 or x.device.type != "cpu" or x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            return False
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *self.parameters())):
            return False
        return x.shape[1] == self.in_channels and len(x) * _tiles(x.shape[2]) * _tiles(x.shape[3]) >= _FEWEST


def suits(module: nn.Module) -> bool:
    """True of a 3x3 convolution of stride 1 that is padded by zeros and has many channels."""
    return (
        type(module) is nn.Conv2d
        and min(module.in_channels, module.out_channels) >= CHANNELS
        and (module.kernel_size, module.stride, module.dilation) == ((3, 3), (1, 1), (1, 1))
        and (module.padding, module.padding_mode, module.groups) == ((1, 1), "zeros", 1)
    )


def use_winograd(module: nn.Module) -> int:
    """Has the convolutions in a module that suit computed by Winograd's algorithm, and returns their number."""
    convolutions = [part for part in module.modules() if suits(part)]
    for convolution in convolutions:
        convolution.__class__ = WinogradConv2d
        weight: Any = convolution.weight
        # The order in which the transform of weights reads them.
        weight.data = weight.data.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1)
    return len(convolutions)


def winograd(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The 3x3 convolution of stride 1 that is padded by one zero.

    Args:
        x: (B, C, H, W), float32 on a CPU.
        weight: (C', C, 3, 3).
        bias: (C',), or None.

    Returns:
        (B, C', H, W) in channels-last memory, without gradients; it differs from the direct convolution by about 1e-5
        of its range.
    """
    outputs, channels = weight.shape[:2]
    images = x.permute(0, 2, 3, 1)
    number, height, width, _ = images.shape
    rows, columns = _tiles(height), _tiles(width)
    at_once = min(rows, max(1, _TILES // columns))
    with torch.no_grad():
        kernels = torch.mm(_OF_KERNEL, weight.permute(2, 3, 1, 0).reshape(9, -1)).view(_SEEN**2, channels, outputs)
    result = x.new_empty(number, height, width, outputs)

    def compute(place: tuple[int, int]) -> None:
        image, first = place
        # Leaving inference mode turns gradients on, also where the caller has turned them off.
        with torch.inference_mode(result.is_inference()), torch.no_grad():
            some = range(first, min(first + at_once, rows))
            _compute(images[image], some, kernels, bias, result[image])

    deque(in_threads(compute, list(product(range(number), range(0, rows, at_once)))), maxlen=0)
    return result.permute(0, 3, 1, 2)


def _compute(image: Tensor, rows: range, kernels: Tensor, bias: Tensor | None, target: Tensor) -> None:
    """Writes rows of tiles of the output (H, W, C') for (H, W, C)."""
    channels, outputs = kernels.shape[1:]
    columns = _tiles(image.shape[1])
    padded = image.new_zeros(_SEEN, _OUT * columns + 2, channels)
    seen = padded.unfold(1, _SEEN, _OUT).permute(0, 3, 1, 2)
    values = image.new_empty(_SEEN**2, len(rows), columns, channels)
    products = image.new_empty(_SEEN**2, len(rows), columns, outputs)
    written = image.new_empty(_OUT**2, columns, outputs)
    for place, row in enumerate(rows):
        _read(image, padded, _OUT * row - 1)
        for span in _spans(columns, channels):
            torch.mm(_OF_INPUT, seen[:, :, span].reshape(_SEEN**2, -1), out=values[:, place, span].flatten(1))
    of_kernels = products.flatten(1, 2)
    torch.bmm(values.flatten(1, 2), kernels, out=of_kernels)
    if bias is not None:
        of_kernels[_CONSTANT] += bias
    for place, row in enumerate(rows):
        for span in _spans(columns, outputs):
            torch.mm(_OF_OUTPUT, products[:, place, span].flatten(1), out=written[:, span].flatten(1))
        _write(written.view(_OUT, _OUT, columns, -1), target[_OUT * row : _OUT * (row + 1)])


def _spans(columns: int, channels: int) -> Iterator[slice]:
    """Parts of a row of tiles whose values fit the second cache of a core."""
    width = max(1, _VALUES // channels)
    return (slice(first, first + width) for first in range(0, columns, width))


def _tiles(length: int) -> int:
    return -(-length // _OUT)


def _read(image: Tensor, padded: Tensor, top: int) -> None:
    """Copies what a row of tiles sees of (H, W, C) from row `top` on, with zeros above and below the image."""
    height, width, _ = image.shape
    first, end = max(top, 0), min(top + _SEEN, height)
    padded[: first - top].zero_()
    padded[first - top : end - top, 1 : width + 1] = image[first:end]
    padded[end - top :].zero_()


def _write(tiles: Tensor, target: Tensor) -> None:
    """Copies a row of tiles (4, 4, columns, C) to rows of an image, which may end within the tiles."""
    height, width, channels = target.shape
    tiles = tiles.transpose(1, 2)
    columns = width // _OUT
    target[:, : columns * _OUT].view(height, columns, _OUT, channels).copy_(tiles[:height, :columns])
    if rest := width % _OUT:
        target[:, -rest:] = tiles[:height, columns, :rest]
