"""Convolutions by ncnn: float32 and Winograd's algorithm, in tiles that fit the cache of a core.

ncnn computes a layer of 64 channels almost twice as fast as torch while its planes fit the cache of a core, and hardly
faster where they do not. A `Stage` of layers can therefore be computed tile by tile. A tile inside the image is given
all that it sees and is not padded, so that its layers shrink towards it and little is computed twice; a tile at the
border is padded as the image is.
"""

from __future__ import annotations

import math
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, reduce
from itertools import groupby, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import torch

from recon_detect.tensors.threads import in_threads

if TYPE_CHECKING:
    from torch import Tensor

    Planes: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]

Span: TypeAlias = tuple[int, int]

# Side of tiles, and positions of a plane beyond which tiles of 64 channels are faster.
TILE = 64
_LARGE = 160 * 160


class Layer(ABC):
    """A layer of a `Stage`.

    Attributes:
        up: Factor by which its input is enlarged first.
        stride: Positions of that from one position of the output to the next.
        reach: Positions of it that are seen before and behind each such position.
        pads: Whether the image is padded by what is seen beyond it.
    """

    up: ClassVar[int] = 1
    pads: ClassVar[bool] = True
    stride: int = 1
    reach: Span = (0, 0)

    def size(self, length: int) -> int:
        """The length of the output."""
        beyond = 0 if self.pads else sum(self.reach)
        return (length * self.up - 1 - beyond) // self.stride + 1

    def before(self, span: Span) -> Span:
        """The input that is seen by the positions `span` of the output."""
        first, last = span[0] * self.stride - self.reach[0], (span[1] - 1) * self.stride + self.reach[1]
        return first // self.up, last // self.up + 1

    def start(self, first: int) -> int:
        """The first position of the output for an input that begins at `first` and is not padded."""
        return -(-(first * self.up + self.reach[0]) // self.stride)

    @abstractmethod
    def write(self, graph: Graph, x: str, *, padded: bool) -> str:
        """Adds the layer to a graph after `x`, and returns its name."""


class Conv(Layer):
    """A convolution of odd width, padded by half of it.

    Args:
        weight: (out, in, k, k).
        bias: (out,), or None.
        stride: 1 or 2.
        relu: Whether ReLU follows.
        edge: Value that the image is padded with.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, relu: bool = False, edge: float = 0.0
    ) -> None:
        self.weight, self.bias, self.stride = weight, bias, stride
        self.reach = (weight.shape[-1] // 2,) * 2
        self._relu, self._edge = relu, edge

    def write(self, graph: Graph, x: str, *, padded: bool) -> str:
        """Adds the layer to a graph; see `Layer.write`."""
        out, _, width, _ = self.weight.shape
        tensors = [tensor for tensor in (self.weight, self.bias) if tensor is not None]
        shape: dict[int, float] = {0: out, 1: width, 3: self.stride, 4: self.reach[0] if padded else 0}
        rest = {5: len(tensors) - 1, 6: self.weight.numel(), 9: int(self._relu), 18: self._edge}
        return graph.add("Convolution", [x], shape | rest, tensors)


class Block(Layer):
    """A residual block: convolutions of stride 1, what came in (by a 1 x 1 convolution where `skip`), and ReLU."""

    def __init__(self, convs: Sequence[Conv], skip: Conv | None = None) -> None:
        self._convs, self._skip = convs, skip
        self.reach = (sum(conv.reach[0] for conv in convs),) * 2

    def write(self, graph: Graph, x: str, *, padded: bool) -> str:
        """Adds the layer to a graph; see `Layer.write`."""
        x, skipped = graph.add("Split", [x], outputs=2).split()
        for conv in self._convs:
            x = conv.write(graph, x, padded=padded)
        if not padded:
            margins, rest = dict.fromkeys((0, 1, 6, 7), self.reach[0]), dict.fromkeys((3, 4, 5), -233)
            skipped = graph.add("Crop", [skipped], margins | rest)
        if self._skip:
            skipped = self._skip.write(graph, skipped, padded=padded)
        return graph.add("ReLU", [graph.add("BinaryOp", [x, skipped])])


class Up(Layer):
    """Nearest neighbours at twice the resolution."""

    up = 2

    def write(self, graph: Graph, x: str, *, padded: bool) -> str:
        """Adds the layer to a graph; see `Layer.write`."""
        return graph.add("Interp", [x], {0: 1, 1: 2.0, 2: 2.0})


class Pool(Layer):
    """Maxima of 2 x 2 positions, without an odd last one."""

    pads = False
    stride = 2
    reach = (0, 1)

    def write(self, graph: Graph, x: str, *, padded: bool) -> str:
        """Adds the layer to a graph; see `Layer.write`."""
        return graph.add("Pooling", [x], {0: 0, 1: 2, 2: 2, 5: 1})


class Graph:
    """A network in ncnn's text format, written layer by layer, with its weights beside it."""

    def __init__(self) -> None:
        self._layers = ["Input in 0 1 x"]
        self._blobs = 1
        self._weights: list[bytes] = []

    def add(
        self,
        kind: str,
        inputs: Sequence[str],
        settings: Mapping[int, float] | None = None,
        tensors: Iterable[Tensor] = (),
        *,
        outputs: int = 1,
    ) -> str:
        """Adds a layer: the name of its output, or the names of several with spaces between them."""
        names = " ".join(f"b{self._blobs + place}" for place in range(outputs))
        self._blobs += outputs
        values = " ".join(f"{key}={value}" for key, value in (settings or {}).items())
        self._layers.append(f"{kind} l{len(self._layers)} {len(inputs)} {outputs} {' '.join(inputs)} {names} {values}")
        for place, tensor in enumerate(tensors):
            mark = b"" if place else bytes(4)  # float32, not quantised
            self._weights.append(mark + tensor.detach().float().cpu().contiguous().numpy().tobytes())
        return names

    def net(self, threads: int) -> Any:
        """The network, ready to run.

        Raises:
            RuntimeError: ncnn does not take it.
        """
        import ncnn

        net = ncnn.Net()
        for name in dir(net.opt):
            # Of Winograd's algorithms F(4, 3) is as fast as F(6, 3) and nearer to torch; each keeps weights of its own.
            if name.startswith(("use_fp16", "use_bf16", "use_int8", "use_winograd23", "use_winograd63")):
                setattr(net.opt, name, False)
        net.opt.num_threads = threads
        net.opt.lightmode = True
        net.opt.blob_allocator, net.opt.workspace_allocator = _memory()
        text = "\n".join(["7767517", f"{len(self._layers)} {self._blobs}", *self._layers, ""])
        # From memory, ncnn would read biases where they lay after Python has freed them.
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder, "weights.bin")
            weights.write_bytes(b"".join(self._weights))
            if net.load_param_mem(text) or net.load_model(str(weights)):
                raise RuntimeError("ncnn does not take the network")
        return net


