"""Scores that are computed once: a run that was killed goes on, and images are known by their content, not their names.

What is reused has to be what would be computed, to the last bit: a table must not tell where its run was interrupted.
A score depends a little on the images that share its batch (by about 1e-5), so the batches are those of the list of
images, whatever is there already, and a batch is reused or computed as a whole. In batches of one, the default on the
CPU, each image stands for itself; in larger ones, a new image at the front of the list moves all batches.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.common.conditions import prepare
from recon_detect import Detector, Source, open_picture
from recon_detect.errors import InputError
from recon_detect.output import PartialFile
from recon_detect.results import RunInfo
from recon_detect.tensors.devices import find_device

Row = dict[str, Any]

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Input:
    """An image as it is to be scored (`conditions.prepare`), with its name in the results and its label."""

    path: Path
    name: str
    label: str
    crop: int | None
    condition: str

    def source(self) -> tuple[Source, str]:
        """What is opened, and the sum of its pixels; a file that cannot be read becomes a row that says so."""
        try:
            data = prepare(self.path, self.crop, self.condition)
        except InputError:
            return Source(self.path, self.name, self.label), ""
        return Source(data, self.name, self.label), open_picture(data).provenance.sha256


def batch_size(device: str | None, wanted: int | None) -> int:
    """One on the CPU, where larger batches are slower."""
    return wanted or (1 if find_device(device).type == "cpu" else _BATCH)


def score(detector: Detector, images: Sequence[Input], output: Path) -> tuple[RunInfo, list[Row]]:
    """The run as it was begun, and the rows of all images in their order; `files.journal_of` the output keeps them.

    Args:
        detector: With a fixed batch size (`batch_size`).
        images: Opened as they are needed, a batch at a time.
        output: The table that the scores are for.

    Raises:
        UsageError: The journal is of another configuration.
    """
    run = detector.run_info
    fingerprint = run.fingerprint
    # The published noise of an image depends on all images before it: there, the whole list is one batch.
    size = len(images) if run.compat else detector.settings.batch_size or 1
    rows: list[Row] = []
    with PartialFile(output.with_suffix(".scores.jsonl"), run.to_dict()) as journal:
        run = _begun(journal, run)
        kept = {_key(row): row for row in journal.entries() if row["error"] is None}
        last = {row["path"]: _about(row) for row in journal.entries()}
        for start in tqdm(range(0, len(images), size), unit="batch" if size > 1 else "image"):
            sources, sums = zip(*(image.source() for image in images[start : start + size]), strict=True)
            batch = _batch_of(sums)
            found = [kept.get((batch, content)) for content in sums]
            if all(found):
                found = [row | {"path": s.id, "label": s.label} for row, s in zip(found, sources, strict=True)]
            else:
                found = [row.to_dict(fingerprint) | {"batch": batch} for row in detector.stream(sources)]
            for row in found:
                # What was known too, if its name is new: the journal's last row of a name is that of its content now.
                if last.get(row["path"]) != _about(row):
                    journal.write(row)
                    last[row["path"]] = _about(row)
                if row["error"] is None:
                    kept[_key(row)] = row
            rows += found
    return run, rows


def _begun(journal: PartialFile, now: RunInfo) -> RunInfo:
    """The run that the first scores are of: where it differs from that of now, a table says what most are of."""
    with journal.path.open(encoding="utf-8") as file:
        begun = RunInfo.from_dict(json.loads(file.readline()))
    if (begun.versions, begun.device) != (now.versions, now.device):
        print(f"{journal.path}: was begun with other versions or on another device; delete it to start over",
              file=sys.stderr)  # fmt: skip
    return begun


def _key(row: Row) -> tuple[str | None, str | None]:
    return row.get("batch"), row["sha256"]


def _about(row: Row) -> tuple[str | None, ...]:
    return row["label"], row["error"], *_key(row)


def _batch_of(sums: Sequence[str]) -> str | None:
    """A name of the images that are computed together; None of one, whose own sum will do."""
    return hashlib.sha256(" ".join(sums).encode()).hexdigest()[:16] if len(sums) > 1 else None
