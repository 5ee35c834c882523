"""Autoencoders of users' own: any encoder and decoder that are modules of torch."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from recon_detect.errors import UsageError
from recon_detect.models.reconstructor import Reconstructor
from recon_detect.models.registry import MODEL_SETS, MODELS

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.models.weights import Weights


class EncoderDecoder(torch.nn.Module):
    """An autoencoder, or a GAN with an encoder that inverts it, for ``load_detector(models=[...])``.

    Args:
        name: Name in results; none of the registry.
        encoder: Maps images (B, 3, H, W) in [-1, 1] to latents (B, ...).
        decoder: Maps these to images (B, 3, H, W) in [-1, 1].
        factor: Multiple that H and W are; images are padded to it by reflection.
        side: H and W of a pair that takes no others, such as a GAN; None for any. Methods see the middle square of an
            image at this side where they ask for the trained size, as `dire` does.

    Raises:
        UsageError: A name of the registry, or a factor or side that cannot be.
    """

    def __init__(
        self, name: str, encoder: torch.nn.Module, decoder: torch.nn.Module, *, factor: int = 8, side: int | None = None
    ) -> None:
        super().__init__()
        if not name or "," in name or name in MODELS or name in MODEL_SETS:
            raise UsageError(f"name={name!r}: expected a name without a comma that no model of the package has")
        if factor < 1 or (side is not None and (side < 1 or side % factor)):
            raise UsageError(f"factor={factor}, side={side}: expected 1 or more, and a side that is a multiple of it")
        self.name = name
        self.encoder = encoder
        self.decoder = decoder
        self.factor = factor
        self.side = side

    @property
    def sha256(self) -> str:
        """Sum of the classes, the sizes and all tensors; the code of the classes is not part of it."""
        digest = hashlib.sha256(self.kind.encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @property
    def kind(self) -> str:
        """The classes and the sizes as text."""
        classes = [f"{type(part).__module__}.{type(part).__qualname__}" for part in self.modules()]
        return f"{' '.join(classes)} {self.factor} {self.side}"


class OwnReconstructor(Reconstructor):
    """An `EncoderDecoder` on a device: a copy, so that training may go on with the original."""

    encoder = ("encoder.",)

    def __init__(self, weights: Weights, module: EncoderDecoder, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(weights, copy.deepcopy(module), device, dtype)
        self.factor, self.side = module.factor, module.side

    def encode(
        self, x: Tensor, noise: Callable[[tuple[int, ...]], Tensor] | None = None, *, precise: bool = False
    ) -> Tensor:
        """Latents (B, ...) of images; there is no posterior.

        Raises:
            UsageError: Images of another size than the only one that it takes.
        """
        if self.side and tuple(x.shape[-2:]) != (self.side, self.side):
            raise UsageError(
                f"{self.name} takes images of {self.side} x {self.side} pixels, got {x.shape[-1]} x {x.shape[-2]}: use "
                f"--method dire, or another with --middle-square {self.side}"
            )
        with self._precision(precise):
            latents: Tensor = self._module.encoder(self._cast(x))
        return latents

    def decode(self, z: Tensor, *, precise: bool = False) -> Tensor:
        """Images in [-1, 1] (not clamped), from latents of `encode`.

        Raises:
            UsageError: The decoder gave something else.
        """
        with self._precision(precise):
            images: Tensor = self._module.decoder(z)
        if images.ndim != 4 or images.shape[:2] != (len(z), 3):
            raise UsageError(
                f"{self.name}: expected the decoder to give images ({len(z)}, 3, H, W), got {tuple(images.shape)}"
            )
        return images

    def state(self) -> tuple[str, dict[str, Tensor]]:
        """See `Reconstructor.state`."""
        return f"{self._module.kind}:{self.dtype}", self._module.state_dict()
