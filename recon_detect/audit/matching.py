"""A version of a set whose classes went through the same crop, format and quality."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
from collections import defaultdict
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from recon_detect import names
from recon_detect._version import __version__
from recon_detect.atomic import replacing
from recon_detect.audit.verdict import FEWEST, GENERATED, REAL, Audit, Measured
from recon_detect.engine.prefetch import ahead
from recon_detect.errors import InputError, UsageError
from recon_detect.images import Source
from recon_detect.images.transform import GRID, Transform
from recon_detect.settings import DEFAULTS, Settings

SCHEMA = 1
# Share of the images of each class that are at least as large as the crop.
_HOLD = 0.95
# Shortcuts that a common PNG does not remove, where a file was ever compressed with loss.
_TRACES = frozenset(("blockiness", "zero_coefficients"))
_FORMATS = frozenset(("format", "jpeg_quality", "jpeg_libjpeg", "chroma_subsampling", "progressive"))
_LOSSY = frozenset(("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000"))
# JPEG qualities of a matched version: the bounds, and the quality that is assumed where files do not state theirs.
_LOWEST, _HIGHEST, _UNKNOWN = 50, 90, 75


@dataclass(frozen=True, slots=True)
class Matched:
    """Images and transform of a matched version.

    Attributes:
        transform: Applied to every image.
        rows: The images that are in it, as they were measured before.
        left_out: Number of images by why they are not in it.
    """

    transform: Transform
    rows: tuple[Measured, ...]
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def sources(self) -> list[Source]:
        """The original images."""
        return [Source(Path(row.path), row.path, row.label, row.about) for row in self.rows]


def match(
    rows: Sequence[Measured],
    audit: Audit,
    *,
    crop: int | None = None,
    encoding: str | None = None,
    balance: bool = False,
) -> Matched:
    """Chooses a transform that equalises crop, format and quality, and the images that go through it.

    Args:
        rows: Measurements of the files.
        audit: Audit of the files as they are.
        crop: Side of the crop; None takes the largest multiple of 32 px that 95 % of each class hold.
        encoding: See `Transform`; None takes PNG, or JPEG where compression separates the classes: a PNG has the
            traces of the JPEG that it was before, and a second JPEG of no higher quality covers them.
        balance: Leave out images until both classes have as many in each half octave of the shorter side, because a
            crop shows less of a larger image.

    Raises:
        UsageError: No crop of 32 px or more fits, or too few images are left.
    """
    usable = [row for row in rows if row.label and not row.error]
    side = crop or _largest_crop(usable)
    large = [row for row in usable if _shorter(row) >= side]
    remaining = _balanced(large) if balance else large
    left_out = {
        "unreadable or without a label": len(rows) - len(usable),
        f"smaller than {side} px": len(usable) - len(large),
        "for the balance of sizes": len(large) - len(remaining),
    }
    if min(sum(row.label == label for row in remaining) for label in (REAL, GENERATED)) < FEWEST:
        raise UsageError(
            f"fewer than {FEWEST} images of a class are left ({left_out}): the classes have too few sizes in common "
            "for this crop, or for --balance"
        )
    transform = Transform(side, encoding or _encoding(usable, audit))
    return Matched(transform, tuple(remaining), {why: number for why, number in left_out.items() if number})


def write_images(matched: Matched, folder: Path, settings: Settings = DEFAULTS) -> Generator[Source | None, None, None]:
    """Writes transformed images as ``images/LABEL/NAME`` into a folder; yields each, None where it failed.

    Existing files stay, so a run that was killed continues.
    """
    yield from ahead(partial(_write_image, matched.transform, folder, settings), matched.rows, settings.workers)


def write_manifest(matched: Matched, images: Sequence[Source], folder: Path, *, written: bool) -> None:
    """Writes ``manifest.csv``, with the columns that the benchmarks read, and ``transform.json`` into a folder.

    Args:
        matched: Images and transform.
        images: `Matched.sources`, or what `write_images` gave.
        folder: Folder to write to.
        written: True if the images are transformed already.
    """
    sizes = {row.path: (row.values["width"], row.values["height"]) for row in matched.rows}
    side = matched.transform.crop
    table = []
    for image in images:
        width, height = (side, side) if written else sizes[image.id]
        place = {"path": names.written(os.path.relpath(str(image.image), folder)), "label": image.label}
        table.append(place | dict(image.about) | {"width": int(width or 0), "height": int(height or 0)})
    columns = list(dict.fromkeys(name for line in table for name in line))
    with (
        replacing(folder / "manifest.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(table)
    description = {
        "schema": SCHEMA,
        "transform": asdict(matched.transform) | {"grid": GRID, "place": "centre"},
        "applied": written,
        "images": {label: sum(image.label == label for image in images) for label in (REAL, GENERATED)},
        "left_out": matched.left_out,
        "recon_detect": __version__,
    }
    with replacing(folder / "transform.json") as temporary:
        temporary.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def read_transform(path: Path) -> Transform | None:
    """Reads the transform of a ``transform.json``; None where it is already applied.

    Raises:
        UsageError: Not such a file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        transform = Transform(content["transform"]["crop"], content["transform"]["encoding"])
        return None if content["applied"] else transform
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: expected what 'recon-detect audit --match' wrote ({error})") from error


