"""Entries on disk while a run lasts, which a run that is killed leaves behind and the same command goes on with."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, KeysView
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from recon_detect.atomic import replacing
from recon_detect.errors import UsageError
from recon_detect.images.augment import COPY
from recon_detect.names import path_of, written
from recon_detect.output.lock import Lock
from recon_detect.output.writers import json_line
from recon_detect.settings import DEFAULTS

if TYPE_CHECKING:
    from recon_detect.images import Source

log = logging.getLogger("recon_detect")

Entry = dict[str, Any]

# Of entries that earlier versions wrote.
_UNKNOWN = "unknown"
_LONGEST_HEAD = 1 << 20


@dataclass(frozen=True, slots=True)
class _Place:
    """Place of an entry in the file, with the `stamp` of its image and whether that failed."""

    offset: int
    stamp: object
    failed: bool


class PartialFile:
    """Entries of one output file, ``NAME.partial`` beside it: a head that says what they are of, and one a line.

    Each entry keeps size and time of its image's file under ``"file"``, so that a file that has changed is not taken
    for what it was. While it is open, no other process opens it.

    Args:
        output: Path of the complete file.
        head: Description of the run, with a fingerprint under ``"run"`` and, under ``"inputs"``, settings that decide
            which images become errors.
        resume: Go on after the entries that are there already; False starts over.

    Attributes:
        resumed: Whether there were entries when it was opened.
        changed: Number of entries whose file has changed since, or which were to be tried again.

    Raises:
        UsageError: On entering: entries of another configuration, a file of something else, or a place that cannot be
            written.
        OutputLocked: Another process writes it.
    """

    def __init__(self, output: Path, head: Entry, *, resume: bool = True) -> None:
        self.output = output
        self.path = output.with_name(output.name + ".partial")
        self.head = head
        self.resume = resume
        self.resumed = False
        self.changed = 0
        self._places: dict[str, _Place] = {}
        self._wanted: dict[str, object] = {}
        self._end = 0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with self._open as stack, _one_line(self.path):
            self.output.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(Lock(self.output))
            stack.callback(self._remove_empty)
            if self.path.exists():
                self._load()
            self.resumed = bool(self._places)
            if not self.resume:
                self._end = 0
                self._places.clear()
            self._file: IO[bytes] = stack.enter_context(self.path.open("ab"))
            self._file.truncate(self._end)
            self._reader: IO[bytes] = stack.enter_context(self.path.open("rb"))
            if not self._end:
                self._append(self.head)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def done(self) -> KeysView[str]:
        """Names of the images that have an entry."""
        return self._places.keys()

    @property
    def failed(self) -> list[str]:
        """Names of the images whose entry is an error."""
        return [name for name, place in self._places.items() if place.failed]

    @property
    def left_out(self) -> int:
        """Number of entries of images that `lacks` was never asked of."""
        return len(self._places.keys() - self._wanted.keys()) if self._wanted else 0

    def lacks(self, source: Source) -> bool:
        """True for an image without an entry, or with one of an earlier state of its file; it is then wanted."""
        now = self._wanted[source.id] = stamp(source.id)
        place = self._places.get(source.id)
        if place and place.stamp not in (_UNKNOWN, now):
            self.forget([source.id])
        return source.id not in self._places

    def forget(self, names: Iterable[str]) -> None:
        """Drops entries: their images are lacking."""
        for name in names:
            del self._places[name]
            self.changed += 1

    def write(self, entry: Entry) -> None:
        """Appends an entry and hands it to the operating system."""
        name = path_of(entry["path"])
        if name in self._wanted:
            entry = entry | {"file": self._wanted[name]}
        offset = self._end
        self._append(entry)
        self._index(entry, offset)

    def entry(self, name: str) -> Entry:
        """Reads the entry of an image.

        Raises:
            KeyError: It has none.
        """
        self._reader.seek(self._places[name].offset)
        entry: Entry = json.loads(self._reader.readline())
        entry.pop("file", None)
        return entry

    def entries(self) -> Iterator[Entry]:
        """Reads all entries so far in the order in which they were written, also earlier ones of the same image."""
        with self.path.open("rb") as file:
            next(file)  # the head
            yield from filter(None, map(self._whole, file))

    def current(self) -> Iterator[Entry]:
        """Reads the entries of the images that `lacks` was asked of, in that order; of all, if it was not asked."""
        for name in self._wanted or self._places:
            if name in self._places:
                yield self.entry(name)

    def finished(self, sources: Iterable[Source] | None = None) -> Entry | None:
        """The description of the complete file, where that is of these images and settings; None where there is none.

        Args:
            sources: The images; None where the settings name them.

        Raises:
            UsageError: There is a complete file of something else.
        """
        if self.resumed or not self.output.exists():  # a journal that was left is of a run that may replace it
            return None
        description = self._described()
        files = description.get("files")
        if sources is not None:
            files = digest_of({source.id: stamp(source.id) for source in sources})
        differences = (
            ("another file", "run" not in description),
            ("results of another configuration", description.get("run") != self.head["run"]),
            ("answers by another mode or threshold", _deciding(description) != _deciding(self.head)),
            ("results with other limits", description.get("inputs") != self.head.get("inputs")),
            ("a table with other cells", description.get("csv_safe") != self.head.get("csv_safe")),
            ("results of other images, or of files that have changed", description.get("files") != files),
        )
        if what := next((what for what, differs in differences if differs), None):
            raise UsageError(f"{self.output}: {what}; choose another output, or replace it with --overwrite")
        return description

    def finish(self, *, others: bool = False) -> Entry:
        """Moves the entries into place, and head and counts beside them as ``NAME.run.json``; gives these.

        Args:
            others: Keep entries of images that `lacks` was not asked of, behind the others.
        """
        if others:
            self._wanted |= {name: place.stamp for name, place in self._places.items() if name not in self._wanted}
        with replacing(self.output) as path:
            counts = self._complete(path)
        files = {"files": digest_of(self._wanted)} if self._wanted else {}
        with replacing(self._head_path) as path:
            description = self.head | counts | files | {"folder": _way_to_here(self.output.parent)}
            path.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        self._file.close()
        self._reader.close()
        self.path.unlink()
        return description

    def _complete(self, path: Path) -> dict[str, int]:
        """Writes the complete file; gives counts of its entries."""
        with path.open("w", encoding="utf-8") as file:
            file.writelines(map(json_line, self.current()))
        return {}

    @property
    def _head_path(self) -> Path:
        return self.output.with_name(self.output.name + ".run.json")

    def _described(self) -> Entry:
        try:
            description = json.loads(self._head_path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return description if isinstance(description, dict) else {}

    def _append(self, entry: Entry) -> None:
        line = json_line(entry).encode()
        self._file.write(line)
        self._file.flush()
        self._end += len(line)

    def _index(self, entry: Entry, offset: int) -> None:
        failed = entry.get("error") is not None
        self._places[path_of(entry["path"])] = _Place(offset, entry.get("file", _UNKNOWN), failed)

    def _load(self) -> None:
        """Finds the whole entries that are there, behind a whole head."""
        damaged = []
        with self.path.open("rb") as file:
            head = file.readline(_LONGEST_HEAD)
            if not head.endswith(b"\n") and json_line(self.head).encode().startswith(head):
                return  # killed while it wrote its head
            self._check_head(_parsed(head) if head.endswith(b"\n") else None)
            self._end = len(head)
            for number, line in enumerate(file, start=2):
                if not line.endswith(b"\n"):  # being written when the run was killed
                    break
                if entry := self._whole(line):
                    self._index(entry, self._end)
                else:
                    damaged.append(number)
                self._end += len(line)
        if damaged:
            log.warning("%s: %d damaged lines (the first is line %d); their images are scored again",
                        self.path, len(damaged), damaged[0])  # fmt: skip

    def _check_head(self, head: Entry | None) -> None:
        if head is None or "run" not in head:
            raise UsageError(f"{self.path}: expected partial results, which begin with a description of their run; got "
                             "another file: move it away, or choose another output")  # fmt: skip
        if head["run"] != self.head["run"]:
            raise UsageError(
                f"{self.path}: partial results of another configuration (run {head['run']}, now {self.head['run']}); "
                "finish that run, or delete the file"
            )
        now = self.head.get("inputs")
        if now and head.get("inputs", now) != now:
            raise UsageError(
                f"{self.path}: partial results with other limits ({head['inputs']}, now {now}); finish that run, or "
                "delete the file"
            )

    def _whole(self, line: bytes) -> Entry | None:
        """The entry of a line; None of a line that is damaged."""
        entry = _parsed(line) if line.endswith(b"\n") else None
        return entry if entry and isinstance(entry.get("path"), str) else None

    def _remove_empty(self) -> None:
        if not (self.resumed or self._places):
            with suppress(OSError):
                head = json_line(self.head).encode()
                if self.path.stat().st_size == len(head) and self.path.read_bytes() == head:
                    self.path.unlink()


def stamp(name: str) -> object:
    """Size and time of change (ns) of the file that an image, or a changed copy of one, is named after; or None.

    Of an image in an archive those of the archive.
    """
    original, copy, _ = name.rpartition(COPY)
    file = original if copy else name
    try:
        status = os.stat(file)  # noqa: PTH116 - Path raises on over-long names
    except NotADirectoryError:
        return stamp(os.path.dirname(file))  # noqa: PTH120
    except (OSError, ValueError):
        return None
    return [status.st_size, status.st_mtime_ns]


def digest_of(stamps: dict[str, object]) -> str:
    """Sixteen hexadecimal digits of names of images and the `stamp` of each, in any order."""
    lines = sorted(f"{written(name)} {json.dumps(of_file)}\n" for name, of_file in stamps.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def _deciding(description: Entry) -> tuple[str, float | None]:
    """Mode and threshold that the answers of complete results were given by; by default where they are not stated."""
    return description.get("mode", DEFAULTS.mode), description.get("threshold")


def _parsed(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Refuses a place that cannot be written."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{error.filename or path}: cannot be written ({error.strerror or error})") from error


def _way_to_here(folder: Path) -> str:
    """The current folder as seen from that of an output, so that its relative paths can be read back from there."""
    here = Path.cwd()
    try:
        way = os.path.relpath(here, folder.absolute())
    except ValueError:  # on Windows another drive
        way = str(here)
    return written(Path(way).as_posix())
