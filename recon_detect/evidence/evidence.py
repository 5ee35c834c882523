"""Evidence: what a method may ask of one batch of images. Each thing is computed once, when first asked for."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from recon_detect.errors import NumericalError, UnknownName, UsageError
from recon_detect.evidence.distances import Distances, Of
from recon_detect.evidence.keys import ImageKey, Pass
from recon_detect.evidence.views import find_view
from recon_detect.models.pixel_diffusion import DiffusionReconstructor
from recon_detect.tensors.devices import sum_dtype
from recon_detect.tensors.filters import reflect_pad
from recon_detect.tensors.tiling import TILED_ABOVE, is_large

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.models.backbones import Backbone
    from recon_detect.models.dire_classifier import DireClassifier
    from recon_detect.models.loading import Models
    from recon_detect.models.lpips import Features
    from recon_detect.models.reconstructor import Reconstructor

# The view of a model in which it sees images of the size that it was trained on; of autoencoders the image as it is.
TRAINED = "trained"


class Evidence:
    """Reconstructions and errors of one batch, computed on demand and remembered.

    A method never loops, loads or moves anything: it asks for `error`, `error_map`, `reconstruction` or `similarity`.

    Args:
        x: Images (B, 3, H, W), float32, RGB, in [-1, 1], on the device of the models.
        models: The networks; the first of their distances is the default.

    Attributes:
        reconstructors: The K autoencoders, or diffusion models of pixels, in the order of columns.
        backbones: The networks that embed images.
        distance: Name of the distance that is taken where none is named.
        retried: Pairs (position in the batch, model name) of reconstructions that were not finite in low precision
            and were repeated in float32.
    """

    def __init__(self, x: Tensor, models: Models) -> None:
        self.models = models
        self.reconstructors = models.reconstructors
        self.backbones = models.backbones
        self.distances = Distances(models.distances, models.lpips)
        self.distance = models.distances[0] if models.distances else ""
        self.retried: set[tuple[int, str]] = set()
        # Reconstructors with equal tensors have one key and are run once: the first of them.
        self._by_key = {model.key: model for model in reversed(models.reconstructors)}
        self._start(x, range(len(x)))

    def _start(self, x: Tensor, positions: Sequence[int]) -> None:
        """Forgets everything and begins with other images; `positions` are those of `retried`."""
        self._original = x
        self._positions = tuple(positions)
        self._images: dict[ImageKey, Tensor] = {}
        self._latents: dict[tuple[ImageKey, str], Tensor] = {}
        self._encoder_features: dict[tuple[ImageKey, str], Tensor] = {}
        self._lpips_features: dict[ImageKey, dict[str, Features]] = {}
        self._maps: dict[ImageKey, dict[str, Tensor]] = {}
        self._embeddings: dict[tuple[str, str, int | None], Tensor] = {}

    def __len__(self) -> int:
        return self._original.shape[0]

    @property
    def classifier(self) -> DireClassifier:
        """The trained classifier, of methods that need one."""
        if self.models.classifier is None:
            raise UsageError("this method has no classifier: declare Need.CLASSIFIER in its needs")
        return self.models.classifier

    def at(self, x: Tensor, positions: Sequence[int] | None = None) -> Evidence:
        """The evidence of other images (B', 3, H', W') by the same models, such as parts of these images.

        Args:
            x: The other images.
            positions: (B',) which image of this batch each is made of. None: as many as this batch has, in its order,
                or a whole number of times as many.
        """
        if positions is None:
            if len(x) % len(self):
                raise UsageError(f"{len(x)} images of a batch of {len(self)}: give their positions in it")
            positions = list(range(len(self))) * (len(x) // len(self))
        other = copy.copy(self)
        other._start(x, [self._positions[position] for position in positions])
        return other

    def only(self, model: int) -> Evidence:
        """The same evidence, of one model."""
        return self.using(self.distance, [self.reconstructors[model].name])

    def using(self, distance: str, models: Sequence[str]) -> Evidence:
        """The same evidence as one method sees it: with its default distance, and the models of these names.

        What is computed through it is remembered for all.
        """
        seen = copy.copy(self)
        seen.distance = distance
        by_name = {model.name: model for model in self.models.reconstructors}
        seen.reconstructors = tuple(by_name[name] for name in models if name in by_name)
        seen.backbones = tuple(backbone for backbone in self.models.backbones if backbone.name in models)
        return seen

    def error(
        self, distance: str | None = None, *, view: str = "identity", passes: int = 1, deep: bool = False
    ) -> Tensor:
        """Mean of the error map of each image and model: (B, K), float64.

        Args:
            distance: Name of a distance of this run; None takes the method's.
            view: Which view of the images is reconstructed and compared.
            passes: 1 compares the image with its reconstruction, 2 the reconstruction with its own, and so on.
            deep: Whether the latents are inverted and sampled back by the diffusion model that the autoencoder belongs
                to, of methods that need `Need.DENOISERS`.
        """
        columns = [
            self._mean(self.error_map(model, distance, view=view, passes=passes, deep=deep))
            for model in range(len(self.reconstructors))
        ]
        return torch.stack(columns, dim=1)

    def errors(self, views: Sequence[str], distance: str | None = None) -> Tensor:
        """The errors of several views, which go through the networks together where they have one size: (V, B, K)."""
        for model in self.reconstructors:
            keys = [self._key(model, view, 1) for view in dict.fromkeys(views)]
            missing = [key.before for key in keys if key not in self._images]
            for group in self._of_one_size(missing):
                self._reconstruct(group, Pass(model.key))
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
        key = self._key(self.reconstructors[model], view, passes, deep=deep)
        name = distance or self.distance
        if name not in self.distances.rows:
            raise UnknownName("distance of this run", name, self.distances.names)
        maps = self._maps.setdefault(key, {})
        if name not in maps:
            compared = self.distances.rows[name].of
            if compared is Of.LATENTS:
                maps[name] = self._latent_map(key, name)
            elif compared is Of.FEATURES:
                maps[name] = self._feature_map(key, name)
            else:
                maps.update(self._compare(key, self.distances.computed_with(name)))
        return maps[name]

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
        """Error (B, K) of the noise that each diffusion model predicts, as mean squares.

        That of an autoencoder is given its latents, one of pixels the image at the size that it was trained on.

        Args:
            latent_view: Which view of the latents, not of the image, is given noise.
            time: Between 0, no noise, and 1.
            draws: Noises that are averaged over.
        """
        columns = []
        for model in self.reconstructors:
            if isinstance(model, DiffusionReconstructor):
                x, predictor = self._image(self._key(model, TRAINED, 0)), model
                columns.append(predictor.noise_error(find_view(latent_view)(x), time=time, draws=draws))
            else:
                latents = self._encode([ImageKey("identity")], self._by_key[model.key])
                denoiser = self.models.denoisers[model.name]
                columns.append(denoiser.noise_error(find_view(latent_view)(latents), time=time, draws=draws))
        return torch.stack(columns, dim=1)

    def step_error(self, step: int) -> Tensor:
        """Change (B, K) by one step of each diffusion model of pixels there and back, as mean squares.

        Args:
            step: Number of steps of inversion before, of the image at the size that the model was trained on.

        Raises:
            UsageError: An autoencoder has no steps.
        """
        columns = []
        for model in self.reconstructors:
            if not isinstance(model, DiffusionReconstructor):
                raise UsageError(
                    f"{model.name} is an autoencoder; this method needs a diffusion model of pixels (UNet2DModel)"
                )
            columns.append(model.step_error(self._image(self._key(model, TRAINED, 0)), step))
        return torch.stack(columns, dim=1)

    def image(self, view: str = "identity") -> Tensor:
        """The images (B, 3, H, W) in [-1, 1], as a view shows them."""
        return self._image(ImageKey(view))

    def reconstruction(self, model: int, *, view: str = "identity", passes: int = 1) -> Tensor:
        """Reconstruction (B, 3, H, W) in [-1, 1] of a view by one model, `passes` times over; 0 gives the view itself.

        Sides that are no multiple of the model's factor are padded by reflection at the right and the bottom, so that
        the image keeps its place on the grid, and cropped back.
        """
        return self._image(self._key(self.reconstructors[model], view, passes))

    def _key(self, model: Reconstructor, view: str, passes: int, *, deep: bool = False) -> ImageKey:
        return ImageKey(model.view if view == TRAINED else view, (Pass(model.key, deep),) * passes)

    def _image(self, key: ImageKey) -> Tensor:
        if key not in self._images:
            if key.passes:
                self._reconstruct([key.before], key.passes[-1])
            else:
                self._images[key] = find_view(key.view)(self._original)
        return self._images[key]

    def _embedding(self, backbone: Backbone, view: str, tile: int | None) -> Tensor:
        """Embeddings (B, T, D) of the T tiles of a view."""
        key = (backbone.name, view, tile)
        if key not in self._embeddings:
            x = self.image(view)
            side = tile or x.shape[-1]
            tiles = x.unfold(2, side, side).unfold(3, side, side).permute(0, 2, 3, 1, 4, 5)
            embedded = backbone.embed(tiles.reshape(-1, 3, side, side))
            self._embeddings[key] = embedded.view(len(self), -1, embedded.shape[1])
        return self._embeddings[key]

    def _of_one_size(self, keys: Sequence[ImageKey]) -> list[list[ImageKey]]:
        """Views to be computed together: of one size, and no more than fill the device."""
        groups: dict[object, list[ImageKey]] = {}
        for key in keys:
            groups.setdefault(self._image(key).shape, []).append(key)
        together = max(TILED_ABOVE // (self._original.numel() // 3), 1)
        return [
            group[start : start + together] for group in groups.values() for start in range(0, len(group), together)
        ]

    def _mean(self, maps: Tensor) -> Tensor:
        """Mean (B,) of error maps."""
        return maps.mean(dim=(1, 2, 3), dtype=sum_dtype(self._original.device))

    def _compare(self, key: ImageKey, names: Sequence[str]) -> dict[str, Tensor]:
        """The error maps of an image and what its last pass was given, by some distances of pixels and LPIPS."""
        result, reference = self._image(key), key.before
        x = self._image(reference)
        if self.distances.tiled and is_large(x):
            return self.distances.maps_in_tiles(x, result, names)
        remembered = self._lpips_features.setdefault(reference, {})
        for net in self.distances.nets(names):
            if net not in remembered:
                remembered[net] = self.distances.features(x, net)
        features = {net: self.distances.features(result, net) for net in self.distances.nets(names)}
        return self.distances.maps(x, result, remembered, features, names)

    def _latent_map(self, key: ImageKey, name: str) -> Tensor:
        """The latents of an image compared with those of what its last pass was given: (B, 1, h, w)."""
        model, compare = self._by_key[key.passes[-1].model], self.distances.rows[name].function
        assert compare is not None
        self._image(key)
        return compare(*(self._encode([part], model).float() for part in (key.before, key)))

    def _feature_map(self, key: ImageKey, name: str) -> Tensor:
        """The encoder's early features of an image compared with those of what its last pass was given."""
        model, compare = self._by_key[key.passes[-1].model], self.distances.rows[name].function
        assert compare is not None
        height, width = self._image(key).shape[-2:]
        before, after = (self._padded([part], model) for part in (key.before, key))
        # Asked for once: the map is remembered.
        features = self._encoder_features.pop((key.before, model.encoder_key), None)
        # Half the size of the image, rounded up: without what was padded.
        return model.feature_map(compare, before, after, features)[..., : -(-height // 2), : -(-width // 2)]

    def _reconstruct(self, parents: Sequence[ImageKey], step: Pass) -> None:
        """Remembers the reconstructions of images of one size by one pass."""
        model = self._by_key[step.model]
        height, width = self._image(parents[0]).shape[-2:]
        latents = self._encode(parents, model)
        if step.deep:
            latents = self.models.denoisers[model.name].reconstruct(latents)
        decoded = model.decode(latents)
        finite = decoded.isfinite().flatten(1).all(dim=1)
        if not bool(finite.all()):
            decoded = self._repeat(decoded.float(), parents, finite, model)
        finished = self._finish(decoded[..., :height, :width])
        for parent, part in zip(parents, torch.split(finished, len(self)), strict=True):
            self._images[parent.through(step)] = part

    def _padded(self, keys: Sequence[ImageKey], model: Reconstructor) -> Tensor:
        """Images of one size, one after another, with sides that are multiples of the model's factor."""
        image = torch.cat([self._image(key) for key in keys])
        height, width = image.shape[-2:]
        return reflect_pad(image, right=-width % model.factor, bottom=-height % model.factor)

    def _encode(self, images: Sequence[ImageKey], model: Reconstructor) -> Tensor:
        """The latents of images of one size, one after another."""
        keys = [(image, model.encoder_key) for image in images]
        if not all(key in self._latents for key in keys):
            latents, features = self._encoded(self._padded(images, model), model)
            self._latents.update(zip(keys, torch.split(latents, len(self)), strict=True))
            if features is not None:
                self._encoder_features.update(zip(keys, torch.split(features, len(self)), strict=True))
        return torch.cat([self._latents[key] for key in keys])

    def _encoded(self, x: Tensor, model: Reconstructor, *, precise: bool = False) -> tuple[Tensor, Tensor | None]:
        """Latents, and the encoder's features where a distance of the run compares them."""
        if any(row.of is Of.FEATURES for row in self.distances.rows.values()) and not precise:
            return model.encode_features(x)
        return model.encode(x, precise=precise), None

    def _repeat(self, decoded: Tensor, parents: Sequence[ImageKey], finite: Tensor, model: Reconstructor) -> Tensor:
        """Repeats in float32 what overflowed in low precision. Noise, where any is drawn, is drawn anew."""
        bad = (~finite).nonzero().flatten()
        if model.low_precision:
            latents, _ = self._encoded(self._padded(parents, model)[bad], model, precise=True)
            decoded[bad] = model.decode(latents, precise=True).float()
            self.retried.update((self._positions[int(number) % len(self)], model.name) for number in bad)
        if not bool(decoded[bad].isfinite().all()):
            raise NumericalError(f"the reconstruction by {model.name} is not finite in float32")
        return decoded

    def _finish(self, decoded: Tensor) -> Tensor:
        """Image that a decoder gave."""
        return decoded.float().clamp_(-1, 1)
