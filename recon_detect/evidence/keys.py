"""Keys: which image a remembered tensor belongs to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pass:
    """One way through a reconstructor.

    Attributes:
        model: `Reconstructor.key`.
        deep: True if the latents also go through the diffusion model that the autoencoder belongs to.
    """

    model: str
    deep: bool = False


@dataclass(frozen=True, slots=True)
class ImageKey:
    """The identity of an image: a view, and the reconstructors that it went through, first to last."""

    view: str
    passes: tuple[Pass, ...] = ()

    @property
    def before(self) -> ImageKey:
        """The image that the last pass was given."""
        return ImageKey(self.view, self.passes[:-1])

    def through(self, step: Pass) -> ImageKey:
        """The image after one more pass."""
        return ImageKey(self.view, (*self.passes, step))
