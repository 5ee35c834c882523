"""Grain: whether the grain of a decoder is in the image, of which one, in which pose, at which scale. Our own.

A contrast (see `contrast`) tells whether an image is reconstructed better in one pose than in others. Here it is asked
of every model of a pool, of mirrored and moved poses and of several scales, each held against its distribution over
photographs. What is tested more often is believed less (Sidak), so that neither a further model nor a further scale
raises the false-positive rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import log_ndtr, ndtri_exp

from recon_detect.looks import BLOCK, SCALES, block_means, look, textured_blocks
from recon_detect.methods.method import Finding, Method
from recon_detect.models.registry import family_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from recon_detect.evidence import Evidence
    from recon_detect.looks import Box

# The poses that are compared, chosen in docs/methods.md, ...
POSES = ("identity", "hflip", "rot90", "shift4,0", "hflip+shift4,0")
# ... and those of them in which a grain is looked for: as the image is, or mirrored, each with its share of the prior.
PRIOR = {"identity": 0.8, "hflip": 0.2}
# Added to an error before its logarithm: below it, in smooth images, a contrast is noise. With it contrasts are about
# equally wide over smooth and over busy photographs.
FLOOR = 0.003
# The share of the first scale, the image as it is; the others share the rest.
AS_IT_IS = 0.5
# Images with fewer textured blocks tell nothing.
ENOUGH = 4
# Beyond this many standard deviations the first scale decides, and the others are not looked at.
DECISIVE = 4.0
# One photograph in a hundred is beyond it: what was found is worth telling in words.
REMARKABLE = 2.33


def contrasts(e: Evidence) -> Tensor:
    """The contrasts (B, K, P) of the poses p of `PRIOR` with the others q of `POSES`.

    Each is the mean over q of log(d(qx, AE(qx)) + c) less log(d(px, AE(px)) + c), with c = `FLOOR`.

    About 0 for photographs.
    """
    logs = (e.errors(POSES) + FLOOR).log().permute(1, 2, 0)
    sought = logs[..., [POSES.index(pose) for pose in PRIOR]]
    return (logs.sum(dim=2, keepdim=True) - sought) / (len(POSES) - 1) - sought


def participating_blocks(e: Evidence) -> Tensor:
    """Over how many blocks of 32 px the upright error is spread, (sum of d)^2 / sum of d^2: (B, K)."""
    maps = [block_means(e.error_map(model), e.image()).flatten(1) for model in range(len(e.autoencoders))]
    return torch.stack([m.sum(dim=1).square() / m.square().sum(dim=1) for m in maps], dim=1)


def corrected(z: NDArray[np.float64], share: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """What is left of z after 1 / `share` tests like it (Sidak, 1967): Phi(result) = Phi(z) ** (1 / share).

    Written in whichever tail is small, so that nothing is rounded to infinity.
    """
    log_p = log_ndtr(-z)
    with np.errstate(divide="ignore", invalid="ignore"):
        small = np.where(log_p < -30, log_p - np.log(share), np.log(-np.expm1(np.log1p(-np.exp(log_p)) / share)))
    result: NDArray[np.float64] = np.where(z > 0, -ndtri_exp(small), ndtri_exp(log_ndtr(z) / share))
    return result


def grain(e: Evidence) -> Finding:
    """The most surprising contrast of all models, scales and poses, corrected for their number. High means generated.

    In standard deviations of photographs: one photograph in forty reaches 2, one in seven hundred 3. An image with too
    little texture gets 0, what a photograph gets.
    """
    tests, boxes = search(e)
    blank = np.array([not looked for looked in boxes])
    per_model = np.where(blank[:, None], 0.0, tests.max(axis=(2, 3)))
    score = np.where(blank, 0.0, pooled(per_model))
    details = [describe(e, test, looked) if looked else {} for test, looked in zip(tests, boxes, strict=True)]
    remarks = [in_words(value, found) for value, found in zip(score.tolist(), details, strict=True)]
    return Finding(per_model, score, details, remarks)


def search(e: Evidence) -> tuple[NDArray[np.float64], list[list[Box]]]:
    """What each model, scale and pose says of each image, corrected for the scales and poses: (B, K, scales, P).

    Also the boxes that were looked at, scale by scale; none of an image without texture. Once the scales so far are
    decisive, the further ones are not looked at, and say minus infinity.
    """
    x = e.image()
    scales = scales_of(x)
    prior = shares(len(scales))
    tests = np.full((len(e), len(e.autoencoders), len(scales), len(PRIOR)), -np.inf)
    boxes: list[list[Box]] = [[] for _ in range(len(e))]
    undecided = np.flatnonzero((textured_blocks(x) >= ENOUGH).cpu().numpy())
    for number, scale in enumerate(scales):
        if not len(undecided):
            break
        part, found = look(x[torch.from_numpy(undecided)], scale)
        there = e.at(part)
        z = e.nulls.standardise(contrasts(there), participating_blocks(there)).double().cpu().numpy()
        tests[undecided, :, number] = corrected(z, prior[number])
        for image, box in zip(undecided, found, strict=True):
            boxes[image].append(box)
        undecided = undecided[pooled(tests[undecided].max(axis=(2, 3))) < DECISIVE]
    return tests, boxes


def scales_of(x: Tensor) -> list[float]:
    """The scales at which images of this size are looked at: all but those that leave less than a few blocks."""
    return [scale for scale in SCALES if scale == 1 or min(x.shape[-2:]) * scale >= 2 * BLOCK]


def shares(scales: int) -> NDArray[np.float64]:
    """The share of the prior of each pose at each of the first scales: (scales, P)."""
    others = (1 - AS_IT_IS) / max(len(SCALES) - 1, 1)
    return np.outer([AS_IT_IS, *[others] * (scales - 1)], list(PRIOR.values()))


def pooled(per_model: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best of (B, K) models, corrected for their number: (B,)."""
    return corrected(per_model.max(axis=1), 1 / per_model.shape[1])


def describe(e: Evidence, tests: NDArray[np.float64], boxes: list[Box]) -> dict[str, Any]:
    """What the winning test says about an image, should it be generated."""
    model, scale, pose = (int(index) for index in np.unravel_index(tests.argmax(), tests.shape))
    factor = scales_of(e.image())[scale]
    height, width = e.image().shape[-2:]
    return {
        "decoder": family_of(e.autoencoders[model].name),
        "native_size": [round(width * factor), round(height * factor)],
        "mirrored": list(PRIOR)[pose] == "hflip",
        "box": list(boxes[scale]),
    }


def in_words(score: float, details: dict[str, Any]) -> str:
    """A remark for the reader of a row; none on what looks like a photograph."""
    if not details:
        return "not enough texture to tell"
    if score < REMARKABLE:
        return ""
    mirrored = ", mirrored" if details["mirrored"] else ""
    return f"grain of the {details['decoder']} decoder at {'x'.join(map(str, details['native_size']))}{mirrored}"


GRAIN = Method(
    name="grain",
    title="the grain of a known decoder, at any of four scales, upright or mirrored, against photographs",
    statistic=grain,
    higher_is_generated=True,
    distance="lpips_vgg_2",
    models=("tiny",),
    paper="this project, after arXiv:2502.09509",
    null=True,
)
