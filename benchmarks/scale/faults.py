"""Faults in the middle of runs: kills, a full disk, a destination that cannot be written, workers that die."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from benchmarks.kill import ended
from benchmarks.scale.shards import METHOD, images, write_folder, write_parquet, write_tar
from benchmarks.scale.throughput import events
from recon_detect.cli import NO_SPACE
from recon_detect.cli import main as command_line

TOLERANCE = 1e-6
# About the bytes of a row in a journal, for the progress of a run.
_ROW = 700
_LIMIT = 600.0

Rows = dict[str, dict[str, Any]]


def arguments(source: Path, destination: Path, *options: str) -> list[str]:
    """The command line of a run."""
    return ["recon-detect", "run", str(source), str(destination), "--method", METHOD, "--device", "cpu", *options]


def start(source: Path, destination: Path, *options: str) -> int:
    """Starts a run in a fork of this process, which has imported everything, and gives its id."""
    if process := os.fork():
        return process
    sys.argv = arguments(source, destination, *options)
    code = 70
    try:
        with destination.with_name("messages").open("w", buffering=1) as sys.stderr:
            command_line()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os._exit(code)


def finish(process: int) -> int:
    """Waits for a process and gives its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def progress(destination: Path, per_shard: int) -> int:
    """Rows that are there, roughly."""
    rows = per_shard * len(list(destination.glob("*.parquet")))
    for path in destination.glob("*.parquet.partial"):
        try:
            rows += path.stat().st_size // _ROW
        except FileNotFoundError:
            continue
    return rows


def read_rows(destination: Path) -> Rows:
    """All rows of a run by path.

    Raises:
        AssertionError: A path has two.
    """
    rows = [row for path in sorted(destination.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    by_path = {row["path"]: row for row in rows}
    assert len(rows) == len(by_path), "an image has two rows"
    return by_path


def compare(expected: Rows, destination: Path) -> float:
    """Compares a run with an undisturbed one; gives the largest difference of a score.

    Raises:
        AssertionError: Images are missing or rows differ, or something is left behind.
    """
    rows, largest = read_rows(destination), 0.0
    assert list(rows) == list(expected), "other images, or in another order"
    for path, row in rows.items():
        before = dict(expected[path])
        for name in ("score", "roughness"):
            largest = max(largest, abs(row.pop(name) - before.pop(name)))
        assert row == before, f"{path}: {row} is not {before}"
    assert largest <= TOLERANCE, largest
    left = [path.name for path in destination.iterdir() if path.name.endswith((".partial", ".lock"))]
    assert not left, left
    return largest


def kills(source: Path, scratch: Path, number: int, per_shard: int, chance: random.Random) -> dict[str, Any]:
    """Kills a run so many times at random moments; each complete one is compared, and another begun."""
    assert finish(start(source, scratch / "whole")) == 0
    expected = read_rows(scratch / "whole")
    step, completed, differences, times, moments = 2 * len(expected) / number, 0, [0.0], 0, []
    while times < number:
        destination = scratch / f"broken-{completed}"
        target = progress(destination, per_shard) + chance.uniform(0, step)
        process = start(source, destination)
        while (code := ended(process)) is None and progress(destination, per_shard) < target:
            time.sleep(0.002)
        if code is None:
            time.sleep(chance.uniform(0, 0.03))
            os.kill(process, signal.SIGKILL)
            code = finish(process)
        if code == -signal.SIGKILL:
            times += 1
            moments.append(progress(destination, per_shard))
        else:
            assert code == 0, code
            differences.append(compare(expected, destination))
            completed += 1
    destination = scratch / f"broken-{completed}"
    assert finish(start(source, destination)) == 0
    differences.append(compare(expected, destination))
    return {"fault": f"kill -9 at {number} random moments", "images": len(expected), "runs": completed + 1,
            "rows": f"{min(moments)} to {max(moments)} at the kills", "difference": max(differences)}  # fmt: skip


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A file system in memory; needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def message(destination: Path) -> str:
    """The last message of a run."""
    lines = destination.with_name("messages").read_text().splitlines()
    return next((line for line in reversed(lines) if line.startswith("recon-detect:")), "")


def without_folders(text: str) -> str:
    """A message whose paths are those of any machine."""
    return re.sub(r"(?<!\S)/\S*/", "", text)


def full_disk(source: Path, scratch: Path, expected: Rows, megabytes: float) -> dict[str, Any]:
    """Fills the disk of a run, and goes on with more room."""
    with mounted(scratch / "full", f"size={int(megabytes * 1e6)}") as folder:
        destination = folder / "out"
        (folder / "messages").touch()
        code = finish(start(source, destination))
        refusal = message(destination)
        assert code == NO_SPACE, (code, refusal)
        rows = progress(destination, 1)
        subprocess.run(["mount", "-o", "remount,size=200M", folder], check=True)
        assert finish(start(source, destination)) == 0
        difference = compare(expected, destination)
    return {"fault": "full disk", "images": len(expected), "runs": 2, "rows": f"{rows} at least when it was full",
            "difference": difference, "message": without_folders(refusal)}  # fmt: skip


def read_only(source: Path, scratch: Path) -> dict[str, Any]:
    """Writes where nothing can be written."""
    with mounted(scratch / "fixed", "ro,size=1M") as folder:
        process = subprocess.run(
            [sys.executable, "-m", "recon_detect", *arguments(source, folder / "out")[1:]],
            capture_output=True,
            text=True,
        )
    assert process.returncode == 2, process.stderr
    return {
        "fault": "read-only destination",
        "runs": 1,
        "message": without_folders(process.stderr.strip().splitlines()[-1]),
    }


def worker_killed(source: Path, scratch: Path, expected: Rows) -> dict[str, Any]:
    """Kills one of two workers in the middle of a shard."""
    destination = scratch / "worker"
    process = start(source, destination, "--workers", "2")
    wait_for(lambda: progress(destination, 1) > 20)
    workers = [
        child for child in psutil.Process(process).children() if any("spawn_main" in part for part in child.cmdline())
    ]
    workers[0].kill()
    assert finish(process) == 0
    text = destination.with_name("messages").read_text()
    warning = next(line for line in text.splitlines() if "was ended by signal 9" in line)
    assert [event["event"] for event in events(destination)][-1] == "end"
    return {"fault": "worker killed", "images": len(expected), "runs": 1, "difference": compare(expected, destination),
            "message": without_folders(warning)}  # fmt: skip


def sources(scratch: Path, count: int) -> dict[str, Any]:
    """Scores the same images from a folder, a tar and a Parquet file; rows are compared but for their names."""
    from recon_detect import load_detector
    from recon_detect.scale import plan, score_shard

    write_folder(scratch / "folder", images(0, count))
    write_tar(scratch / "data.tar", images(0, count))
    write_parquet(scratch / "data.parquet", images(0, count))
    detector = load_detector(METHOD, device="cpu")
    tables = []
    for name in ("folder", "data.tar", "data.parquet"):
        (shard,) = plan([scratch / name])
        score_shard(shard.images, output := scratch / "out" / f"{name}.parquet", detector)
        tables.append([row | {"path": Path(row["path"]).name} for row in pq.read_table(output).to_pylist()])
    assert tables[0] == tables[1] == tables[2] and len(tables[0]) == count
    return {"fault": "none: folder, tar and Parquet of the same images", "images": count, "runs": 3, "difference": 0.0}


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits until a condition holds.

    Raises:
        TimeoutError: It does not for ten minutes.
    """
    last = time.monotonic() + _LIMIT
    while not condition():
        if time.monotonic() > last:
            raise TimeoutError("what was waited for did not come")
        time.sleep(0.01)
