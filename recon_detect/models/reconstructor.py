"""Reconstructor: what evidence asks of a network that turns images into latents and latents into images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from recon_detect.errors import UsageError
from recon_detect.tensors.devices import autocast, fast_layout

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.models.weights import Weights


class Reconstructor(ABC):
    """A pretrained reconstructor on a device: `Autoencoder` or `DiffusionReconstructor`.

    Attributes:
        name: Row name, folder or hub id.
        weights: Source of the weights.
        configs: The configuration files that decide what it computes.
        factor: Pixels per latent position; `encode` takes sides that are multiples of it.
        side: Side of the square images that it was trained on, where it takes no others; else None.
        dtype: Precision of the convolutions. Below float32, weights stay in float32 and autocast lowers the rest,
            so that a float32 retry needs no second copy.
        engine: Library that computes it (`engines`).
        encoder: Prefixes of the names of the tensors that `encode` uses; without any, it uses all.
        encoder_key: Equal for reconstructors with equal encoders (`share_equal_parts`); likewise `key` for equal ones.
    """

    factor: int
    side: int | None = None
    engine: str = "torch"
    encoder: tuple[str, ...] = ()

    def __init__(
        self, weights: Weights, module: Any, device: torch.device, dtype: torch.dtype, *, pure: bool = False
    ) -> None:
        self.name = weights.name
        self.weights = weights
        self.configs: tuple[Path, ...] = weights.configs
        self.device = device
        self.dtype = dtype
        self._pure = pure and dtype != torch.float32
        self._module = module.to(device).eval().requires_grad_(False)
        for parameter in self._module.parameters():
            parameter.data = parameter.data.contiguous(memory_format=fast_layout(parameter))
        self.encoder_key = f"{self.name}:{weights.sha256}:encoder"
        self.key = f"{self.name}:{weights.sha256}"

    @property
    def view(self) -> str:
        """The view in which it sees images as it was trained: the image itself, or its middle square at `side`."""
        return f"dire{self.side}" if self.side else "identity"

    @property
    def tiled(self) -> bool:
        """True where large images are computed in tiles, with the result of the whole image."""
        return False

    @property
    def low_precision(self) -> bool:
        """True where a reconstruction may be tried again in float32."""
        return self.dtype != torch.float32

    @abstractmethod
    def encode(
        self, x: Tensor, noise: Callable[[tuple[int, ...]], Tensor] | None = None, *, precise: bool = False
    ) -> Tensor:
        """Latents of (B, 3, H, W) in [-1, 1]; H and W are multiples of `factor`.

        Args:
            x: Images.
            noise: Gives the posterior noise of a shape (B, C, h, w), where there is a posterior; None takes the mode.
            precise: Compute in float32 whatever `dtype` is.
        """

    @abstractmethod
    def decode(self, z: Tensor, *, precise: bool = False) -> Tensor:
        """Images in [-1, 1] (not clamped), from latents of `encode`."""

    def encode_features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Latents as of `encode`, and the features of `feature_map`; None where there are none to reuse."""
        return self.encode(x), None

    def feature_map(
        self, compare: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, features: Tensor | None = None
    ) -> Tensor:
        """Compares two images (B, 3, H, W) by the encoder's features at half the resolution: (B, 1, H/2, W/2).

        Args:
            compare: From two feature maps (B, C, h, w) to a map (B, 1, h, w).
            x: Images.
            y: Their reconstructions.
            features: What `encode_features` gave for x, if it was asked.

        Raises:
            UsageError: Only AutoencoderTiny has such features.
        """
        raise UsageError(
            f"{self.name}: the distance encoder_features is that of tiny autoencoders (AutoencoderTiny); "
            "use another, such as lpips_vgg_2"
        )

    def compile(self) -> None:  # noqa: B027 - most have nothing to compile
        """Compiles the network when it is first asked, where that pays; does nothing otherwise."""

    def state(self) -> tuple[str, dict[str, Tensor]]:
        """A text that is equal for networks of one class, configuration and precision; and the tensors by name."""
        module = self._module
        settings = {name: value for name, value in sorted(module.config.items()) if _matters(name)}
        kind = f"{type(module).__module__}.{type(module).__name__}"
        return f"{kind}:{settings}:{self.dtype}", module.state_dict()

    def _cast(self, x: Tensor) -> Tensor:
        return x.to(dtype=self.dtype if self._pure else torch.float32, memory_format=fast_layout(x))

    @contextmanager
    def _precision(self, precise: bool) -> Iterator[None]:
        """Lowers the precision by autocast, or lifts pure low-precision weights to float32 for one retry."""
        if self._pure and precise:
            self._module.float()
            self._pure = False
            try:
                yield
            finally:
                self._pure = True
                self._module.to(self.dtype)
            return
        low = self.low_precision and not precise and not self._pure
        with autocast(self.device, self.dtype if low else torch.float32):
            yield


# Entries of configurations that neither encoding nor decoding reads: those of pipelines and of training.
_UNUSED = frozenset({"sample_size", "scaling_factor", "shift_factor", "force_upcast", "latents_mean", "latents_std"})


def _matters(name: str) -> bool:
    return not name.startswith("_") and name not in _UNUSED
