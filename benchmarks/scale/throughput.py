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
from pathlib import Path
from typing import Any

import psutil

from benchmarks.scale.shards import METHOD

# Seconds between samples of memory, and shards of the plain loop, which runs before and after.
_SAMPLE, _LOOP_SHARDS = 2.0, 4
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


def plain_loop(folder: Path, shards: int) -> tuple[int, float, float]:
    """Scores so many shards in one loop that keeps nothing: images, seconds and processor time."""
    from recon_detect import find_sources, load_detector

    detector = load_detector(METHOD, device="cpu")
    warm, *paths = sorted(folder.glob("*.tar"))[: shards + 1]
    with closing(detector.stream(find_sources([warm]))) as rows:
        deque(rows, maxlen=0)
    begun, before = time.monotonic(), time.process_time()
    with closing(detector.stream(find_sources(paths))) as rows:
        images = sum(1 for _ in rows)
    return images, time.monotonic() - begun, time.process_time() - before


def measure(folder: Path, count: int, workers: int, start: Callable[[Path], Sequence[str]]) -> dict[str, Any]:
    """Scores shards by a command, and again after one of them was removed; a line of the table.

    Args:
        folder: Shards.
        count: Number of their images.
        workers: Processes that the command has.
        start: The command for a destination.
    """
    loops = [plain_loop(folder, _LOOP_SHARDS)]
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
    loops.append(plain_loop(folder, _LOOP_SHARDS))
    loop_images, loop_seconds, loop_processor = (sum(values) for values in zip(*loops, strict=True))
    seconds = log[-1]["time"] - log[0]["time"]
    return {
        "images": count,
        "workers": workers,
        "seconds": round(seconds, 1),
        "images_per_second": round(count / seconds, 1),
        "loop_images_per_second": round(loop_images / loop_seconds, 1),
        "per_core": round(count / usage.seconds, 1),
        "loop_per_core": round(loop_images / loop_processor, 1),
        "of_loop": round(count / usage.seconds * loop_processor / loop_images, 3),
        "megabytes": round(max(usage.resident) / MB),
        "growth": round(usage.growth(), 3),
        "start_seconds": round(log[0]["time"] - begun, 2),
        "resume_seconds": round(restarted["time"] - again, 2),
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
