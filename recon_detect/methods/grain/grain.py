"""Grain: whether the grain of a decoder is in the image, of which one, in which pose, scale and phase. Our own.

A contrast (see `contrast`) tells whether an image is reconstructed better in one pose than in others. Here it is asked
of every model of a pool, and, where the image as it is does not answer, of the image brought back to other sizes,
turned, and moved on the decoder's grid, each held against its distribution over photographs. What is tested more often
is believed less (Sidak), so that no further model, scale or phase raises the false-positive rate.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import log_ndtr, ndtri_exp

from recon_detect.evidence.texture import BLOCK, block_means, textured_blocks
from recon_detect.evidence.views import find_view
from recon_detect.methods.grain.crops import GRID, SCALES, SIDE, look
from recon_detect.methods.grain.nulls import Contrasts, Nulls
from recon_detect.methods.method import Finding, Method
from recon_detect.models.registry import family_of
from recon_detect.tensors.tiling import TILED_ABOVE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from recon_detect.evidence import Evidence
    from recon_detect.methods.grain.crops import Box

# The poses that are compared: mirrored, and moved by odd numbers of pixels, off the grids of 8, 4 and 2 pixels on which
# the decoders write. A move by 4 would be half on the grid of FLUX.1 and SD3 (docs/methods/grain.md, figure) ...
POSES = ("identity", "hflip", "shift3,3", "shift5,5", "shift3,5")
# ... and those of them in which a grain is looked for: as the image is, or mirrored, each with its share of the prior.
PRIOR = {"identity": 0.8, "hflip": 0.2}
# Added to an error before its logarithm: below it, in smooth images, a contrast is noise.
FLOOR = 0.003
# How the prior is shared out among the stages of the search.
SHARES = {"as it is": 0.5, "scales": 0.3, "places": 0.2}
# How else the image may lie on the decoder's grid: moved by a crop, turned, or mirrored.
PLACES = (
    *(f"shift{left},{top}" for top in range(GRID) for left in range(GRID) if left or top),
    *("rot90", "rot180", "rot270", "hflip"),
)
# Every place is tried on a part of this side, ...
SMALL = 128
# ... so many of each model again on the whole look, and the best of them is tested.
PROMISING = 3
# Side of the larger part on which what was found on `SIDE` is tested again, where the image has more to show.
WIDE = 2 * SIDE
# Images with fewer textured blocks tell nothing.
ENOUGH = 4
# Beyond this many standard deviations what was found decides, and nothing else is looked for.
DECISIVE = 3.0
# One photograph in a hundred is beyond it: what was found is worth telling in words.
REMARKABLE = 2.33


@dataclass(frozen=True, slots=True)
class Trial:
    """What one model says about one image at one scale and in one place: z (P) of the poses of `PRIOR`."""

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


class Tests:
    """The best trial of each image and model, corrected for all that was tried."""

    def __init__(self, images: int, nulls: Nulls) -> None:
        self.z = np.full((images, len(nulls.rows)), -np.inf)
        self.found: dict[tuple[int, int], tuple[str, Trial]] = {}
        self._nulls = nulls

    def add(self, stage: str, trial: Trial) -> None:
        """Notes a trial that is the best of its image, its model and one stage of the search."""
        value, _ = trial.best_pose()
        z = corrected(np.array(self._nulls.searched(trial.model, stage, value)), SHARES[stage])
        if z > self.z[trial.image, trial.model]:
            self.z[trial.image, trial.model] = z
            self.found[trial.image, trial.model] = stage, trial

    def replace(self, trial: Trial) -> None:
        """Puts a trial in place of the best of its image and model, which was made on less of the image."""
        stage, _ = self.found.pop((trial.image, trial.model))
        self.z[trial.image, trial.model] = -np.inf
        self.add(stage, trial)

    def undecided(self) -> NDArray[np.intp]:
        """The images that need a further look."""
        return np.flatnonzero(pooled(self.z) < DECISIVE)


class Looks:
    """The images of one batch, and the first look at them, part of which is also looked at in other places."""

    def __init__(self, e: Evidence) -> None:
        self.e = e
        part, self.boxes = look(e.image(), 1.0)
        self.first = e if part.shape == e.image().shape else e.at(part)

    def of(self, images: NDArray[np.intp]) -> Tensor:
        """Some of the images."""
        return self.e.image()[torch.from_numpy(images)]


def grain(e: Evidence) -> Finding:
    """The most surprising contrast of all models, poses, scales and places, corrected for their number.

    High means generated. In standard deviations of photographs: one photograph in forty reaches 2, one in seven hundred
    3. An image with too little texture gets 0, what a photograph gets.
    """
    enough = (textured_blocks(e.image()) >= ENOUGH).cpu().numpy()
    per_model = np.zeros((len(e), len(e.autoencoders)))
    details: list[dict[str, Any]] = [{} for _ in range(len(e))]
    if enough.any():
        tests = search(e if enough.all() else e.at(e.image()[torch.from_numpy(enough)]))
        per_model[enough] = tests.z
        for row, image in enumerate(np.flatnonzero(enough)):
            details[image] = describe(e, tests, row)
    score = np.where(enough, pooled(per_model), 0.0)
    remarks = [in_words(value, found) for value, found in zip(score.tolist(), details, strict=True)]
    return Finding(per_model, score, details, remarks)


def search(e: Evidence) -> Tests:
    """Looks at the images as they are, then at other scales, then in other places, until it is decided."""
    tests = Tests(len(e), e.nulls)
    looks = Looks(e)
    for stage, further in STAGES.items():
        images = tests.undecided()
        if len(images):
            for trial in further(looks, images):
                tests.add(stage, trial)
            for image in images.tolist():
                look_wider(e, image, tests)
    return tests


def look_as_it_is(looks: Looks, images: NDArray[np.intp]) -> Iterator[Trial]:
    """Every model on the image as it is."""
    z = standardised(looks.first, 1.0)
    for image in images.tolist():
        for model, of_poses in enumerate(z[image]):
            yield Trial(image, model, of_poses, 1.0, "identity", looks.boxes[image])


def look_at_scales(looks: Looks, images: NDArray[np.intp]) -> Iterator[Trial]:
    """Every model and scale with two poses, then each model with all poses at its most promising scale."""
    x = looks.of(images)
    scales = scales_of(x)[1:]
    if not scales:
        return
    parts = [look(x, scale) for scale in scales]
    there = [looks.e.at(part) for part, _ in parts]
    quick = [standardised(*pair, ("identity", "shift3,3"))[..., 0] for pair in zip(there, scales, strict=True)]
    chosen = np.stack(quick, axis=2).argmax(axis=2)
    for model, number in itertools.product(range(chosen.shape[1]), range(len(scales))):
        rows = np.flatnonzero(chosen[:, model] == number)
        if len(rows):
            part, boxes = parts[number]
            seen = there[number] if len(rows) == len(images) else looks.e.at(part[rows])
            z = standardised(seen.only(model), scales[number])[:, 0]
            for row, of_poses in zip(rows, z, strict=True):
                yield Trial(int(images[row]), model, of_poses, scales[number], "identity", boxes[row])


def look_in_places(looks: Looks, images: NDArray[np.intp]) -> Iterator[Trial]:
    """Every model and place on a small part, the promising again on the whole look, then all poses of each best."""
    x = looks.of(images)
    side = min(SMALL, (min(x.shape[-2:]) - GRID) // GRID * GRID)
    if side < 2 * BLOCK:
        return
    small, _ = look(x, 1.0, side + GRID)
    errors = torch.cat([part_errors(looks.e, parts) for parts in together(small_places(small, side))], dim=2)
    promising = errors.argsort(dim=2)[..., :PROMISING].tolist()
    for row, image in enumerate(images.tolist()):
        here = looks.first.image()[image : image + 1]
        there = looks.e.at(here)
        for model in range(len(there.autoencoders)):
            # A mirrored image is common: it is always tried.
            places = list(dict.fromkeys(["hflip", *(PLACES[number] for number in promising[row][model])]))
            place = places[int(log_errors(there.only(model), places).argmin())]
            z = standardised(looks.e.at(seen_as(place, here)).only(model), 1.0)
            yield Trial(image, model, z[0, 0], 1.0, place, looks.boxes[image])


STAGES = {"as it is": look_as_it_is, "scales": look_at_scales, "places": look_in_places}


def look_wider(e: Evidence, image: int, tests: Tests) -> None:
    """The best trial of one image again on a larger part, until the best is one that was made on it.

    Nothing new is tested, so there is nothing to correct for: a trial on `SIDE` is only what chooses the one on `WIDE`.
    """
    x = e.image()[image : image + 1]
    while pooled(tests.z[[image]])[0] > 0:
        model = int(tests.z[image].argmax())
        _, trial = tests.found[image, model]
        part, (box,) = look(x, trial.scale, WIDE)
        if box == trial.box:
            return
        z = standardised(e.at(seen_as(trial.place, part)).only(model), trial.scale)
        tests.replace(dataclasses.replace(trial, z=z[0, 0], box=box))


def together(views: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Views of one size, as many at a time as have the pixels of one look, or fill a GPU."""
    group: list[Tensor] = []
    for view in views:
        group.append(view)
        pixels = len(group) * view[:, 0].numel()
        if pixels + view[:, 0].numel() > (TILED_ABOVE if view.is_cuda else SIDE**2):
            yield group
            group = []
    if group:
        yield group


