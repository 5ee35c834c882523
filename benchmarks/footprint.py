"""Costs of the package before and while it works: start-up times and memory.

    python -m benchmarks.footprint --part start
    python -m benchmarks.footprint --part memory --models taesd

`start` is a first answer: fresh processes that score one photograph with the default method and the models of the
package, the fastest of several. On a busy machine wall time means little; CPU time is given beside it. `memory` is the
resident set of a process that scores 10,000 small images, the median of samples over the first and the last thousand,
and the peak of one that scores a photograph-sized image.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.common.data import RESULTS, write_table
from benchmarks.methods_speed import cpu, photograph
from recon_detect.settings import DEFAULTS

COLUMNS = ("what", "value", "unit")
SIDE = 1024  # of the photograph of a first answer
LARGEST = (4000, 3000)  # of one from a camera

# Seconds of wall and CPU at each step of a first answer, and the peak of its memory.
FIRST = """
import resource, sys, time
def now():
    return time.perf_counter(), time.process_time()
marks = [now()]
import torch
marks.append(now())
from recon_detect.detector import load_detector
marks.append(now())
detector = load_detector("default", device="cpu", effort=sys.argv[2])
marks.append(now())
detector.score(sys.argv[1], progress=False).raise_for_errors()
marks.append(now())
for before, after in zip(marks, marks[1:]):
    print(after[0] - before[0], after[1] - before[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
STEPS = ("import torch, the floor", "import the rest", "load the models of the package", "score")

MEMORY = """
import sys, numpy as np, psutil
from recon_detect import load_detector
detector = load_detector("aeroblade", models=sys.argv[1], device="cpu")
pictures = [np.random.default_rng(n).integers(0, 256, (64, 64 + 8 * (n % 3), 3), np.uint8) for n in range(12)]
for number, _ in enumerate(detector.stream(pictures[n % 12] for n in range(10_000)), start=1):
    if number % 50 == 0:
        print(psutil.Process().memory_info().rss)
"""

LARGE = """
import resource, sys, time, numpy as np
from recon_detect import load_detector
detector = load_detector("aeroblade", models=sys.argv[1], device="cpu")
started = time.perf_counter()
picture = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), np.uint8)
score = detector.score(picture, progress=False).raise_for_errors().scores[0]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, time.perf_counter() - started, score)
"""


def best_wall(repeats: int, *command: str) -> float:
    """Best wall time of several runs."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return min(times)


def printed(program: str, *arguments: str) -> list[float]:
    """The numbers that a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def start(repeats: int) -> list[tuple[str, str, str]]:
    """Rows of a first answer, step by step."""
    recon_detect = str(Path(sys.executable).with_name("recon-detect"))
    bare = best_wall(repeats, sys.executable, "-c", "pass")
    package = best_wall(repeats, sys.executable, "-c", "import recon_detect")
    rows = [
        ("import recon_detect, beyond starting Python", f"{package - bare:.3f}", "s"),
        ("recon-detect --help", f"{best_wall(repeats, recon_detect, '--help'):.2f}", "s"),
    ]
    with tempfile.TemporaryDirectory() as temporary:
        small, large = (str(Path(temporary, name)) for name in ("photograph.png", "large.jpg"))
        photograph(SIDE).save(small)
        photograph(SIDE).resize(LARGEST).save(large, quality=95)
        runs = [printed(FIRST, small, str(DEFAULTS.effort)) for _ in range(repeats)]
        for number, step in enumerate(STEPS):
            wall, in_cpu = (min(run[2 * number + kind] for run in runs) for kind in (0, 1))
            rows.append((f"first answer: {step}", f"{wall:.2f}", "s"))
            rows.append((f"first answer: {step}, CPU", f"{in_cpu:.2f}", "s"))
        rows.append(("first answer: peak", f"{statistics.median(run[-1] for run in runs) / 1e6:.0f}", "MB"))
        for effort in ("quick", str(DEFAULTS.effort)):
            command = best_wall(repeats, recon_detect, "score", small, "--effort", effort)
            rows.append((f"recon-detect score --effort {effort}, start to verdict, {SIDE} px", f"{command:.2f}", "s"))
            *_, peak = printed(FIRST, large, effort)
            command = best_wall(1, recon_detect, "score", large, "--effort", effort)
            what = f"the same, {LARGEST[0]} x {LARGEST[1]} px"
            rows += [(what, f"{command:.1f}", "s"), (f"{what}, peak", f"{peak / 1e6:.0f}", "MB")]
    return rows


def memory(model: str) -> list[tuple[str, str, str]]:
    """Rows of memory over a long run, and for a large image."""
    samples = printed(MEMORY, model)
    early, late = (statistics.median(part) for part in (samples[:20], samples[-20:]))
    peak, took, _ = printed(LARGE, model)
    return [
        ("resident while scoring small images 50 to 1,000, median", f"{early / 1e6:.0f}", "MB"),
        ("growth of it from there to small images 9,050 to 10,000", f"{(late - early) / 1e6:+.1f}", "MB"),
        ("peak for one image of 4000x3000", f"{peak / 1e9:.1f}", "GB"),
        ("time for one image of 4000x3000", f"{took:.0f}", "s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["start", "memory"], default="start")
    parser.add_argument("--models", default="taesd", help="of memory")
    parser.add_argument("--repeats", type=int, default=7, help="of start")
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()

    if options.part == "start":
        rows, what = start(options.repeats), f"one photograph of {SIDE} px, default method, best of {options.repeats}"
    else:
        rows, what = memory(options.models), f"aeroblade, {options.models}"
    conditions = (
        f"{what}; float32, {torch.get_num_threads()} threads, {cpu()}, load average {os.getloadavg()[0]:.0f} of "
        f"{os.cpu_count()} cores; Python {platform.python_version()}, torch {torch.__version__}"
    )
    name = f"footprint-{options.part}-cpu.csv"
    write_table(options.output or RESULTS / name, conditions, [dict(zip(COLUMNS, row, strict=True)) for row in rows])
    for row in rows:
        print(*row)


if __name__ == "__main__":
    main()
