"""Measures runs over many images.

    python -m benchmarks.scale throughput --images 100000 --output benchmarks/results/scale-throughput.csv

`throughput` compares `recon-detect run` with a plain loop that keeps no rows, on small images and a method that costs
nothing: images per second, the same per second of processor time, memory, and the seconds from the command to the
first image, at first and when all shards but one are complete.
"""

from __future__ import annotations

import argparse
import platform
from functools import partial
from pathlib import Path

import psutil

from benchmarks.common.data import write_table
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("throughput")
    command.set_defaults(run=throughput)
    command.add_argument("--images", type=int, default=100_000)
    command.add_argument("--per-shard", type=int, default=1000)
    command.add_argument("--workers", default="2")
    command.add_argument("--data", type=Path, required=True, help="folder for the shards, which are made")
    command.add_argument("--output", type=Path, default=Path("scale-throughput.csv"))
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
