"""Costs of the package before and while it works: start-up times and memory.

    python -m benchmarks.footprint --models taesd

Start-up is the best of several fresh processes. Memory is the resident set of a process that scores small images, the
median of samples over the first and the second thousand, and the peak of one that scores a photograph-sized image.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from recon_detect.atomic import replacing

OUTPUT = Path(__file__).parent / "results" / "footprint-cpu.csv"
REPEATS = 7

MEMORY = """
import sys, numpy as np, psutil
from recon_detect import load_detector
detector = load_detector("aeroblade", models=sys.argv[1], device="cpu")
pictures = [np.random.default_rng(n).integers(0, 256, (64, 64 + 8 * (n % 3), 3), np.uint8) for n in range(12)]
for number, _ in enumerate(detector.stream(pictures[n % 12] for n in range(2200)), start=1):
    if number % 50 == 0 and number <= 2000:
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


def seconds(*command: str) -> float:
    """Best wall time of several runs."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return min(times)


def output(program: str, *arguments: str) -> list[float]:
    done = subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="taesd")
    model = parser.parse_args().models

    bare = seconds(sys.executable, "-c", "pass")
    package = seconds(sys.executable, "-c", "import recon_detect")
    usage = seconds(str(Path(sys.executable).with_name("recon-detect")), "--help")
    samples = output(MEMORY, model)
    early, late = (statistics.median(part) for part in (samples[:20], samples[20:]))
    peak, took, _ = output(LARGE, model)
    rows = [
        ("import recon_detect, beyond starting Python", f"{package - bare:.3f}", "s"),
        ("recon-detect --help", f"{usage:.2f}", "s"),
        ("resident while scoring small images 50 to 1,000, median", f"{early / 1e6:.0f}", "MB"),
        ("growth of it from there to small images 1,050 to 2,000", f"{(late - early) / 1e6:+.1f}", "MB"),
        ("peak for one image of 4000x3000", f"{peak / 1e9:.1f}", "GB"),
        ("time for one image of 4000x3000", f"{took:.0f}", "s"),
    ]
    import torch

    with replacing(OUTPUT) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# aeroblade, {model}, float32, {os.cpu_count()} cores {platform.machine()}, ")
        file.write(f"Python {platform.python_version()}, torch {torch.__version__}, best of {REPEATS} for times\n")
        writer = csv.writer(file)
        writer.writerow(("what", "value", "unit"))
        writer.writerows(rows)
    for row in rows:
        print(*row)


if __name__ == "__main__":
    main()
