"""Pictures of users as tables: those of a generator, photographs, and photographs that an autoencoder has decoded."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from recon_detect.errors import InputError, UsageError
from recon_detect.evidence.texture import ENOUGH, most_textured, textured_blocks
from recon_detect.images.picture import Picture, open_picture
from recon_detect.images.sources import find_sources
from recon_detect.images.transform import encode
from recon_detect.methods.grid.fit import Photographs
from recon_detect.methods.grid.grid import SIDE, cut, fits
from recon_detect.methods.grid.statistic import tables
from recon_detect.methods.grid.whitening import Whitening
from recon_detect.models.loading import load_reconstructor
from recon_detect.models.weights import find_weights

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

log = logging.getLogger("recon_detect")

# How photographs are stored, besides as they are, so that JPEG is no evidence.
STORED = ("jpeg-95", "jpeg-90", "jpeg-75")
# Side of what goes through an autoencoder, and what is cut off before, so that it is off any grid of JPEG.
DECODED_SIDE, OFF_GRID = 512, (3, 5)


def read_pictures(paths: Sequence[str | Path]) -> Iterator[tuple[str, Picture]]:
    """Path and picture of every file that has enough texture to tell; others are named in a warning."""
    for source in find_sources(paths):
        try:
            picture = open_picture(source.image)
        except InputError as error:
            log.warning("%s: left out: %s", source.id, error)
            continue
        x = picture.tensor()
        if fits(x) and int(textured_blocks(x[None])[0]) >= ENOUGH:
            yield source.id, picture
        else:
            log.warning("%s: left out: too small, or not enough texture", source.id)


def part_of(x: Tensor) -> Tensor:
    """The part of a picture (3, H, W) that a table is of, on its grid of 8."""
    return cut(x, most_textured(x[None], SIDE)[0])


def generated_tables(pictures: Iterable[Picture], whitening: Whitening) -> Tensor:
    """Whitened tables (N, F, 8, 8) of pictures as their generator wrote them.

    Raises:
        UsageError: There are none.
    """
    seen = [whitening(tables(part_of(picture.tensor()))) for picture in pictures]
    if not seen:
        raise UsageError("expected pictures with texture, got none")
    return torch.stack(seen)


def photograph_tables(pictures: Iterable[Picture], whitening: Whitening) -> Photographs:
    """Photographs as they are, and stored as JPEG again."""
    seen, pixels, kinds = [], [], []
    for picture in pictures:
        image = Image.fromarray(picture.bytes())
        kind = "camera" if picture.provenance.format == "JPEG" else "lossless"
        copies = {kind: image, **{name: Image.open(io.BytesIO(encode(image, name))) for name in STORED}}
        for name, copy in copies.items():
            x = part_of(_tensor(copy))
            seen.append(whitening(tables(x)))
            pixels.append(x[0].numel())
            kinds.append(name)
    return Photographs(torch.stack(seen), torch.tensor(pixels), kinds)


def decoded_tables(pictures: Iterable[Picture], autoencoder: str, whitening: Whitening) -> Tensor:
    """Whitened tables (N, F, 8, 8) of photographs that went through an autoencoder once, rounded to 8 bits.

    Args:
        pictures: Photographs.
        autoencoder: Name, folder or hub id, see `find_weights`.
        whitening: Of the package.

    Raises:
        WeightsError: The weights are missing or damaged.
        UsageError: All photographs are too small.
    """
    model = load_reconstructor(find_weights(autoencoder), torch.device("cpu"), "float32")
    seen = []
    for picture in pictures:
        x = picture.tensor()[:, OFF_GRID[0] :, OFF_GRID[1] :]
        height, width = (min(side, DECODED_SIDE) // 32 * 32 for side in x.shape[-2:])
        part = x[None, :, :height, :width]
        if height and width and fits(part[0]):
            with torch.inference_mode():
                decoded = model.decode(model.encode(part))[0].float().clamp(-1, 1)
            seen.append(whitening(tables((decoded * 127.5).round() / 127.5)))
    if not seen:
        raise UsageError(f"expected photographs of at least 64 px for {autoencoder} to decode, got none")
    return torch.stack(seen)


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1