def part_errors(e: Evidence, views: Sequence[Tensor]) -> Tensor:
    """The log errors (B, K, V) of V views of B images."""
    errors = log_errors(e.at(torch.cat(list(views))), ("identity",))[..., 0]
    return torch.stack(torch.split(errors, len(views[0])), dim=2)


def small_places(x: Tensor, side: int) -> Iterator[Tensor]:
    """The images in each of `PLACES`, (B, 3, side, side)."""
    for place in PLACES:
        moved = place.startswith("shift")
        yield find_view(place)(x if moved else x[..., :side, :side])[..., :side, :side]


def seen_as(place: str, x: Tensor) -> Tensor:
    """The images in a place, of whole periods of the grid."""
    view = find_view(place)(x)
    height, width = (side // GRID * GRID for side in view.shape[-2:])
    return view[..., :height, :width]


def log_errors(e: Evidence, poses: Sequence[str]) -> Tensor:
    """log(d(qx, AE(qx)) + `FLOOR`) of the poses q, mean over the distances of each model: (B, K, Q)."""
    names = dict.fromkeys(name for names in e.nulls.distances for name in names)
    logs = {name: (e.errors(poses, name) + FLOOR).log() for name in names}
    columns = [
        torch.stack([logs[name][..., model] for name in names]).mean(dim=0)
        for model, names in enumerate(e.nulls.distances)
    ]
    return torch.stack(columns, dim=1).permute(2, 1, 0)


def contrasts(logs: Tensor, poses: Sequence[str] = POSES) -> Contrasts:
    """The contrasts (..., P) of the poses of `PRIOR` with the others, from log errors (..., Q).

    About 0 for photographs. Of fewer `poses`, those that are missing in it are left out of `PRIOR` too.
    """
    sought = [poses.index(pose) for pose in PRIOR if pose in poses]
    others = torch.stack([torch.cat([logs[..., :q], logs[..., q + 1 :]], dim=-1) for q in sought], dim=-2)
    freedom = len(poses) - 2
    variance = others.var(dim=-1) if freedom else torch.zeros_like(others[..., 0])
    return Contrasts(others.mean(dim=-1) - logs[..., sought], variance, freedom)


def participating_blocks(e: Evidence) -> Tensor:
    """Over how many blocks of 32 px the upright error is spread, (sum of d)^2 / sum of d^2: (B, K)."""
    maps = [block_means(e.error_map(model), e.image()).flatten(1) for model in range(len(e.autoencoders))]
    return torch.stack([m.sum(dim=1).square() / m.square().sum(dim=1) for m in maps], dim=1)


def standardised(e: Evidence, scale: float, poses: Sequence[str] = POSES) -> NDArray[np.float64]:
    """The contrasts as normal deviates of photographs that were brought to the same scale: (B, K, P)."""
    return e.nulls.standardise(contrasts(log_errors(e, poses), poses), participating_blocks(e), scale)


def corrected(z: NDArray[np.float64], share: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """What is left of z after 1 / `share` tests like it (Sidak, 1967): Phi(result) = Phi(z) ** (1 / share).

    Written in whichever tail is small, so that nothing is rounded to infinity.
    """
    log_p = log_ndtr(-z)
    with np.errstate(divide="ignore", invalid="ignore"):
        small = np.where(log_p < -30, log_p - np.log(share), np.log(-np.expm1(np.log1p(-np.exp(log_p)) / share)))
    result: NDArray[np.float64] = np.where(z > 0, -ndtri_exp(small), ndtri_exp(log_ndtr(z) / share))
    return result


def scales_of(x: Tensor) -> list[float]:
    """The scales at which images of this size are looked at: all but those that leave less than a few blocks."""
    return [scale for scale in SCALES if scale == 1 or min(x.shape[-2:]) * scale >= 2 * BLOCK]


def pooled(per_model: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best of (B, K) models, corrected for their number: (B,)."""
    return corrected(per_model.max(axis=1), 1 / per_model.shape[1])


def describe(e: Evidence, tests: Tests, image: int) -> dict[str, Any]:
    """What the winning trial says about an image, should it be generated."""
    model = int(tests.z[image].argmax())
    _, trial = tests.found[image, model]
    height, width = e.image().shape[-2:]
    return {
        "decoder": family_of(e.autoencoders[model].name),
        "native_size": [round(width * trial.scale), round(height * trial.scale)],
        "place": "identity" if trial.place == "hflip" else trial.place,
        "mirrored": (trial.place == "hflip") != (trial.best_pose()[1] == "hflip"),
        "box": list(trial.box),
    }


def in_words(score: float, details: dict[str, Any]) -> str:
    """A remark for the reader of a row; none on what looks like a photograph."""
    if not details:
        return "not enough texture to tell"
    if score < REMARKABLE:
        return ""
    size = "x".join(map(str, details["native_size"]))
    mirrored = ", mirrored" if details["mirrored"] else ""
    place = "" if details["place"] == "identity" else f", once seen as {details['place']}"
    return f"grain of the {details['decoder']} decoder at {size}{mirrored}{place}"


GRAIN = Method(
    name="grain",
    title="the grain of a known decoder, mirrored, turned, resized or cropped off its grid, against photographs",
    statistic=grain,
    higher_is_generated=True,
    distance="lpips_vgg_2",
    models=("tiny",),
    paper="this project, after arXiv:2502.09509",
    null=True,
)
