"""What a method is used with: its models, its distance, its distributions over photographs."""

from __future__ import annotations

from dataclasses import dataclass

from recon_detect.errors import UsageError
from recon_detect.methods import Method
from recon_detect.methods.grain.nulls import Nulls, find_nulls
from recon_detect.models.registry import AUTOENCODERS, BACKBONES, expand


@dataclass(frozen=True, slots=True)
class Use:
    """A method with the distance, the models and the distributions over photographs that it is used with."""

    method: Method
    distance: str
    models: tuple[str, ...]
    nulls: Nulls | None

    @property
    def distances(self) -> tuple[str, ...]:
        """All that it may ask for of `Evidence`."""
        of_nulls = self.nulls.distances if self.nulls else ()
        own = () if self.method.embeds else (self.distance,)
        return tuple(dict.fromkeys((*own, *(name for names in of_nulls for name in names))))


def find_use(method: Method, models: tuple[str, ...] | None, distance: str | None, compat: str | None) -> Use:
    """What a method is used with where some models, a distance or a mode are asked for.

    Raises:
        UsageError: The method has no model of its own, or no distributions of the models.
    """
    # Of models for several methods, each takes those of its kind; folders and hub ids may be of any.
    others = AUTOENCODERS if method.embeds else BACKBONES
    fitting = tuple(name for name in expand(models or ()) if name not in others)
    names = fitting or expand(method.published_models if compat else method.models)
    if not names:
        raise UsageError(
            f"{method.name} has no model of its own: pass one, such as a folder that 'recon-detect convert "
            "guided-diffusion' wrote, or the hub id of a UNet2DModel"
        )
    nulls = find_nulls(method.name, names) if method.null else None
    if nulls:
        return Use(method, nulls.distances[0][0], names, nulls)
    return Use(method, method.distance if method.embeds else distance or method.distance, names, None)
