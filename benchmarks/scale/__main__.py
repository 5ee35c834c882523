"""Measures runs over many images.

    python -m benchmarks.scale throughput --data DATA --images 100000
    python -m benchmarks.scale faults --data DATA --images 2000 --kills 50
    python -m benchmarks.scale ray --data DATA --images 20000
    python -m benchmarks.scale cost

`throughput` compares `recon-detect run` with a plain loop that keeps no rows, on small images and a method that costs
nothing: images per second of processor time, memory, and the seconds from the command to the
first image, at first and when all shards but one are complete. `faults` kills runs, fills their disk, takes their
workers away, and compares what comes out with an undisturbed run. `ray` does both on a cluster of two nodes on this
machine. `cost` computes hours and price of 10^8 and 10^10 images (`benchmarks.scale.cost`).
"""

from __future__ import annotations

import argparse
import platform
import random
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil

from benchmarks.common.data import RESULTS, read_table, write_table
from benchmarks.scale.cost import Plan, estimate
from benchmarks.scale.faults import full_disk, kills, read_only, read_rows, sources, worker_killed
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
        lines.append(full_disk(source, scratch, expected, options.images * 1.5e-4))
        lines.append(read_only(source, scratch))
        lines.append(sources(scratch / "sources", 500))
    write_table(options.output, f"{SIDE} px, {machine()}", lines)


def ray(options: argparse.Namespace) -> None:
    from benchmarks.scale import cluster

    source = make_shards(options.data, options.images, options.per_shard)
    small = make_shards(options.data.with_name(f"{options.data.name}-small"), 400, 50)
    with tempfile.TemporaryDirectory() as name, cluster.two_nodes() as nodes:
        scratch = Path(name)
        line = {"runner": "Ray, 2 actors"} | cluster.throughput(source, scratch, options.images)
        write_table(options.output, f"{options.images} JPEG images of {SIDE} px, {machine()}", [line])
        cluster.score(small, scratch / "whole")
        expected = read_rows(scratch / "whole")
        lines = [
            cluster.disturbed(small, scratch / str(number), expected, fault, nodes)
            for number, fault in enumerate(("Ray worker killed", "Ray node stopped"))
        ]
    write_table(options.output.with_name(f"{options.output.stem}-faults.csv"), f"two nodes, {machine()}", lines)


def cost(options: argparse.Namespace) -> None:
    grid = next(
        float(line["seconds"])
        for line in read_table(RESULTS / "speed-methods-cpu.csv")[1]
        if (line["method"], line["size"]) == ("grid", "512")
    )
    kinds = (
        ("grid, cores", Plan(1e8, grid, 1000, per_shard=1000), 10),
        ("100 images a second, GPUs", Plan(1e8, 0.01, 64, start=60, price=2.0), 10),
        ("1000 images a second, GPUs", Plan(1e8, 0.001, 64, start=60, price=2.0), 10),
    )
    lines = []
    for name, small, more in kinds:
        for plan in (small, replace(small, images=1e10, workers=small.workers * more)):
            result = estimate(plan)
            lines.append({
                "workers of": name, "images": f"{plan.images:.0e}", "workers": plan.workers,
                "hours": round(result.hours, 1), "of that the last shards": round(result.tail, 2),
                "dollars": round(result.price), "failures": round(result.failures),
                "images scored again": round(result.repeated), "shards": result.shards,
                "GB of results": round(result.gigabytes), "GB/s read": round(result.read / 1e9, 2),
            })  # fmt: skip
    assumed = (
        f"seconds of grid measured (speed-methods-cpu.csv), those of GPUs assumed; {small.image_bytes / 1e3:.0f} kB an "
        f"image, a store of {small.bandwidth / 1e9:.0f} GB/s, shards of 1000 images for cores and of {small.per_shard} "
        f"for GPUs, a failure per worker and {small.mean_life:.0f} h, 1 worker in 100 half as fast; $0.02 a core and "
        "hour, $2 a GPU and hour"
    )
    write_table(options.output, assumed, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("cost")
    command.set_defaults(run=cost)
    command.add_argument("--output", type=Path, default=Path("scale-cost.csv"))
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
