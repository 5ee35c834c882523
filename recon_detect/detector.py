"""The main path: images to batches, batches to evidence, evidence to scores."""

from __future__ import annotations

import copy
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

import numpy as np
import torch
from tqdm.auto import tqdm

from recon_detect.answers import answer_of
from recon_detect.calibration import Calibration, calibrate, drift, is_fitted_to
from recon_detect.calibration.drift import Sample
from recon_detect.calibration.fit import fitting_of
from recon_detect.engine.loader import Item
from recon_detect.engine.memory import BatchSizer
from recon_detect.engine.run import run
from recon_detect.errors import UsageError
from recon_detect.evidence import TRAINED, Evidence, Noise, PublishedEvidence
from recon_detect.evidence.distances import Distances
from recon_detect.images import Source, as_sources
from recon_detect.images.augment import augmented
from recon_detect.methods import DEFAULT_METHOD, Method, Need, find_methods
from recon_detect.methods.bound import BoundMethod, bind
from recon_detect.methods.loading import find_models
from recon_detect.models.loading import load_models
from recon_detect.models.weights import current_lookup, looking_among
from recon_detect.output.copies import Seen
from recon_detect.pickling import Recipe
from recon_detect.results import Reconstruction, Row, RunInfo
from recon_detect.rows import error_row, rows_of
from recon_detect.score_result import ScoreResult
from recon_detect.settings import DEFAULTS, DetectorOptions, FittingOptions, Settings, SettingsOptions, check_options
from recon_detect.tensors.devices import convolutions, find_device, keep_freed_memory, versions

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.images.picture import ImageLike
    from recon_detect.models.own import EncoderDecoder
    from recon_detect.output import Journal

    Images: TypeAlias = ImageLike | Source | Iterable[ImageLike | Source]
    Model: TypeAlias = str | Path | EncoderDecoder

log = logging.getLogger(__name__)


def load_detector(
    method: str | Method | Sequence[str | Method] = DEFAULT_METHOD,
    *,
    models: Model | Sequence[Model] | None = None,
    distance: str | None = None,
    device: str | None = DEFAULTS.device,
    dtype: str = DEFAULTS.dtype,
    compat: str | None = None,
    **options: Unpack[SettingsOptions],
) -> Detector:
    """Loads a detector: weights are found on this machine, or fetched from the hub and checked.

    Args:
        method: A name, see `recon-detect methods list`; ``"default"`` is `trace`. Or a method of your own: a
            `Method`, ``"module:NAME"`` or ``"path/to/file.py:NAME"``, whose code is then run. Several share one pass:
            what two of them need is computed once; the first decides `ScoreResult.scores`.
        models: Names from the registry or of its sets (``"embedded"``, ``"tiny"``), folders in diffusers' format, or
            hub ids ``owner/name[:subfolder][@revision]``; an `EncoderDecoder` of your own, or the place of one,
            ``"path/to/file.py:NAME"``; and a file of ``nulls fit`` or ``grid fit``. None takes each method's own.
        distance: How image and reconstruction are compared, such as ``"lpips_vgg_2"`` or ``"l2"``. None takes each
            method's own.
        device: ``"cuda"``, ``"mps"``, ``"cpu"``; None takes the first that is there. A device that is named and
            missing is an error.
        dtype: ``"auto"`` is float32 on the CPU, by the engine that is fastest there, and each model's policy on a GPU.
            ``"float32"`` is torch everywhere.
        compat: ``"published"`` reproduces the numbers of the authors' scripts (docs/methods/aeroblade.md).
        **options: Further fields of `Settings`, such as ``batch_size``.

    Raises:
        UsageError: An unknown name or option.
        WeightsError: Weights are missing or not what their checksum says.
        DeviceError: The named device is not there.
    """
    check_options(options, DetectorOptions)
    settings = Settings(device=device, dtype=dtype, **options)
    names, modules = find_models(models)
    methods = find_methods(method)
    _check(methods, distance, compat)
    if compat:
        # The scripts open images with convert("RGB"), and process one at a time because the noise depends on the order.
        settings = replace(settings, batch_size=1, alpha="drop", exif_orientation=False)
    with looking_among(modules):
        bound = [bind(chosen, names, distance, compat, settings.effort) for chosen in methods]
        return Detector(bound, compat, settings)


