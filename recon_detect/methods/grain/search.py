"""The search for the grain of a decoder: as the image is, at other scales, and in other places on the decoder's grid.

What is tested more often is believed less (Sidak), so that no further model, scale or place raises the
false-positive rate.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from recon_detect.evidence.texture import BLOCK, DECODER_GRID
from recon_detect.evidence.views import find_view
from recon_detect.methods.deviates import DECISIVE, corrected, pooled
from recon_detect.methods.grain.contrasts import PRIOR, log_errors, standardised
from recon_detect.methods.grain.crops import CROP_SIDE, SCALES, crop
from recon_detect.tensors.tiling import TILED_ABOVE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from recon_detect.evidence import Evidence
    from recon_detect.evidence.texture import Box
    from recon_detect.methods.grain.nulls import Nulls

# Shares of the prior by stage of the search.
SHARES = {"as it is": 0.5, "scales": 0.3, "places": 0.2}
# Other positions on the decoder's grid: moved by a crop, turned, or mirrored.
PLACES = (
    *(f"shift{left},{top}" for top in range(DECODER_GRID) for left in range(DECODER_GRID) if left or top),
    *("rot90", "rot180", "rot270", "hflip"),
)
# Every place is tried on a part of this side, ...
SMALL = 128
# ... this many of each model again on the whole crop, and the best of them is tested.
PROMISING = 3
# Side of the larger part on which the best trial on `CROP_SIDE` is tested again, where the image is larger.
WIDE = 2 * CROP_SIDE


@dataclass(frozen=True, slots=True)
class Trial:
    """The contrasts of one image by one model at one scale and in one place: z (P) of the poses of `PRIOR`."""

    image: int
    model: int
    z: NDArray[np.float64]
    scale: float
    place: str
    box: Box

    def best_pose(self) -> tuple[float, str]:
        """The higher z, corrected for the share that its pose has of the prior."""
        tested = corrected(self.z, np.array(list(PRIOR.values())))
        return float(tested.max()), list(PRIOR)[tested.argmax()]


class BestTrials:
    """The best trial of each image and model, corrected for all that was tried.

    Attributes:
        z: (B, K) corrected deviates, minus infinity before the first trial.
        trials: The stage and the trial of each image and model.
    """

    def __init__(self, images: int, nulls: Nulls) -> None:
        self.z = np.full((images, len(nulls.rows)), -np.inf)
        self.trials: dict[tuple[int, int], tuple[str, Trial]] = {}
        self._nulls = nulls

    def add(self, stage: str, trial: Trial) -> None:
        """Notes a trial that is the best of its image, its model and one stage of the search."""
        value, _ = trial.best_pose()
        z = corrected(np.array(self._nulls.searched(trial.model, stage, value)), SHARES[stage])
        if z > self.z[trial.image, trial.model]:
            self.z[trial.image, trial.model] = z
            self.trials[trial.image, trial.model] = stage, trial

    def replace(self, trial: Trial) -> None:
        """Puts a trial in place of the best of its image and model, which was made on less of the image."""
        stage, _ = self.trials.pop((trial.image, trial.model))
        self.z[trial.image, trial.model] = -np.inf
        self.add(stage, trial)

    def best(self, image: int) -> Trial:
        """The best trial of one image over all models."""
        return self.trials[image, int(self.z[image].argmax())][1]

    def undecided(self) -> NDArray[np.intp]:
        """The images for which the search goes on."""
        return np.flatnonzero(pooled(self.z) < DECISIVE)


class Crops:
    """The images of one batch and the first crop of each.

    Attributes:
        e: Evidence of the whole images.
        nulls: Null distributions of the models of `e`.
        first: Evidence of the crops as they are, part of which is also examined in other places.
        boxes: Their positions.
    """

    def __init__(self, e: Evidence, nulls: Nulls) -> None:
        self.e = e
        self.nulls = nulls
        part, self.boxes = crop(e.image(), 1.0)
        self.first = e if part.shape == e.image().shape else e.at(part)

    def whole(self, images: NDArray[np.intp]) -> Tensor:
        """Some of the images, whole."""
        return self.e.image()[torch.from_numpy(images)]


def search(e: Evidence, nulls: Nulls) -> BestTrials:
    """Searches the images as they are, then at other scales, then in other places, until it is decided."""
    best = BestTrials(len(e), nulls)
    crops = Crops(e, nulls)
    for stage, trials in STAGES.items():
        images = best.undecided()
        if len(images):
            for trial in trials(crops, images):
                best.add(stage, trial)
            for image in images.tolist():
                confirm(e, nulls, image, best)
    return best


def as_it_is(crops: Crops, images: NDArray[np.intp]) -> Iterator[Trial]:
    """Tries every model on the image as it is."""
    z = standardised(crops.first, crops.nulls, 1.0)
    for image in images.tolist():
        for model, of_poses in enumerate(z[image]):
            yield Trial(image, model, of_poses, 1.0, "identity", crops.boxes[image])


def at_scales(crops: Crops, images: NDArray[np.intp]) -> Iterator[Trial]:
    """Tries every model and scale with two poses, then each model with all poses at its most promising scale."""
    x = crops.whole(images)
    scales = scales_of(x)[1:]
    if not scales:
        return
    parts = [crop(x, scale) for scale in scales]
    scaled = [crops.e.at(part, images.tolist()) for part, _ in parts]
    quick = [
        standardised(e, crops.nulls, scale, ("identity", "shift3,3"))[..., 0]
        for e, scale in zip(scaled, scales, strict=True)
    ]
    chosen = np.stack(quick, axis=2).argmax(axis=2)
    for model, number in itertools.product(range(chosen.shape[1]), range(len(scales))):
        rows = np.flatnonzero(chosen[:, model] == number)
        if len(rows):
            part, boxes = parts[number]
            e = scaled[number] if len(rows) == len(images) else crops.e.at(part[rows], images[rows].tolist())
            z = standardised(e.only(model), crops.nulls.of(model), scales[number])[:, 0]
            for row, of_poses in zip(rows, z, strict=True):
                yield Trial(int(images[row]), model, of_poses, scales[number], "identity", boxes[row])


def in_places(crops: Crops, images: NDArray[np.intp]) -> Iterator[Trial]:
    """Tries every model and place on a small part, the promising on the whole crop, then all poses of each best."""
    x = crops.whole(images)
    side = min(SMALL, (min(x.shape[-2:]) - DECODER_GRID) // DECODER_GRID * DECODER_GRID)
    if side < 2 * BLOCK:
        return
    small, _ = crop(x, 1.0, side + DECODER_GRID)
    groups = together(small_places(small, side))
    errors = torch.cat([part_errors(crops, images, views) for views in groups], dim=2)
    promising = errors.argsort(dim=2)[..., :PROMISING].tolist()
    for row, image in enumerate(images.tolist()):
        here = crops.first.image()[image : image + 1]
        e = crops.e.at(here, [image])
        for model in range(len(e.reconstructors)):
            nulls = crops.nulls.of(model)
            # A mirrored image is common: it is always tried.
            places = list(dict.fromkeys(["hflip", *(PLACES[number] for number in promising[row][model])]))
            place = places[int(log_errors(e.only(model), nulls, places).argmin())]
            z = standardised(crops.e.at(seen_as(place, here), [image]).only(model), nulls, 1.0)
            yield Trial(image, model, z[0, 0], 1.0, place, crops.boxes[image])


STAGES = {"as it is": as_it_is, "scales": at_scales, "places": in_places}


def confirm(e: Evidence, nulls: Nulls, image: int, best: BestTrials) -> None:
    """Makes the best trial of one image again on a larger part, until the best is one that was made on it.

    Nothing new is tested, so there is nothing to correct for: a trial on `CROP_SIDE` only chooses the one on `WIDE`.
    """
    x = e.image()[image : image + 1]
    while pooled(best.z[[image]])[0] > 0:
        trial = best.best(image)
        part, (box,) = crop(x, trial.scale, WIDE)
        if box == trial.box:
            return
        wide = e.at(seen_as(trial.place, part), [image])
        z = standardised(wide.only(trial.model), nulls.of(trial.model), trial.scale)
        best.replace(dataclasses.replace(trial, z=z[0, 0], box=box))


def together(views: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Groups views of one size, as many at a time as have the pixels of one crop, or fill a GPU."""
    group: list[Tensor] = []
    for view in views:
        group.append(view)
        pixels = len(group) * view[:, 0].numel()
        if pixels + view[:, 0].numel() > (TILED_ABOVE if view.is_cuda else CROP_SIDE**2):
            yield group
            group = []
    if group:
        yield group


def part_errors(crops: Crops, images: NDArray[np.intp], views: Sequence[Tensor]) -> Tensor:
    """The log errors (B, K, V) of V views of B images."""
    e = crops.e.at(torch.cat(list(views)), images.tolist() * len(views))
    errors = log_errors(e, crops.nulls, ("identity",))[..., 0]
    return torch.stack(torch.split(errors, len(images)), dim=2)


def small_places(x: Tensor, side: int) -> Iterator[Tensor]:
    """The images in each of `PLACES`, (B, 3, side, side)."""
    for place in PLACES:
        moved = place.startswith("shift")
        yield find_view(place)(x if moved else x[..., :side, :side])[..., :side, :side]


def seen_as(place: str, x: Tensor) -> Tensor:
    """The images in a place, of whole periods of the grid."""
    view = find_view(place)(x)
    height, width = (side // DECODER_GRID * DECODER_GRID for side in view.shape[-2:])
    return view[..., :height, :width]


def scales_of(x: Tensor) -> list[float]:
    """The scales at which images of this size are looked at: all but those that leave less than a few blocks."""
    return [scale for scale in SCALES if scale == 1 or min(x.shape[-2:]) * scale >= 2 * BLOCK]
