"""Choice of the images of a data set: all, or a sample with every decoder family in its share."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.common.data import ManifestRow
from recon_detect.methods import FORMER_NAMES

ALL = sys.maxsize
# Two cores without a GPU score this many in an hour or two where an image takes minutes.
SAMPLE = 20
# Methods that look on until something is found.
SEARCHING = ("trace", *FORMER_NAMES)


def add_argument(parser: argparse.ArgumentParser, default: str) -> None:
    """Adds ``--images``; `default` describes what `number_of` takes where it is not given."""
    text = "number of images, half of them photographs, with each decoder family in its share; or 'all'"
    parser.add_argument("--images", type=_number, default=None, metavar="N", help=f"{text}; default: {default}")


def _number(text: str) -> int:
    number = ALL if text == "all" else int(text)
    if number < 2:
        raise ValueError(text)
    return number


def number_of(images: int | None, device: torch.device, *, long: bool) -> int:
    """Number of images to score, where `images` are asked for: a `SAMPLE` of what is `long`, on a CPU."""
    return images or (SAMPLE if long and device.type == "cpu" else ALL)


def in_turn(rows: Sequence[ManifestRow], seed: int = 0) -> list[ManifestRow]:
    """Photographs and generated images in turn, in random order but for the decoder families.

    Of those, any first part has about the share that each has of all images.
    """
    shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    families = Counter(row["autoencoder"] for row in rows)
    seen: Counter[str] = Counter()
    position = {}
    for row in shuffled:
        position[row["path"]] = (seen[row["autoencoder"]] + 0.5) / families[row["autoencoder"]]
        seen[row["autoencoder"]] += 1
    shuffled.sort(key=lambda row: position[row["path"]])
    classes = [[row for row in shuffled if (row["label"] == "real") == real] for real in (True, False)]
    return [row for pair in itertools.zip_longest(*classes) for row in pair if row]
