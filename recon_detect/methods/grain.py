"""Grain: whether the grain of a decoder is in the image, of which one, in which pose, scale and phase. Our own.

A contrast (see `contrast`) tells whether an image is reconstructed better in one pose than in others. Here it is asked
of every model of a pool, and, where the image as it is does not answer, of the image brought back to other sizes,
turned, and moved on the decoder's grid, each held against its distribution over photographs. What is tested more often
is believed less (Sidak), so that no further model, scale or phase raises the false-positive rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import log_ndtr, ndtri_exp

from recon_detect.looks import BLOCK, SCALES, block_means, look, textured_blocks
from recon_detect.methods.method import Finding, Method
from recon_detect.models.registry import family_of
from recon_detect.views import find_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from recon_detect.evidence import Evidence
    from recon_detect.looks import Box

# The poses that are compared: mirrored, and moved by odd numbers of pixels, off the grids of 8, 4 and 2 pixels on which
# the decoders write. A move by 4 would be half on the grid of FLUX.1 and SD3 (docs/methods.md, figure) ...
POSES = ("identity", "hflip", "shift3,3", "shift5,5", "shift3,5")
# ... and those of them in which a grain is looked for: as the image is, or mirrored, each with its share of the prior.
PRIOR = {"identity": 0.8, "hflip": 0.2}
# Added to an error before its logarithm: below it, in smooth images, a contrast is noise.
FLOOR = 0.003
# How the prior is shared out: the image as it is, at another scale, in another of `PLACES`.
AS_IT_IS, RESIZED, MOVED = 0.5, 0.3, 0.2
# The decoder's grid in pixels, and how else the image may lie on it: moved by a crop, or turned.
GRID = 8
PLACES = (
    *(f"shift{left},{top}" for top in range(GRID) for left in range(GRID) if left or top),
    *("rot90", "rot180", "rot270"),
)
# Every place is tried on a part of this side, ...
SMALL = 128
# ... so many of each model again on the whole look, and the best is tested; of models and scales, so many are.
PROMISING, FINALISTS = 3, 2
# Images with fewer textured blocks tell nothing.
ENOUGH = 4
# Beyond this many standard deviations what was found decides, and nothing else is looked for.
DECISIVE = 4.0
# One photograph in a hundred is beyond it: what was found is worth telling in words.
REMARKABLE = 2.33


@dataclass(frozen=True, slots=True)
class Found:
    """Where a test was made: the details of its image, should it win."""

    scale: float
    place: str
    pose: str
    box: Box


class Tests:
    """The best test of each image and model, corrected for the share of the prior that it had."""

    def __init__(self, images: int, models: int) -> None:
        self.z = np.full((images, models), -np.inf)
        self.found: dict[tuple[int, int], Found] = {}
        # By image: the log errors (K) of the first look off the grid, which those of further places are held against.
        self.off_grid: dict[int, Tensor] = {}

    def add(self, image: int, model: int, z: NDArray[np.float64], share: float, where: tuple[float, str, Box]) -> None:
        """Notes what one look says: z (P) of the poses of `PRIOR`."""
        tested = corrected(z, share * np.array(list(PRIOR.values())))
        pose = int(tested.argmax())
        if tested[pose] > self.z[image, model]:
            self.z[image, model] = tested[pose]
            scale, place, box = where
            self.found[image, model] = Found(scale, place, list(PRIOR)[pose], box)

    def undecided(self, images: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of the images that need a further look."""
        return images[pooled(self.z[images]) < DECISIVE]


def grain(e: Evidence) -> Finding:
    """The most surprising contrast of all models, poses, scales and places, corrected for their number.

    High means generated. In standard deviations of photographs: one photograph in forty reaches 2, one in seven hundred
    3. An image with too little texture gets 0, what a photograph gets.
    """
    tests = search(e)
    looked = np.isfinite(tests.z).any(axis=1)
    per_model = np.where(looked[:, None], tests.z, 0.0)
    score = np.where(looked, pooled(per_model), 0.0)
    details = [describe(e, tests, image) if there else {} for image, there in enumerate(looked)]
    remarks = [in_words(value, found) for value, found in zip(score.tolist(), details, strict=True)]
    return Finding(per_model, score, details, remarks)


def search(e: Evidence) -> Tests:
    """Looks at the images as they are, then at other scales, then in other places, until it is decided."""
    tests = Tests(len(e), len(e.autoencoders))
    images = np.flatnonzero((textured_blocks(e.image()) >= ENOUGH).cpu().numpy())
    for further in (look_as_it_is, look_at_scales, look_in_places):
        if len(images):
            further(e, images, tests)
            images = tests.undecided(images)
    return tests


def look_as_it_is(e: Evidence, images: NDArray[np.intp], tests: Tests) -> None:
    """Every model on the image as it is."""
    part, boxes = look(e.image()[torch.from_numpy(images)], 1.0)
    there = e if part.shape == e.image().shape else e.at(part)
    z = standardised(there, 1.0)
    off_grid = log_errors(there, POSES[2:]).mean(dim=2)
    for row, image in enumerate(images):
        tests.off_grid[image] = off_grid[row]
        for model in range(len(e.autoencoders)):
            tests.add(image, model, z[row, model], AS_IT_IS, (1.0, "identity", boxes[row]))


