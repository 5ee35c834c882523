"""Glance: the first stage of `grain` alone, small and at three poses, for an answer within seconds. Our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recon_detect.evidence.texture import ENOUGH, textured_blocks
from recon_detect.methods.deviates import REMARKABLE, corrected, pooled
from recon_detect.methods.grain.contrasts import PRIOR, standardised, without_doubtful_decoder
from recon_detect.methods.grain.crops import crop
from recon_detect.methods.grain.nulls import file_of, find_nulls
from recon_detect.methods.method import Method, MethodResult
from recon_detect.models.needs import Need
from recon_detect.models.registry import family_of
from recon_detect.results import NO_TEXTURE

if TYPE_CHECKING:
    from recon_detect.evidence import Evidence
    from recon_detect.methods.grain.nulls import Nulls

# Upright, mirrored, and off the decoder's grid (see `contrasts.POSES`).
POSES = ("identity", "hflip", "shift3,3")
# Side of the most textured part of an image, which is all that is looked at.
GLANCE_SIDE = 192


def glance(e: Evidence, nulls: Nulls) -> MethodResult:
    """The most surprising contrast of the models in the most textured part of each image, corrected for their number.

    High means generated, in standard deviations of photographs as of `grain`. Nothing is searched for: an image that
    was resized, turned, or cropped off the decoder's grid since it was generated looks like a photograph.
    """
    enough = (textured_blocks(e.image()) >= ENOUGH).cpu().numpy()
    per_model = np.zeros((len(e), len(e.reconstructors)))
    details: list[dict[str, Any]] = [{} for _ in range(len(e))]
    images = np.flatnonzero(enough)
    if len(images):
        part, boxes = crop(e.image()[torch.from_numpy(images).to(e.image().device)], 1.0, GLANCE_SIDE)
        z = standardised(e.at(part, images.tolist()), nulls, 1.0, POSES)
        tested = corrected(z, np.array(list(PRIOR.values())))
        per_model[enough] = tested.max(axis=2)
        for row, image in enumerate(images):
            model = int(per_model[image].argmax())
            details[image] = {
                "decoder": family_of(e.reconstructors[model].name),
                "mirrored": list(PRIOR)[int(tested[row, model].argmax())] == "hflip",
                "box": list(boxes[row]),
            }
    score = np.where(enough, pooled(per_model), 0.0)
    details = list(map(without_doubtful_decoder, score.tolist(), details))
    remarks = [_in_words(value, of_image) for value, of_image in zip(score.tolist(), details, strict=True)]
    return MethodResult(per_model, score, details, remarks)


def _in_words(score: float, details: dict[str, Any]) -> str:
    if not details:
        return NO_TEXTURE
    mirrored = ", mirrored" if details["mirrored"] else ""
    return f"grain of the {details['decoder']} decoder{mirrored}" if score >= REMARKABLE else ""


GLANCE = Method(
    name="glance",
    title="the grain of a known decoder in the image as it is: upright against mirrored and moved, within seconds",
    statistic=glance,
    higher_is_generated=True,
    distance="encoder_features",
    models=("embedded",),
    paper="this project, after arXiv:2502.09509",
    needs=frozenset({Need.AUTOENCODERS, Need.NULLS}),
    cost="3 reconstructions of 192 px",
    nulls=lambda models, _: find_nulls("glance", models),
    data=file_of("glance"),
)