@cache
def _memory() -> tuple[Any, Any]:
    """Memory for planes and for what Winograd's algorithm makes of them; each network would keep its own otherwise."""
    import ncnn

    return ncnn.PoolAllocator(), ncnn.PoolAllocator()


class Stage:
    """Layers that are computed together on as many threads as torch has.

    Args:
        layers: In their order.
        tile: Side of tiles in positions of the output; None computes whole images.
    """

    def __init__(self, layers: Sequence[Layer], *, tile: int | None = None) -> None:
        self._layers = tuple(layers)
        self._tile = tile
        self._step = math.prod(layer.stride for layer in layers)
        self._nets: dict[tuple[bool, int], tuple[Any, str]] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """The output (B, C', H', W') for (B, C, H, W), in float32."""
        images = x.detach().float().contiguous().numpy()
        height, width = map(self._size, x.shape[-2:])
        if self._tile is None:
            threads = torch.get_num_threads()
            return torch.from_numpy(np.stack([self._run(image, padded=True, threads=threads) for image in images]))
        rows, columns = (_spans(length, self._tile) for length in (height, width))
        places = list(product(range(len(images)), rows, columns))
        tiles = in_threads(lambda place: self._of_tile(images[place[0]], *place[1:]), places)
        whole: Tensor | None = None
        for (image, (top, bottom), (left, right)), part in zip(places, tiles, strict=True):
            if whole is None:
                whole = torch.empty(len(images), len(part), height, width)
            whole[image, :, top:bottom, left:right] = torch.from_numpy(part)
        assert whole is not None
        return whole

    def _of_tile(self, image: Planes, rows: Span, columns: Span) -> Planes:
        """The output at some rows and columns."""
        spans = [reduce(lambda seen, layer: layer.before(seen), self._layers[::-1], span) for span in (rows, columns)]
        sizes = image.shape[1:]
        padded = any(first < 0 or end > size for (first, end), size in zip(spans, sizes, strict=True))
        if padded:
            spans = [
                (max(first, 0) // self._step * self._step, min(end, size))
                for (first, end), size in zip(spans, sizes, strict=True)
            ]
        (top, bottom), (left, right) = spans
        part = np.ascontiguousarray(image[:, top:bottom, left:right])
        result = self._run(part, padded=padded, threads=1)
        top, left = (self._size(first) if padded else self._start(first) for first in (top, left))
        return result[:, rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left]

    def _run(self, image: Planes, *, padded: bool, threads: int) -> Planes:
        import ncnn

        net, name = self._net(padded, threads)
        extractor = net.create_extractor()
        extractor.input("x", ncnn.Mat(image))  # does not own the array, which lives until the end of this function
        code, output = extractor.extract(name)
        if code:
            raise MemoryError(f"ncnn: error {code} at {image.shape[2]}x{image.shape[1]} positions")
        return np.array(output)

    def _net(self, padded: bool, threads: int) -> tuple[Any, str]:
        if (padded, threads) not in self._nets:
            graph = Graph()
            last = reduce(lambda x, layer: layer.write(graph, x, padded=padded), self._layers, "x")
            self._nets[padded, threads] = graph.net(threads), last
        return self._nets[padded, threads]

    def _size(self, length: int) -> int:
        return reduce(lambda size, layer: layer.size(size), self._layers, length)

    def _start(self, first: int) -> int:
        return reduce(lambda start, layer: layer.start(start), self._layers, first)


class Chain:
    """Layers of which those with large planes are computed in tiles, block by block, and the others at once.

    Args:
        layers: In their order.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._groups: list[list[Layer]] = []
        for layer in layers:
            has_block = self._groups and any(isinstance(other, Block) for other in self._groups[-1])
            if not self._groups or isinstance(layer, Up) or (isinstance(layer, Block) and has_block):
                self._groups.append([])
            self._groups[-1].append(layer)
        self._stages: dict[tuple[bool, Span], Stage] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """The output (B, C', H', W') for (B, C, H, W), in float32."""
        large, size = [], x.shape[-2:]
        for group in self._groups:
            before, size = size, torch.Size(reduce(lambda n, layer: layer.size(n), group, length) for length in size)
            large.append(max(before.numel(), size.numel()) > _LARGE)
        for tiled, places in groupby(range(len(large)), key=large.__getitem__):
            spans = [(place, place + 1) for place in places]
            for span in spans if tiled else [(spans[0][0], spans[-1][1])]:
                x = self._stage(span, tiled=tiled)(x)
        return x

    def _stage(self, span: Span, *, tiled: bool) -> Stage:
        if (tiled, span) not in self._stages:
            layers = [layer for group in self._groups[slice(*span)] for layer in group]
            tile = TILE // math.prod(layer.stride for layer in layers) if tiled else None
            self._stages[tiled, span] = Stage(layers, tile=tile)
        return self._stages[tiled, span]


def _spans(length: int, tile: int) -> list[Span]:
    return [(start, min(start + tile, length)) for start in range(0, length, tile)]
