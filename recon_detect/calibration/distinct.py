"""Images that a calibration is fitted to: each picture once, and only those with enough texture."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

from recon_detect.errors import UsageError
from recon_detect.images.duplicates import copy_groups
from recon_detect.results import Row

log = logging.getLogger("recon_detect")

Rows = list[Row]


def decidable(rows: Sequence[Row]) -> Rows:
    """Rows of images that tell something; a line in the log says how many do not."""
    blank = [row for row in rows if row.undecidable]
    if blank:
        left_out = f"{len(blank)} of {len(rows)} images, such as {blank[0].path}"
        log.warning("left out of the calibration, for want of texture: %s", left_out)
    return [row for row in rows if not row.undecidable]


def distinct(rows: Sequence[Row], *, near_copies: bool = False) -> Rows:
    """Rows of distinct pictures: of copies the first alone. A line in the log says how many were left out.

    Args:
        rows: Labelled rows. Copies are those of one label and generator: a photograph and its reconstruction are near
            copies too, and one of each class.
        near_copies: Whether near copies (`images.duplicates`) are pictures of their own. Equal pixels never are.

    Raises:
        UsageError: Equal pixels under both labels; names both files.
    """
    classes: defaultdict[tuple[str | None, str | None], Rows] = defaultdict(list)
    for row in rows:
        classes[row.label, row.generator].append(row)
    _check_labels(rows)
    firsts: Rows = []
    copies: list[tuple[Row, Row]] = []
    for members in classes.values():
        for row, first in zip(members, copy_groups(_hashes(row, near_copies) for row in members), strict=True):
            if members[first] is row:
                firsts.append(row)
            else:
                copies.append((row, members[first]))
    if copies:
        copy, original = (row.path for row in copies[0])
        pair = f"{copy} is a copy of {original}"
        log.warning("copies count once: %d of %d images are left out, such as: %s", len(copies), len(rows), pair)
    return firsts


def _hashes(row: Row, near_copies: bool) -> tuple[str | None, str | None]:
    file = row.provenance
    return (file.sha256, None if near_copies else file.phash) if file else (None, None)


def _check_labels(rows: Sequence[Row]) -> None:
    by_pixels: dict[str, Row] = {}
    for row in rows:
        first = by_pixels.setdefault(row.provenance.sha256, row) if row.provenance else row
        if first.label != row.label:
            raise UsageError(
                f"{first.path} ({first.label}) and {row.path} ({row.label}) have the same pixels: an image is either a "
                "photograph or generated; take it out of one of the two"
            )