def _check(methods: Sequence[Method], distance: str | None, compat: str | None) -> None:
    """Checks that a distance and a mode are those of the methods."""
    if distance and not any(chosen.takes_distance for chosen in methods):
        raise UsageError(f"{methods[0].name} compares in a way of its own: leave out distance={distance!r}")
    if compat not in (None, "published") or (compat and (len(methods) > 1 or not methods[0].published_models)):
        raise UsageError(f"compat={compat!r}: expected None, or 'published' for one method that has it")


class Detector:
    """Scores images. Made by `load_detector`; safe to use for many calls, from one thread at a time."""

    def __init__(self, methods: Sequence[BoundMethod], compat: str | None, settings: Settings) -> None:
        self.methods = tuple(methods)
        self._lookup = current_lookup()
        self.calibration: Calibration | None = None
        self.device = find_device(settings.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.models = load_models(self.methods, settings, self.device, published=bool(compat))
        self.settings = self._reading = settings
        if all(Need.TRAINED_SIZE in bound.method.needs for bound in self.methods):
            # Brought to that size before they are batched, images of any size fill a batch.
            self._reading = replace(settings, middle_square=settings.middle_square or self.models.side)
        tiled = Distances(self.models.distances, self.models.lpips).tiled
        self._sizer = BatchSizer(self.device, self.models.reconstructors, settings.batch_size, tiled=tiled)
        self.run_info = RunInfo(
            methods=tuple(bound.info() for bound in self.methods),
            compat=compat,
            models=self.models.info(),
            device=str(self.device),
            exif_orientation=settings.exif_orientation,
            alpha=settings.alpha,
            middle_square=settings.middle_square,
            seed=settings.seed if compat else None,
            versions=versions(),
            inversion=settings.inversion if self.models.invert else None,
            mode=settings.mode,
            threshold=settings.threshold,
            provenance=settings.provenance,
        )

    def __copy__(self) -> Detector:
        """Makes another detector with the same networks."""
        other = object.__new__(Detector)
        other.__dict__ |= self.__dict__
        return other

    def __reduce__(self) -> tuple[Callable[[Recipe], Detector], tuple[Recipe]]:
        """Pickles, and copies deeply, what it is made of; the weights are loaded again."""
        recipe = Recipe(self.methods, self.settings, self.calibration, self._lookup, self.run_info)
        return _load_again, (recipe,)

    def score(self, images: Images, *, maps: bool = False, progress: bool | None = None) -> ScoreResult:
        """Scores one image or many.

        Args:
            images: One or many of: path to an image, folder, glob, list file or manifest; encoded bytes; Pillow image;
                array (H, W[, C]) of uint8, uint16 or floats in [0, 1]; tensor (3, H, W) likewise, or (B, 3, H, W).
            maps: Keep the heat map of each image, by the first method: mostly its error map.
            progress: Show a progress bar on stderr; None shows it on a terminal.

        Returns:
            Rows in input order. An image that fails has a row with an error and the score NaN.
        """
        rows = tuple(self.run(list(as_sources(images)), maps=maps, progress=progress))
        return ScoreResult(rows, self.run_info, drift(self.calibration, rows) if self.calibration else None)

    def __call__(self, images: Images, *, progress: bool | None = None) -> list[Any]:
        """Labels images as a pipeline of transformers for image classification does.

        Args:
            images: One image, or a list or tuple of images; see `score`.
            progress: Show a progress bar on stderr; None shows it on a terminal.

        Returns:
            ``[{"label": ..., "score": ...}]`` for one image, and a list of these for several. The label is the kind of
            the answer, one of `answers.KINDS`; the score is that of the first method and no probability: higher means
            more likely generated, NaN of an image with the label ``"error"``.

        Raises:
            UsageError: What is given as one image is several, such as a folder.
        """
        labels = self.score(images, progress=progress).labels
        if isinstance(images, list | tuple):
            return labels
        if len(labels) != 1:
            raise UsageError(f"expected one image or a list of images; got {len(labels)} images: use score()")
        return labels[0]

    def __repr__(self) -> str:
        return f"Detector({self.run_info.in_short})"

    def run(
        self, images: Images, journal: Journal | None = None, *, maps: bool = False, progress: bool | None = None
    ) -> Generator[Row, None, None]:
        """Scores images row by row, into a journal that an earlier start may have filled in part.

        Logs a warning at the end where the images are not like the photographs of the calibration.

        Args:
            images: See `score`; read lazily, so that they need not fit into memory.
            journal: Where each row is written before it is yielded.
            maps: Keep the error map of each image that is scored now.
            progress: Show a progress bar on stderr; None shows it on a terminal.

        Yields:
            A row for each image in input order, of the journal where that has it already. Closing the iterator cancels
            what is not computed yet.
        """
        sample = Sample()
        with closing(self._missing(images, journal, maps)) as rows, _bar(images, progress) as bar:
            for row in rows:
                sample.add(row)
                bar.update()
                yield row
        difference = drift(self.calibration, sample.rows) if self.calibration else None
        for warning in difference.warnings if difference else ():
            log.warning("%s", warning)

    def _missing(self, images: Images, journal: Journal | None, maps: bool) -> Generator[Row, None, None]:
        """Rows in input order: those of the journal, and those that it lacks, which are scored and go there."""
        waiting: deque[str] = deque()
        seen = Seen()
        index = 0

        def missing() -> Iterator[Source]:
            for source in as_sources(images):
                waiting.append(source.id)
                if journal is None or journal.lacks(source):
                    yield source

        with closing(self._scored(missing(), maps)) as scored:
            for row in scored:
                while journal and waiting[0] != row.path:
                    yield seen.noted(journal.row(waiting.popleft(), index))
                    index += 1
                waiting.popleft()
                row = seen.noted(replace(row, index=index))
                if journal:
                    journal.add(row)
                index += 1
                yield row
        if journal:
            yield from (seen.noted(journal.row(name, place)) for place, name in enumerate(waiting, start=index))

    def stream(self, images: Images, *, maps: bool = False) -> Generator[Row, None, None]:
        """Scores like `score`, row by row as they are ready, for inputs that do not fit into memory.

        Rows come in input order. Closing the iterator cancels what is not computed yet.
        """
        seen = Seen()
        with closing(self._scored(images, maps)) as scored:
            yield from map(seen.noted, scored)

    def _scored(self, images: Images, maps: bool) -> Generator[Row, None, None]:
        """Rows of images in input order, each by itself."""
        first = self.methods[0].method
        if maps and not first.has_map:
            raise UsageError(f"{first.name} has no error map: put a method that reconstructs, or grid, first")
        generators = None
        if self.run_info.compat:
            # One generator per autoencoder and call, consumed image after image: a score depends on the files before.
            generators = [torch.Generator().manual_seed(self.settings.seed) for _ in self.models.reconstructors]

        def compute(x: Tensor, items: Sequence[Item]) -> list[Row]:
            noise = [partial(_noise, g) for g in generators] if generators else None
            with convolutions(self.device, self.settings.dtype):
                return rows_of(self.methods, self.evidence(x, noise=noise), items, maps=maps)

        with closing(run(as_sources(images), compute, self._reading, self.device, self._sizer)) as outcomes:
            for outcome in outcomes:
                row = outcome.result if outcome.result is not None else error_row(outcome.item, outcome.error)
                if self.settings.provenance:
                    row = replace(row, claims=self._claims(outcome.item))
                row = replace(row, verdict=self.calibration.judge(row) if self.calibration else None)
                yield replace(row, answer=answer_of(row, self.run_info))

    def _claims(self, item: Item) -> dict[str, Any] | None:
        """JSON values of what the file of an image says of itself; None of an image that is no file."""
        from recon_detect.claims.reading import claims_of

        pixels = item.picture.bytes() if item.picture and not self._reading.middle_square else None
        claims = claims_of(item.source.image, pixels=pixels, settings=self._reading)
        return claims.to_dict() if claims else None

    def calibrate(
        self,
        real: Images,
        generated: Images | Mapping[str | None, Images] = (),
        *,
        augment: int = 0,
        journal: Journal | None = None,
        progress: bool | None = None,
        **options: Unpack[FittingOptions],
    ) -> Calibration:
        """Makes a calibration from photographs, and perhaps generated images.

        Args:
            real: Photographs like those that will be judged; see `score`.
            generated: Generated images, for probabilities, classifiers and the verdict "likely real"; by the name of
                their generator, to have generators told apart.
            augment: Changed copies of each image that a combination is fitted to (`recon_detect.images.augment`).
            journal: Where each row is written; images whose rows it has already are not scored again.
            progress: Show progress bars on stderr; None shows them on a terminal.
            **options: Fields of `recon_detect.settings.Fitting`, such as ``fpr`` and ``combine``.

        Raises:
            UsageError: Options that cannot be right, or no photographs with scores.
        """
        fitting = fitting_of(**options)
        by_generator = generated if isinstance(generated, Mapping) else {None: generated}
        rows: list[Row] = []
        for label, name, images in [("real", None, real), *(("generated", *kind) for kind in by_generator.items())]:
            again = list(images) if isinstance(images, Iterator) else images
            scored = [*self._labelled(again, label, journal, progress)]
            if augment and fitting.combine:
                chosen = {row.path for row in scored if is_fitted_to(row, fitting.fit_share)}
                originals = (source for source in as_sources(again) if source.id in chosen)
                copies = augmented(originals, augment, self._reading)
                scored += self._labelled(copies, label, journal, progress)
            rows += [replace(row, generator=name) for row in scored]
        pixel_models = {model.name for model in self.models.reconstructors if model.side}
        return calibrate(rows, self.run_info, pixel_models=pixel_models, **options)

    def _labelled(
        self, images: Images, label: str, journal: Journal | None, progress: bool | None
    ) -> Generator[Row, None, None]:
        """Rows of images of one class: those that there are already, and the others, which go to the journal."""
        there: list[Row] = []

        def missing() -> Iterator[Source]:
            for source in as_sources(images):
                if journal is None or journal.lacks(source):
                    yield source
                else:
                    there.append(journal.row(source.id))

        with closing(self._scored(missing(), maps=False)) as scored, _bar(images, progress) as bar:
            for row in scored:
                labelled = replace(row, label=label)
                if journal:
                    journal.add(labelled)
                bar.update()
                yield labelled
            bar.update(len(there))
        yield from (replace(row, label=label) for row in there)

    def with_calibration(self, calibration: Calibration) -> Detector:
        """Makes a detector with the same networks, whose rows have a `verdict`.

        Raises:
            CalibrationError: The calibration is of another detector.
        """
        calibration.check(self.run_info)
        judging = copy.copy(self)
        judging.calibration = calibration
        judging.run_info = replace(self.run_info, calibration=calibration.digest)
        return judging

    def reconstruct(self, images: Images) -> Generator[Reconstruction, None, None]:
        """Reconstructs each image by the first model, in input order; for people who train on reconstructions.

        A diffusion model of pixels sees the middle square at its own size, an autoencoder the image as it is.
        """

        def compute(x: Tensor, items: Sequence[Item]) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
            batch = self.evidence(x)
            before, after = (batch.reconstruction(0, view=TRAINED, passes=passes).cpu().numpy() for passes in (0, 1))
            return list(zip(before, after, strict=True))

        with closing(run(as_sources(images), compute, self._reading, self.device, self._sizer)) as outcomes:
            for outcome in outcomes:
                image, after = outcome.result or (None, None)
                error = f"{type(outcome.error).__name__}: {outcome.error}" if outcome.error else None
                yield Reconstruction(outcome.item.source.id, image, after, error)

    def evidence(self, x: Tensor, *, noise: Sequence[Noise] | None = None) -> Evidence:
        """The evidence of a batch (B, 3, H, W) in [-1, 1] on the detector's device: for research and new methods."""
        return PublishedEvidence(x, self.models, noise) if noise else Evidence(x, self.models)


def _load_again(recipe: Recipe) -> Detector:
    """Loads a detector that was pickled; see `Recipe`."""
    with recipe.looking():
        detector = Detector(recipe.methods, recipe.run.compat, recipe.settings)
    recipe.check(detector.run_info)
    return detector.with_calibration(recipe.calibration) if recipe.calibration else detector


def _bar(images: Images, progress: bool | None) -> tqdm[Any]:
    """A progress bar, with a total where images are counted already."""
    several = isinstance(images, Sized) and not isinstance(images, str | bytes) and not hasattr(images, "ndim")
    total = len(images) if several and isinstance(images, Sized) else None
    return tqdm(total=total, unit="image", disable=None if progress is None else not progress)


def _noise(generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=generator)
