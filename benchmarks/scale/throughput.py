"""Throughput, memory and resumption of `run` and of Ray, beside a plain loop."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.scale.shards import METHOD
from recon_detect import find_sources, load_detector
from recon_detect.scale import score_shard

if TYPE_CHECKING:
    from recon_detect.detector import Detector

# Seconds between samples of memory, and shards that are compared with a plain loop.
_SAMPLE, _PAIRS = 2.0, 4
MB = 1e6


@dataclass(slots=True)
class Usage:
    """Use of processor and memory by a process and all that it started.

    Attributes:
        resident: Memory of all in bytes, at each sample, without what they share.
        processor: Processor time in seconds of each process that was seen.
    """

    resident: list[int] = field(default_factory=list)
    processor: dict[int, float] = field(default_factory=dict)

    def sample(self, root: psutil.Process) -> None:
        """Adds a sample of a process and all below it."""
        with suppress(psutil.NoSuchProcess):
            self.sample_all([root, *root.children(recursive=True)])

    def sample_all(self, processes: Sequence[psutil.Process]) -> None:
        """Adds a sample of processes."""
        total = 0
        for process in processes:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_full_info().uss
                times = process.cpu_times()
                self.processor[process.pid] = times.user + times.system
        self.resident.append(total)

    @property
    def seconds(self) -> float:
        """Processor time of all."""
        return sum(self.processor.values())

    def growth(self) -> float:
        """Growth of memory from the first quarter of the run to its end: largest of the last by largest of the second.

        The first fifth is left out, in which programs are loaded.
        """
        samples = self.resident[len(self.resident) // 5 :]
        quarter = max(len(samples) // 4, 1)
        return max(samples[-quarter:]) / max(samples[:quarter])


def watch(command: Sequence[str]) -> Usage:
    """Runs a command to its end and gives what it used.

    Raises:
        AssertionError: It ended with an error.
    """
    usage = Usage()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    root = psutil.Process(process.pid)
    while process.poll() is None:
        usage.sample(root)
        time.sleep(_SAMPLE)
    assert process.returncode == 0, process.stderr and process.stderr.read()
    return usage


def run_command(source: Path, destination: Path, *, workers: int) -> list[str]:
    """The command line of a run."""
    command = ["run", str(source), str(destination), "--method", METHOD, "--device", "cpu", "--quiet"]
    return [sys.executable, "-m", "recon_detect", *command, "--workers", str(workers)]


def plain_loop(paths: Sequence[Path], detector: Detector) -> float:
    """Scores archives in one loop that keeps nothing; gives its processor time."""
    before = time.process_time()
    with closing(detector.stream(find_sources(paths))) as rows:
        deque(rows, maxlen=0)
    return time.process_time() - before


def shard_time(path: Path, output: Path, detector: Detector) -> float:
    """Scores an archive by `score_shard`; gives its processor time."""
    before = time.process_time()
    score_shard(path, output, detector)
    return time.process_time() - before


def beside_loop(folder: Path, pairs: int = _PAIRS) -> list[float]:
    """Throughput of `score_shard` by that of a plain loop, for so many shards: processor time, one after the other.

    In turn, each first as often, because the processor time of the same work varies with the load of a machine.
    """
    detector = load_detector(METHOD, device="cpu")
    warm, *paths = sorted(folder.glob("*.tar"))[: pairs + 1]
    plain_loop([warm], detector)
    ratios = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, path in enumerate(paths):
            output = Path(scratch, path.name).with_suffix(".parquet")
            ways = [partial(plain_loop, [path], detector), partial(shard_time, path, output, detector)]
            times = {way.func: way() for way in (ways if number % 2 else ways[::-1])}
            ratios.append(times[plain_loop] / times[shard_time])
    return ratios


def measure(folder: Path, count: int, workers: int, start: Callable[[Path], Sequence[str]]) -> dict[str, Any]:
    """Scores shards by a command, and again after one of them was removed; a line of the table.

    Args:
        folder: Shards.
        count: Number of their images.
        workers: Processes that the command has.
        start: The command for a destination.
    """
    ratios = beside_loop(folder)
    with tempfile.TemporaryDirectory() as scratch:
        destination = Path(scratch) / "out"
        begun = time.time()
        usage = watch(start(destination))
        log = events(destination)
        check(destination, count)
        for path in destination.glob("000000.parquet*"):
            path.unlink()
        again = time.time()
        watch(start(destination))
        restarted = [event for event in events(destination) if event["event"] == "begin"][-1]
        check(destination, count)
    return {
        "images": count,
        "workers": workers,
        "seconds": round(log[-1]["time"] - log[0]["time"], 1),
        "images per core and second": round(count / usage.seconds, 1),
        "of a plain loop": f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        "MB": round(max(usage.resident) / MB),
        "growth of memory": round(usage.growth(), 3),
        "start, s": round(log[0]["time"] - begun, 1),
        "resuming, s": round(restarted["time"] - again, 1),
    }


def check(destination: Path, count: int) -> None:
    """Compares the manifest with the number of images, each of which has one row."""
    manifest = json.loads((destination / "manifest.json").read_text())
    assert (manifest["images"], manifest["failed"]) == (count, 0), manifest
    paths = [path for file in sorted(destination.glob("*.parquet")) for path in read_paths(file)]
    assert len(paths) == len(set(paths)) == count


def read_paths(file: Path) -> list[str]:
    """Paths of the rows of a shard."""
    import pyarrow.parquet as pq

    paths: list[str] = pq.read_table(file, columns=["path"])["path"].to_pylist()
    return paths


def events(destination: Path) -> list[dict[str, Any]]:
    """The log of a run."""
    return [json.loads(line) for line in (destination / "log-0.jsonl").read_text().splitlines()]