def look_at_scales(e: Evidence, images: NDArray[np.intp], tests: Tests) -> None:
    """Every model and scale with two poses, then all poses of the most promising of them."""
    scales = scales_of(e.image())[1:]
    if not scales:
        return
    looks = [look(e.image()[torch.from_numpy(images)], scale) for scale in scales]
    there = [e.at(part) for part, _ in looks]
    quick = [standardised(*pair, ("identity", "shift3,3"))[..., 0] for pair in zip(there, scales, strict=True)]
    for (model, number), rows in best(np.stack(quick, axis=2), FINALISTS).items():
        part, boxes = looks[number]
        seen = there[number] if len(rows) == len(images) else e.at(part[rows])
        z = standardised(seen.only(model), scales[number])
        for position, row in enumerate(rows):
            where = (scales[number], "identity", boxes[row])
            tests.add(images[row], model, z[position, 0], RESIZED / (len(SCALES) - 1), where)


def look_in_places(e: Evidence, images: NDArray[np.intp], tests: Tests) -> None:
    """Every model and place on a small part, the promising again on the whole look, then all poses of the best."""
    x = e.image()[torch.from_numpy(images)]
    side = min(SMALL, (min(x.shape[-2:]) - GRID) // GRID * GRID)
    if side < 2 * BLOCK:
        return
    small, _ = look(x, 1.0, side + GRID)
    errors = torch.stack([log_errors(e.at(seen), ("identity",))[..., 0] for seen in small_places(small, side)], dim=2)
    part, boxes = look(x, 1.0)
    for row, image in enumerate(images):
        here = part[row : row + 1]
        model, place = best_place(e.at(here), errors[row], tests.off_grid[image])
        z = standardised(e.at(find_view(place)(here)).only(model), 1.0)
        tests.add(image, model, z[0, 0], MOVED / len(PLACES), (1.0, place, boxes[row]))


def small_places(x: Tensor, side: int) -> Iterator[Tensor]:
    """The images in each of `PLACES`, (B, 3, side, side)."""
    for place in PLACES:
        moved = place.startswith("shift")
        yield find_view(place)(x if moved else x[..., :side, :side])[..., :side, :side]


def best_place(e: Evidence, errors: Tensor, off_grid: Tensor) -> tuple[int, str]:
    """The model and the place of one image with the highest contrast among the promising by `errors` (K, places)."""
    found: dict[tuple[int, str], float] = {}
    for model in range(len(e.autoencoders)):
        places = [PLACES[number] for number in errors[model].argsort()[:PROMISING].tolist()]
        contrast = (off_grid[model] - log_errors(e.only(model), places)[0, 0]) / e.nulls.variance[model][0][0] ** 0.5
        found |= zip([(model, place) for place in places], contrast.tolist(), strict=True)
    return max(found, key=found.__getitem__)


def best(z: NDArray[np.float64], count: int) -> dict[tuple[int, int], list[int]]:
    """The best few of the trials on each image, (B, K, H): pairs (model, trial) with the images that they are of."""
    rows: dict[tuple[int, int], list[int]] = {}
    for row, trials in enumerate(z):
        for flat in trials.ravel().argsort()[::-1][:count]:
            model, trial = divmod(int(flat), trials.shape[1])
            rows.setdefault((model, trial), []).append(row)
    return rows


def log_errors(e: Evidence, poses: Sequence[str]) -> Tensor:
    """log(d(qx, AE(qx)) + `FLOOR`) of the poses q, mean over the distances of each model: (B, K, Q)."""
    names = dict.fromkeys(name for names in e.nulls.distances for name in names)
    logs = {name: (e.errors(poses, name) + FLOOR).log() for name in names}
    columns = [
        torch.stack([logs[name][..., model] for name in names]).mean(dim=0)
        for model, names in enumerate(e.nulls.distances)
    ]
    return torch.stack(columns, dim=1).permute(2, 1, 0)


def contrasts(e: Evidence, poses: Sequence[str] = POSES) -> Tensor:
    """The contrasts (B, K, P) of the poses of `PRIOR` with the others: the mean of their log errors less its own.

    About 0 for photographs. Of fewer `poses`, those that are missing in it are left out of `PRIOR` too.
    """
    logs = log_errors(e, poses)
    sought = logs[..., [poses.index(pose) for pose in PRIOR if pose in poses]]
    return (logs.sum(dim=2, keepdim=True) - sought) / (len(poses) - 1) - sought


def participating_blocks(e: Evidence) -> Tensor:
    """Over how many blocks of 32 px the upright error is spread, (sum of d)^2 / sum of d^2: (B, K)."""
    maps = [block_means(e.error_map(model), e.image()).flatten(1) for model in range(len(e.autoencoders))]
    return torch.stack([m.sum(dim=1).square() / m.square().sum(dim=1) for m in maps], dim=1)


def standardised(e: Evidence, scale: float, poses: Sequence[str] = POSES) -> NDArray[np.float64]:
    """The contrasts in standard deviations of photographs that were brought to the same scale: (B, K, P)."""
    found = contrasts(e, poses)
    return e.nulls.standardise(found, participating_blocks(e), scale).double().cpu().numpy()


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
    """What the winning test says about an image, should it be generated."""
    model = int(tests.z[image].argmax())
    found = tests.found[image, model]
    height, width = e.image().shape[-2:]
    return {
        "decoder": family_of(e.autoencoders[model].name),
        "native_size": [round(width * found.scale), round(height * found.scale)],
        "place": found.place,
        "mirrored": found.pose == "hflip",
        "box": list(found.box),
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