def _write_image(transform: Transform, folder: Path, settings: Settings, row: Measured) -> Source | None:
    # Equal names in different folders do not collide, and other pixels or another transform are another file.
    stem = names.short_stem(Path(row.path).stem, f"{row.path} {row.values['sha256']} {transform}")
    path = folder / "images" / str(row.label) / f"{stem}{transform.suffix}"
    if not path.exists():
        try:
            data = transform.encoded(Path(row.path), settings)
        except InputError:
            return None
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    return Source(path, str(path), row.label, row.about)


def _shorter(row: Measured) -> int:
    return int(min(float(row.values[side] or 0) for side in ("width", "height")))


def _largest_crop(rows: Sequence[Measured]) -> int:
    sides = [np.array([_shorter(row) for row in rows if row.label == label]) for label in (REAL, GENERATED)]
    # The side that the share _HOLD of each class reaches.
    fits = min(int(np.quantile(of, 1 - _HOLD, method="lower")) for of in sides)
    if fits < GRID:
        raise UsageError(f"images are too small for a crop on a grid of {GRID} px: {1 - _HOLD:.0%} of a class have a "
                         f"side of {fits} px or less; give a crop yourself, with --crop")  # fmt: skip
    return fits // GRID * GRID


def _encoding(rows: Sequence[Measured], audit: Audit) -> str:
    shortcuts = {finding.feature.name for finding in audit.findings if finding.grade}
    lossy = [row for row in rows if row.values["format"] in _LOSSY]
    if not (shortcuts & _TRACES or (lossy and shortcuts & _FORMATS)):
        return "png"
    qualities = [float(quality) for row in lossy if (quality := row.values["jpeg_quality"]) is not None]
    quality = int(np.quantile(qualities, 1 - _HOLD, method="lower")) if qualities else _UNKNOWN
    # Other lossy files do not state their quality, nor PNG files their earlier compression.
    highest = _HIGHEST if qualities and len(qualities) >= _HOLD * len(lossy) else _UNKNOWN
    return f"jpeg-{max(min(quality, highest), _LOWEST)}"


def _balanced(rows: Sequence[Measured]) -> list[Measured]:
    """Equally many images of each class in each half octave of the shorter side, by hash of the path; in order."""
    strata: defaultdict[int, dict[str, list[Measured]]] = defaultdict(lambda: {REAL: [], GENERATED: []})
    for row in rows:
        strata[math.floor(2 * math.log2(_shorter(row)))][str(row.label)].append(row)
    chosen = set()
    for classes in strata.values():
        number = min(map(len, classes.values()))
        for of in classes.values():
            of.sort(key=lambda row: hashlib.sha256(row.path.encode()).digest())
            chosen |= {row.path for row in of[:number]}
    return [row for row in rows if row.path in chosen]
