"""Measures runs over many images.

    python -m benchmarks.scale throughput --data DATA --images 100000
    python -m benchmarks.scale faults --data DATA --images 2000 --kills 50
    python -m benchmarks.scale ray --data DATA --images 20000

`throughput` compares `recon-detect run` with a plain loop that keeps no rows, on small images and a method that costs
nothing: images per second, the same per second of processor time, memory, and the seconds from the command to the
first image, at first and when all shards but one are complete. `faults` kills runs, fills their disk, takes their
workers away, and compares what comes out with an undisturbed run. `ray` does both on a cluster of two nodes on this
machine.
"""

from __future__ import annotations

import argparse
import platform
import random
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common.data import write_table
from benchmarks.scale.faults import full_disk, kills, read_only, read_rows, worker_killed
from benchmarks.scale.shards import SIDE, make_shards
from benchmarks.scale.throughput import measure, run_command


def machine() -> str:
    """Machine of a measurement in words."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor()
    return f"{name}, {psutil.cpu_count()} cores"


def throughput(options: argparse.Namespace) -> None:
    folder = make_shards(options.data, options.images, options.per_shard)
    lines = [
        {"runner": f"run --workers {workers}"}
        | measure(folder, options.images, workers, partial(run_command, folder, workers=workers))
        for workers in map(int, options.workers.split(","))
    ]
    conditions = (
        f"{options.images} JPEG images of {SIDE} px in tar archives of {options.per_shard}, a method without a "
        f"network, {machine()}, load average {psutil.getloadavg()[0]:.1f} at the end"
    )
    write_table(options.output, conditions, lines)


def faults(options: argparse.Namespace) -> None:
    # Before the forks, so that each has it.
    import recon_detect.cli.app
    import recon_detect.detector  # noqa: F401

    per_shard = max(options.images // 8, 1)
    source = make_shards(options.data, options.images, per_shard)
    seed = random.randrange(2**32)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        lines = [kills(source, scratch, options.kills, per_shard, random.Random(seed))]
        expected = read_rows(scratch / "whole")
        lines.append(worker_killed(source, scratch, expected))
        lines.append(full_disk(source, scratch, expected, options.images * 5e-4))
        lines.append(read_only(source, scratch))
    write_lines(options.output, f"{SIDE} px, {machine()}", lines)


def ray(options: argparse.Namespace) -> None:
    from benchmarks.scale import cluster

    source = make_shards(options.data, options.images, options.per_shard)
    small = make_shards(options.data / "small", 400, 50)
    with tempfile.TemporaryDirectory() as name, cluster.two_nodes() as nodes:
        scratch = Path(name)
        cluster.score(small, scratch / "whole")
        expected = read_rows(scratch / "whole")
        lines = []
        for fault in ("Ray worker killed", "Ray node stopped"):
            lines.append(cluster.disturbed(small, scratch / fault.split()[1], expected, fault, nodes))
            print(lines[-1], flush=True)
        write_lines(options.output.with_name(f"{options.output.stem}-faults.csv"), f"two nodes, {machine()}", lines)
        line = {"runner": "Ray, 2 actors"} | cluster.throughput(source, scratch, options.images, 2)
    write_lines(options.output, f"{options.images} JPEG images of {SIDE} px, {machine()}", [line])


def write_lines(output: Path, conditions: str, lines: list[dict[str, Any]]) -> None:
    """Writes a table whose lines may lack columns."""
    columns = dict.fromkeys(column for line in lines for column in line)
    write_table(output, conditions, [{column: line.get(column, "") for column in columns} for line in lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for run, images in ((throughput, 100_000), (faults, 2000), (ray, 20_000)):
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        command.add_argument("--images", type=int, default=images)
        command.add_argument("--data", type=Path, required=True, help="folder for the shards, which are made")
        command.add_argument("--output", type=Path, default=Path(f"scale-{run.__name__}.csv"))
        if run is faults:
            command.add_argument("--kills", type=int, default=50)
        else:
            command.add_argument("--per-shard", type=int, default=1000)
        if run is throughput:
            command.add_argument("--workers", default="2")
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
