"""The folder that a run writes into: its description, its shards, its log, and its manifest when it is complete."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon_detect.atomic import replacing
from recon_detect.errors import UsageError
from recon_detect.names import written
from recon_detect.output.checks import check_folder
from recon_detect.output.writers import json_line
from recon_detect.scale.shards import Shard, inputs_of

if TYPE_CHECKING:
    from recon_detect.detector import Detector

_RUN, _MANIFEST = "run.json", "manifest.json"
# Of `run.json` and `manifest.json`.
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Status:
    """Progress of a run.

    Attributes:
        shards: Number of shards.
        complete: Number of those that are complete.
        images: Rows of complete shards.
        failed: Those of them that are errors.
        likely_generated: Those of them with this verdict.
        in_progress: Rows of shards that are not complete yet, by the name of their file.
    """

    shards: int
    complete: int
    images: int
    failed: int
    likely_generated: int
    in_progress: dict[str, int]


class Destination:
    """The folder of a run.

    Args:
        folder: Its path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, inputs: Sequence[str], shards: Sequence[Shard], detector: Detector) -> None:
        """Describes the run in ``run.json``, or checks that the run there is the same.

        Raises:
            UsageError: The folder cannot be written, or is of other settings or another source.
        """
        check_folder(self.folder)
        digest = hashlib.sha256("".join(f"{shard.digest}\n" for shard in shards).encode()).hexdigest()[:16]
        now = {
            "schema": SCHEMA,
            "run": detector.run_info.fingerprint,
            "inputs": detector.settings.limits,
            "source": digest,
            "shards": len(shards),
        }
        if (before := self._read(_RUN)) is None:
            self._check_foreign()
            about = {"paths": [written(text) for text in inputs], "detector": detector.run_info.to_dict()}
            self._write(_RUN, now | about)
            return
        differences = (
            ("another configuration", "run", detector.run_info.fingerprint),
            ("other limits", "inputs", now["inputs"]),
            ("other images or --images-per-shard, or of files that have changed", "source", digest),
        )
        for what, key, value in differences:
            if before.get(key) != value:
                raise UsageError(
                    f"{self.folder}: a run of {what} ({before.get(key)}, now {value}); choose another destination"
                )

    def status(self) -> Status:
        """Progress of the run, from what is there.

        Raises:
            UsageError: No run has this destination.
        """
        run = self._read(_RUN)
        if run is None or not isinstance(run.get("shards"), int):
            raise UsageError(f"{self.folder}: expected the destination of a run, with a {_RUN}")
        return self._status(run["shards"], self._complete())

    def _check_foreign(self) -> None:
        """Checks that no Parquet files of something else are there, before the first shard is written.

        Raises:
            UsageError: One is.
        """
        for path in sorted(self.folder.glob("*.parquet")):
            if not path.with_name(f"{path.name}.run.json").exists():
                raise UsageError(f"{path} is not of a run; choose another destination, where its results are alone")

    def _status(self, shards: int, complete: dict[str, dict[str, Any]]) -> Status:
        counts = {name: sum(description[name] for description in complete.values()) for name in _COUNTS}
        partial = {path: _rows(path) for path in sorted(self.folder.glob("*.parquet.partial"))}
        in_progress = {path.name.removesuffix(".partial"): rows for path, rows in partial.items() if rows is not None}
        return Status(shards, len(complete), **counts, in_progress=in_progress)

    def finish(self, shards: Sequence[Shard]) -> Status:
        """Progress of the run, which has a manifest, ``manifest.json``, from the end of its last shard on."""
        complete = self._complete()
        status = self._status(len(shards), complete)
        if status.complete == status.shards:
            files = [
                {"file": shard.output, "source": written(shard.title)}
                | {name: complete[shard.output][name] for name in _COUNTS}
                for shard in shards
            ]
            totals = {name: getattr(status, name) for name in _COUNTS}
            self._write(_MANIFEST, (self._read(_RUN) or {}) | totals | {"files": files})
        return status

    def lacking(self, shards: Iterable[Shard], detector: Detector) -> list[Shard]:
        """Shards that are not complete, with the settings of this detector, or that a killed process left untidy."""
        names = {path.name for path in self.folder.iterdir()}
        return [
            shard
            for shard in shards
            if names & {f"{shard.output}.partial", f".{shard.output}.lock"}
            or not (description := self._described(shard.output))
            or description.get("run") != detector.run_info.fingerprint
            or description.get("inputs") != inputs_of(shard.digest, detector)
        ]

    def log(self, rank: int, event: str, **values: Any) -> None:
        """Appends a line of JSON to ``log-RANK.jsonl``: what happened when, and where."""
        entry = {"time": round(time.time(), 3), "event": event, "host": socket.gethostname(), "process": os.getpid()}
        with (self.folder / f"log-{rank}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json_line(entry | values))

    def _complete(self) -> dict[str, dict[str, Any]]:
        """Description of each complete shard, by the name of its file."""
        names = [path.name.removesuffix(".run.json") for path in sorted(self.folder.glob("*.parquet.run.json"))]
        return {name: described for name in names if (described := self._described(name))}

    def _described(self, output: str) -> dict[str, Any] | None:
        """The description of a shard; None where it is not complete."""
        description = self._read(output + ".run.json") if (self.folder / output).exists() else None
        return description if description and set(_COUNTS) <= set(description) else None

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            content = json.loads((self.folder / name).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.folder / name}: expected JSON of a run ({error}); remove it") from error
        return content if isinstance(content, dict) else {}

    def _write(self, name: str, content: dict[str, Any]) -> None:
        with replacing(self.folder / name) as path:
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


_COUNTS = ("images", "failed", "likely_generated")


def _rows(partial: Path) -> int | None:
    """Rows of a shard that is not complete, below the head; None where it has been completed meanwhile."""
    try:
        with partial.open("rb") as file:
            return max(sum(1 for _ in file) - 1, 0)
    except FileNotFoundError:
        return None
