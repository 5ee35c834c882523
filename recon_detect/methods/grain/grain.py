"""Grain: detects the grain of a decoder in an image, with its pose, scale and phase. Our own method.

A contrast (see `contrast`) measures by how much better an image is reconstructed in one pose than in others. It is
computed for every model of a pool and, where the image as it is decides nothing, for the image resized, turned, and
moved on the decoder's grid, each compared with its distribution over photographs (see `search`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recon_detect.evidence.texture import ENOUGH, textured_blocks
from recon_detect.methods.deviates import REMARKABLE, pooled
from recon_detect.methods.grain.contrasts import without_doubtful_decoder
from recon_detect.methods.grain.nulls import file_of, find_nulls
from recon_detect.methods.grain.search import BestTrials, search
from recon_detect.methods.method import Method, MethodResult
from recon_detect.models.needs import Need
from recon_detect.models.registry import family_of
from recon_detect.results import NO_TEXTURE

if TYPE_CHECKING:
    from recon_detect.evidence import Evidence
    from recon_detect.methods.grain.nulls import Nulls


def grain(e: Evidence, nulls: Nulls) -> MethodResult:
    """The most surprising contrast of all models, poses, scales and places, corrected for their number.

    High means generated. In standard deviations of photographs: one photograph in forty reaches 2, one in seven hundred
    3. An image with too little texture gets 0, what a photograph gets.
    """
    enough = (textured_blocks(e.image()) >= ENOUGH).cpu().numpy()
    per_model = np.zeros((len(e), len(e.reconstructors)))
    details: list[dict[str, Any]] = [{} for _ in range(len(e))]
    images = np.flatnonzero(enough)
    if len(images):
        best = search(e if enough.all() else e.at(e.image()[torch.from_numpy(enough)], images.tolist()), nulls)
        per_model[enough] = best.z
        for row, image in enumerate(images):
            details[image] = describe(e, best, row)
    score = np.where(enough, pooled(per_model), 0.0)
    details = list(map(without_doubtful_decoder, score.tolist(), details))
    remarks = [in_words(value, of_image) for value, of_image in zip(score.tolist(), details, strict=True)]
    return MethodResult(per_model, score, details, remarks)


def describe(e: Evidence, best: BestTrials, image: int) -> dict[str, Any]:
    """Describes an image as the best trial implies, should it be generated."""
    trial = best.best(image)
    height, width = e.image().shape[-2:]
    return {
        "decoder": family_of(e.reconstructors[trial.model].name),
        "native_size": [round(width * trial.scale), round(height * trial.scale)],
        "place": "identity" if trial.place == "hflip" else trial.place,
        "mirrored": (trial.place == "hflip") != (trial.best_pose()[1] == "hflip"),
        "box": list(trial.box),
    }


def in_words(score: float, details: dict[str, Any]) -> str:
    """A remark for the reader of a row; none on what looks like a photograph."""
    if not details:
        return NO_TEXTURE
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
    needs=frozenset({Need.AUTOENCODERS, Need.NULLS}),
    cost="5 reconstructions of 320 px, and some 30 of that size more while it is undecided",
    nulls=lambda models, _: find_nulls("grain", models),
    data=file_of("grain"),
)
