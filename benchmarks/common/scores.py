"""Scores of images: computed once, stored in a journal, read again with the manifest's entry of each image.

What is reused has to be what would be computed, to the last bit: a table must not show where its run was interrupted.
A score depends a little on the images that share its batch (by about 1e-5), so the batches are those of the list of
images, whatever the journal holds, and a batch is reused or computed as a whole. In batches of one, the default on the
CPU, each image stands for itself; in larger ones, a new image at the front of the list moves all batches. Images are
recognised by their content, not by their names.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.common.conditions import prepare
from benchmarks.common.data import RESULTS, journal_of, read_manifest
from benchmarks.common.families import decoder_of
from recon_detect import Detector, Source, open_picture
from recon_detect.errors import InputError
from recon_detect.models.registry import shorten
from recon_detect.output import PartialFile
from recon_detect.results import Row, RunInfo
from recon_detect.tensors.devices import find_device

# A line of a journal: `Row.to_dict`, the batch that it was computed in, and the seconds that each of its images took,
# by the clock and of all cores.
Entry = dict[str, Any]

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
        """Source to open, with the sum of its pixels; a file that cannot be read becomes a row that says so."""
        try:
            data = prepare(self.path, self.crop, self.condition)
            return Source(data, self.name, self.label), open_picture(data).provenance.sha256
        except InputError:
            return Source(self.path, self.name, self.label), ""


def batch_size(device: str | None, wanted: int | None) -> int:
    """One on the CPU, where larger batches are slower."""
    return wanted or (1 if find_device(device).type == "cpu" else _BATCH)


def score(detector: Detector, images: Sequence[Input], output: Path) -> tuple[RunInfo, list[Entry]]:
    """The run as it was begun, and the rows of all images in their order; `data.journal_of` the output holds them.

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
    rows: list[Entry] = []
    with PartialFile(output.with_suffix(".scores.jsonl"), run.to_dict()) as journal:
        run = _begun(journal, run)
        reusable = {_key(row): row for row in journal.entries() if row["error"] is None}
        last = {row["path"]: _about(row) for row in journal.entries()}
        for start in tqdm(range(0, len(images), size), unit="batch" if size > 1 else "image"):
            sources, sums = zip(*(image.source() for image in images[start : start + size]), strict=True)
            batch = _batch_of(sums)
            scored = [reusable[batch, content] for content in sums if (batch, content) in reusable]
            if len(scored) == len(sums):
                scored = [row | {"path": s.id, "label": s.label} for row, s in zip(scored, sources, strict=True)]
            else:
                scored = [row.to_dict(fingerprint) | {"batch": batch} | cost for row, cost in _timed(detector, sources)]
            for row in scored:
                # A reused row too, if its name is new: the journal's last row of a name is that of its content now.
                if last.get(row["path"]) != _about(row):
                    journal.write(row)
                    last[row["path"]] = _about(row)
                if row["error"] is None:
                    reusable[_key(row)] = row
            rows += scored
    return run, rows


def _timed(detector: Detector, sources: Sequence[Source]) -> list[tuple[Row, dict[str, float]]]:
    """Rows, and the seconds that each took: by the clock, and of all cores, where other programs do not count."""
    clock, cores = time.perf_counter(), time.process_time()
    rows = list(detector.stream(sources))
    spent = {"seconds": time.perf_counter() - clock, "cpu_seconds": time.process_time() - cores}
    return [(row, {name: round(seconds / len(rows), 3) for name, seconds in spent.items()}) for row in rows]


def _begun(journal: PartialFile, now: RunInfo) -> RunInfo:
    """The run that the first scores are of: where it differs from that of now, a table says what most are of."""
    with journal.path.open(encoding="utf-8") as file:
        begun = RunInfo.from_dict(json.loads(file.readline()))
    if (begun.versions, begun.device) != (now.versions, now.device):
        print(f"{journal.path}: was begun with other versions or on another device; delete it to start over",
              file=sys.stderr)  # fmt: skip
    return begun


def _key(row: Entry) -> tuple[str | None, str | None]:
    return row.get("batch"), row["sha256"]


def _about(row: Entry) -> tuple[str | None, ...]:
    return row["label"], row["error"], *_key(row)


def _batch_of(sums: Sequence[str]) -> str | None:
    """A name of the images that are computed together; None of one, whose own sum will do."""
    return hashlib.sha256(" ".join(sums).encode()).hexdigest()[:16] if len(sums) > 1 else None


def read_journal(path: Path) -> tuple[RunInfo, list[Entry]]:
    """The run and the last row of each path, of partial results, also while another process is writing."""
    with path.open(encoding="utf-8") as file:
        lines = [json.loads(text) for text in file if text.endswith("\n")]
    return RunInfo.from_dict(lines[0]), list({row["path"]: row for row in lines[1:]}.values())


def load(scores: Path, data: Path) -> tuple[RunInfo, list[Entry]]:
    """Rows without errors, with ``source``, ``made_by`` and ``decoder`` of the manifest; sorted by path."""
    if not scores.is_file():
        table = scores.with_name(f"{scores.name.partition('.scores.')[0]}.csv")
        raise SystemExit(
            f"{scores}: no scores; python -m benchmarks.detection --data DATA --methods contrast,aedr,hfi "
            f"--models tiny --output {table} leaves them there"
        )
    entries = {entry["path"]: entry for entry in read_manifest(data)}
    run, rows = read_journal(scores)
    described = []
    for row in sorted(rows, key=lambda row: row["path"]):
        if row["error"] is None and (entry := entries.get(row["path"])):
            origin = {"source": entry.get("source", ""), "made_by": entry["generator"]}
            described.append(row | origin | {"decoder": decoder_of(entry["autoencoder"])})
    return run, described


def computed_by(run: RunInfo) -> str:
    """Models, precision, device and versions, for the conditions of a table."""
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    models = ", ".join(model.name for model in run.models)
    networks = f"{models} in {run.models[0].dtype}" if models else "no networks"
    return f"{networks}; {run.device} {platform.machine()}; {versions}"


def computed_name(run: RunInfo, methods: str) -> str:
    """The same in the name of a file: methods, or "all" if that was asked for, the distance of one, models, dtype."""
    names = "all" if methods == "all" else "+".join(method.name for method in run.methods)
    distance = run.methods[0].distance if len(run.methods) == 1 else None
    models = "+".join(shorten(tuple(model.name for model in run.models))).replace("/", "_")
    parts = (names, run.compat, distance, models, run.models[0].dtype)
    return "-".join(part for part in parts if part)


def only(rows: Sequence[Entry], methods: Sequence[str]) -> list[Entry]:
    """The rows as if they had been scored by these methods alone."""
    parts = ("scores", "per_model", "details")
    return [
        row | {part: {name: row[part][name] for name in methods if name in row[part]} for part in parts} for row in rows
    ]


def scores_of(encoding: str, name: str = "evidence") -> Path:
    """Path of the scores of ``benchmarks.detection --output results/NAME-ENCODING.csv``."""
    return journal_of(RESULTS / f"{name}-{encoding}.csv")
