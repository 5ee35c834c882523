"""Published evidence: computed as the scripts of AEROBLADE's authors do, in their precision and with their rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from recon_detect.errors import InputError
from recon_detect.evidence.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence.keys import ImageKey
    from recon_detect.models.loading import Models
    from recon_detect.models.reconstructor import Reconstructor

# Draws standard normal noise of a shape.
Noise = Callable[[tuple[int, ...]], "Tensor"]


class PublishedEvidence(Evidence):
    """Evidence with latents sampled from the posterior, reconstructions truncated to 8 bits, and maps in float16.

    Args:
        x: See `Evidence`.
        models: See `Evidence`.
        noise: One source of posterior noise per reconstructor.
    """

    def __init__(self, x: Tensor, models: Models, noise: Sequence[Noise]) -> None:
        super().__init__(x, models)
        # The first of equal models counts, as in `_by_key`.
        self._noise = {
            model.key: draw for model, draw in reversed(list(zip(models.reconstructors, noise, strict=True)))
        }

    def _mean(self, maps: Tensor) -> Tensor:
        """Mean (B,) in the precision of the maps."""
        return maps.mean(dim=(1, 2, 3))

    def _compare(self, key: ImageKey, names: Sequence[str]) -> dict[str, Tensor]:
        """Error maps in float16, on the CPU."""
        return {name: error_map.half().cpu() for name, error_map in super()._compare(key, names).items()}

    def _padded(self, keys: Sequence[ImageKey], model: Reconstructor) -> Tensor:
        """Images as they are: the scripts do not pad."""
        height, width = self._image(keys[0]).shape[-2:]
        if height % model.factor or width % model.factor:
            raise InputError(
                f"{width}x{height}: the published method needs sides that are multiples of {model.factor}; "
                "crop the image, or leave out compat='published' to have any size scored"
            )
        return super()._padded(keys, model)

    def _encoded(self, x: Tensor, model: Reconstructor, *, precise: bool = False) -> tuple[Tensor, Tensor | None]:
        """A sample of the posterior."""
        return model.encode(x, self._noise[model.key], precise=precise), None

    def _finish(self, decoded: Tensor) -> Tensor:
        """An image in steps of 8 bits: to_pil_image truncates, so it is half a grey level too dark on average."""
        stored = (decoded / 2 + 0.5).clamp(0, 1).mul(255).byte()
        return stored.float().div(255) * 2 - 1
