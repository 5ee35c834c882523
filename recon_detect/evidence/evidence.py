"""Evidence: what a method may ask of one batch of images. Each thing is computed once, when first asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from recon_detect.errors import InputError, NumericalError, UnknownName, UsageError
from recon_detect.evidence.distances import FEATURES, LATENT
from recon_detect.evidence.views import find_view
from recon_detect.tensors.devices import sum_dtype
from recon_detect.tensors.filters import reflect_pad
from recon_detect.tensors.tiling import TILED_ABOVE, is_large

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence.distances import Distances
    from recon_detect.methods.grain.nulls import Nulls
    from recon_detect.models.autoencoders import Autoencoder
    from recon_detect.models.backbones import Backbone
    from recon_detect.models.denoisers import Denoiser
    from recon_detect.models.dire_classifier import DireClassifier
    from recon_detect.models.lpips import Features

    # Identity of an image: its view, then the keys of the autoencoders that it went through.
    Key = tuple[str, ...]

Noise = Callable[[tuple[int, ...]], "Tensor"]
# The view of a model in which it sees images of the size that it was trained on; of autoencoders the image as it is.
TRAINED = "trained"
# Ends the name of a model through whose diffusion model the latents go too.
_DEEP = ":deep"


class Evidence:
    """Reconstructions and errors of one batch, computed on demand and remembered.

    A method never loops, loads or moves anything: it asks for `error`, `error_map`, `reconstruction` or `similarity`.

    Args:
        x: Images (B, 3, H, W), float32, RGB, in [-1, 1], on the device of the autoencoders.
        autoencoders: The K models.
        distances: The distances that may be asked for; the first is the default.
        noise: One source of posterior noise per model: compute as the published AEROBLADE scripts do (posterior
            sample, reconstruction truncated to 8 bits, error maps and means in float16). None: posterior mode and
            float32 throughout.
        backbones: The networks that embed images, of methods that ask for `similarity`.
        denoisers: The diffusion models of the autoencoders, by name, of methods that ask for `noise_error`.
        classifier: A trained classifier of reconstruction errors.

    Attributes:
        retried: Pairs (position in the batch, model name) of reconstructions that were not finite in low precision
            and were repeated in float32.
    """

    def __init__(
        self,
        x: Tensor,
        autoencoders: Sequence[Autoencoder],
        distances: Distances,
        *,
        noise: Sequence[Noise] | None = None,
        backbones: Sequence[Backbone] = (),
        denoisers: Mapping[str, Denoiser] | None = None,
        classifier: DireClassifier | None = None,
    ) -> None:
        self.autoencoders = tuple(autoencoders)
        self.distances = distances
        self.distance = distances.names[0] if distances.names else ""
        self._nulls: Nulls | None = None
        self.retried: set[tuple[int, str]] = set()
        self._noise = noise
        self._all = self.autoencoders
        self.backbones = tuple(backbones)
        self._denoisers = dict(denoisers or {})
        self._classifier = classifier
        self._original = x
        # Autoencoders with equal tensors have one key and are run once.
        self._by_key = {a.key: model for model, a in reversed(list(enumerate(self.autoencoders)))}
        self._images: dict[Key, Tensor] = {}
        self._latents: dict[Key, Tensor] = {}
        self._seen: dict[Key, Tensor] = {}
        self._references: dict[Key, dict[str, Features]] = {}
        self._maps: dict[Key, dict[str, Tensor]] = {}
        self._embeddings: dict[tuple[str, str, int | None], Tensor] = {}

    def __len__(self) -> int:
        return self._original.shape[0]

    @property
    def nulls(self) -> Nulls:
        """How the contrasts of the models are distributed over photographs; of methods with `Method.null` only."""
        if self._nulls is None:
            raise UsageError("this method has no null distribution: declare it with null=True")
        return self._nulls

    @property
    def classifier(self) -> DireClassifier:
        """The trained classifier; of methods with `Method.classifies` only."""
        if self._classifier is None:
            raise UsageError("this method has no classifier: declare it with classifies=True")
        return self._classifier

    def at(self, x: Tensor) -> Evidence:
        """The evidence of other images (B', 3, H', W') by the same models, such as parts of these images."""
        other = Evidence(x, self.autoencoders, self.distances, backbones=self.backbones, denoisers=self._denoisers)
        other.distance, other._nulls = self.distance, self._nulls
        return other

    def only(self, model: int) -> Evidence:
        """The same evidence, of one model."""
        return self.using(self.distance, [self.autoencoders[model].name], self.nulls.of(model))

    def using(self, distance: str, models: Sequence[str], nulls: Nulls | None = None) -> Evidence:
        """The same evidence as one method sees it: with its default distance, and the models of these names.

        What is computed through it is remembered for all.
        """
        seen = copy.copy(self)
        seen.distance = distance
        seen._nulls = nulls
        by_name = {model.name: model for model in self._all}
        seen.autoencoders = tuple(by_name[name] for name in models if name in by_name)
        seen.backbones = tuple(backbone for backbone in self.backbones if backbone.name in models)
        return seen

    def error(
        self, distance: str | None = None, *, view: str = "identity", passes: int = 1, deep: bool = False
    ) -> Tensor:
        """Mean of the error map of each image and model: (B, K), float64 (float16 as published).

        Args:
            distance: Name of a distance of this run; None takes the method's.
            view: Which view of the images is reconstructed and compared.
            passes: 1 compares the image with its reconstruction, 2 the reconstruction with its own, and so on.
            deep: Whether the latents are inverted and sampled back by the diffusion model that the autoencoder belongs
                to, of methods with `Method.denoises`.
        """
        dtype = None if self._noise else sum_dtype(self._original.device)
        columns = [
            self.error_map(model, distance, view=view, passes=passes, deep=deep).mean(dim=(1, 2, 3), dtype=dtype)
            for model in range(len(self.autoencoders))
        ]
        return torch.stack(columns, dim=1)

    def errors(self, views: Sequence[str], distance: str | None = None) -> Tensor:
        """The errors of several views, which go through the networks together where they have one size: (V, B, K)."""
        for model in range(len(self.autoencoders)):
            missing = [(view,) for view in dict.fromkeys(views) if self._key(model, view, 1) not in self._images]
            for group in self._of_one_size(missing):
                self._reconstruct(group, self.autoencoders[model].key)
        return torch.stack([self.error(distance, view=view) for view in views])

    def error_map(
        self,
        model: int,
        distance: str | None = None,
        *,
        view: str = "identity",
        passes: int = 1,
        deep: bool = False,
    ) -> Tensor:
        """Error map (B, 1, h, w) of one model; LPIPS maps have the resolution of their layer."""
        key = self._key(model, view, passes, deep=deep)
        name = distance or self.distance
        if name not in self.distances.names:
            raise UnknownName("distance of this run", name, self.distances.names)
        known = self._maps.setdefault(key, {})
        if name == LATENT and name not in known:
            known[name] = self._latent_difference(key)
        if name == FEATURES and name not in known:
            known[name] = self._feature_difference(key)
        if name not in known:
            maps = self._compare(key[:-1], self._image(key), self.distances.computed_with(name))
            known.update({name: m.half().cpu() for name, m in maps.items()} if self._noise else maps)
        return known[name]

    def similarity(self, view: str, other: str, *, tile: int | None = None) -> Tensor:
        """Cosine of the embeddings of two views: (B, K) in [-1, 1], K backbones.

        Args:
            view: One view; its sides are multiples of the backbone's patch.
            other: The other.
            tile: Side of tiles that are embedded one by one; the mean of their cosines is returned. None: whole views.
        """
        columns = [
            torch.cosine_similarity(self._embedding(b, view, tile), self._embedding(b, other, tile), dim=-1).mean(dim=1)
            for b in self.backbones
        ]
        return torch.stack(columns, dim=1)

    def embeddings(self, view: str = "identity") -> list[Tensor]:
        """The embedding (B, D) of a view by each backbone; see `similarity`."""
        return [self._embedding(backbone, view, None)[:, 0] for backbone in self.backbones]

    def noise_error(self, latent_view: str = "identity", *, time: float, draws: int) -> Tensor:
        """How badly each diffusion model predicts the noise in what it is given: (B, K), mean squares.

        That of an autoencoder is given its latents, one of pixels the image at the size that it was trained on.

        Args:
            latent_view: Which view of the latents, not of the image, is given noise.
            time: Between 0, no noise, and 1.
            draws: Noises that are averaged over.
        """
        columns = []
        for autoencoder in self.autoencoders:
            model = self._by_key[autoencoder.key]
            if autoencoder.trained_side:
                x = find_view(latent_view)(self._image(self._key(model, TRAINED, 0)))
                columns.append(autoencoder.noise_error(x, time=time, draws=draws))
                continue
            latents = self._encode([("identity",)], model, self._padded([("identity",)], model))
            denoiser = self._denoisers[autoencoder.name]
            columns.append(denoiser.noise_error(find_view(latent_view)(latents), time=time, draws=draws))
        return torch.stack(columns, dim=1)

    def step_error(self, step: int) -> Tensor:
        """What one step of each diffusion model of pixels changes there and back: (B, K), mean squares.

        Args:
            step: After so many steps of inversion, of the image at the size that the model was trained on.
        """
        columns = [
            autoencoder.step_error(self.reconstruction(model, view=TRAINED, passes=0), step)
            for model, autoencoder in enumerate(self.autoencoders)
        ]
        return torch.stack(columns, dim=1)

    def image(self, view: str = "identity") -> Tensor:
        """The images (B, 3, H, W) in [-1, 1], as a view shows them."""
        return self._image((view,))

    def reconstruction(self, model: int, *, view: str = "identity", passes: int = 1) -> Tensor:
        """Reconstruction (B, 3, H, W) in [-1, 1] of a view by one model, `passes` times over; 0 gives the view itself.

        Sides that are no multiple of the model's factor are padded by reflection at the right and the bottom, so that
        the image keeps its place on the grid, and cropped back.
        """
        return self._image(self._key(model, view, passes))

    def _key(self, model: int, view: str, passes: int, *, deep: bool = False) -> Key:
        autoencoder = self.autoencoders[model]
        if view == TRAINED:
            view = f"dire{autoencoder.trained_side}" if autoencoder.trained_side else "identity"
        return (view, *[autoencoder.key + _DEEP if deep else autoencoder.key] * passes)

    def _image(self, key: Key) -> Tensor:
        if key not in self._images:
            if len(key) == 1:
                self._images[key] = find_view(key[0])(self._original)
            else:
                self._reconstruct([key[:-1]], key[-1])
        return self._images[key]

    def _embedding(self, backbone: Backbone, view: str, tile: int | None) -> Tensor:
        """Embeddings (B, T, D) of the T tiles of a view."""
        key = (backbone.name, view, tile)
        if key not in self._embeddings:
            x = self._image((view,))
            side = tile or x.shape[-1]
            tiles = x.unfold(2, side, side).unfold(3, side, side).permute(0, 2, 3, 1, 4, 5)
            embedded = backbone.embed(tiles.reshape(-1, 3, side, side))
            self._embeddings[key] = embedded.view(len(self), -1, embedded.shape[1])
        return self._embeddings[key]

    def _of_one_size(self, keys: Sequence[Key]) -> list[list[Key]]:
        """Views to be computed together: of one size, and no more than fill the device."""
        groups: dict[object, list[Key]] = {}
        for key in keys:
            groups.setdefault(self._image(key).shape, []).append(key)
        together = max(TILED_ABOVE // (self._original.numel() // 3), 1)
        return [
            group[start : start + together] for group in groups.values() for start in range(0, len(group), together)
        ]

    def _compare(self, reference: Key, result: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        x = self._image(reference)
        if self.distances.tiled and is_large(x):
            return self.distances.maps_in_tiles(x, result, names)
        known = self._references.setdefault(reference, {})
        for net in self.distances.nets(names):
            if net not in known:
                known[net] = self.distances.features(x, net)
        found = {net: self.distances.features(result, net) for net in self.distances.nets(names)}
        return self.distances.maps(x, result, known, found, names)

    def _reconstruct(self, parents: Sequence[Key], name: str) -> None:
        """Remembers the reconstructions of images of one size by the model of a key."""
        model = self._by_key[name.removesuffix(_DEEP)]
        autoencoder = self._all[model]
        height, width = self._image(parents[0]).shape[-2:]
        padded = self._padded(parents, model)
        latents = self._encode(parents, model, padded)
        if name.endswith(_DEEP):
            latents = self._denoisers[autoencoder.name].reconstruct(latents)
        decoded = autoencoder.decode(latents)
        finite = decoded.isfinite().flatten(1).all(dim=1)
        if not bool(finite.all()):
            decoded = self._repeat(decoded.float(), padded, finite, model)
        finished = self._finish(decoded[..., :height, :width])
        for parent, part in zip(parents, torch.split(finished, len(self)), strict=True):
            self._images[(*parent, name)] = part

    def _latent_difference(self, key: Key) -> Tensor:
        """Mean square of the difference of the latents of an image and of its reconstruction: (B, 1, h, w)."""
        model = self._by_key[key[-1].removesuffix(_DEEP)]
        self._image(key)
        before, after = (self._encode([part], model, self._padded([part], model)).float() for part in (key[:-1], key))
        return (before - after).square().mean(dim=1, keepdim=True)

    def _feature_difference(self, key: Key) -> Tensor:
        """How far the encoder's early features of an image and of its reconstruction are apart: (B, 1, h, w)."""
        model = self._by_key[key[-1].removesuffix(_DEEP)]
        height, width = self._image(key).shape[-2:]
        autoencoder = self._all[model]
        before, after = (self._padded([part], model) for part in (key[:-1], key))
        # Asked for once: the map is remembered.
        seen = self._seen.pop((*key[:-1], autoencoder.encoder_key), None)
        # Half the size of the image, rounded up: without what was padded.
        return autoencoder.feature_difference(before, after, seen)[..., : -(-height // 2), : -(-width // 2)]

    def _padded(self, parents: Sequence[Key], model: int) -> Tensor:
        """Images of one size with sides that are multiples of the model's factor."""
        factor = self._all[model].factor
        image = torch.cat([self._image(parent) for parent in parents])
        height, width = image.shape[-2:]
        bottom, right = -height % factor, -width % factor
        if self._noise and (bottom or right):
            raise InputError(
                f"{width}x{height}: the published method needs sides that are multiples of {factor}; "
                "crop the image, or leave out compat='published' to have any size scored"
            )
        return reflect_pad(image, right=right, bottom=bottom)

    def _encode(self, parents: Sequence[Key], model: int, padded: Tensor) -> Tensor:
        autoencoder = self._all[model]
        keys = [(*parent, autoencoder.encoder_key) for parent in parents]
        if not all(key in self._latents for key in keys):
            if FEATURES in self.distances.names and not self._noise:
                latents, seen = autoencoder.encode_features(padded)
                if seen is not None:
                    self._seen.update(zip(keys, torch.split(seen, len(self)), strict=True))
            else:
                latents = autoencoder.encode(padded, self._noise[model] if self._noise else None)
            self._latents.update(zip(keys, torch.split(latents, len(self)), strict=True))
        return torch.cat([self._latents[key] for key in keys])

    def _repeat(self, decoded: Tensor, padded: Tensor, finite: Tensor, model: int) -> Tensor:
        """Repeats in float32 what overflowed in low precision. Noise, where any is drawn, is drawn anew."""
        autoencoder = self._all[model]
        bad = (~finite).nonzero().flatten()
        if autoencoder.low_precision:
            noise = self._noise[model] if self._noise else None
            latents = autoencoder.encode(padded[bad], noise, precise=True)
            decoded[bad] = autoencoder.decode(latents, precise=True).float()
            self.retried.update((int(position) % len(self), autoencoder.name) for position in bad)
        if not bool(decoded[bad].isfinite().all()):
            raise NumericalError(f"the reconstruction by {autoencoder.name} is not finite in float32")
        return decoded

    def _finish(self, decoded: Tensor) -> Tensor:
        if not self._noise:
            return decoded.float().clamp_(-1, 1)
        # to_pil_image truncates: the published reconstructions are half a grey level too dark on average.
        stored = (decoded / 2 + 0.5).clamp(0, 1).mul(255).byte()
        return stored.float().div(255) * 2 - 1
