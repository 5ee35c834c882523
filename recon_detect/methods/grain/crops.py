"""Crops: the places and scales at which an image is examined for the grain of a decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from recon_detect.evidence.texture import most_textured

if TYPE_CHECKING:
    from torch import Tensor

    from recon_detect.evidence.texture import Box

# By what an image is scaled to undo the resizing that is most often met: none, to three quarters, to a half, by a half
# more. A decoder's grain is seen only within half a percent of its own scale.
SCALES = (1.0, 4 / 3, 2.0, 2 / 3)
# Side of a crop after scaling. More area is more evidence, and costs in proportion.
CROP_SIDE = 320


def crop(x: Tensor, scale: float, side: int = CROP_SIDE) -> tuple[Tensor, list[Box]]:
    """The most textured part of each image, scaled: (B, 3, h, w) with h and w of at most `side`, and where it lies.

    The part begins on the grid that the decoder's would be. Scaling is bicubic and antialiased, in floats: nothing is
    rounded to 8 bits.
    """
    boxes = most_textured(x, round(side / scale))
    part = torch.stack([image[:, y0:y1, x0:x1] for image, (x0, y0, x1, y1) in zip(x, boxes, strict=True)])
    if scale == 1:
        return part, boxes
    size = [max(round(side * scale), 1) for side in part.shape[-2:]]
    resized = F.interpolate(part, size=size, mode="bicubic", antialias=True, align_corners=False)
    return resized.clamp_(-1, 1), boxes
