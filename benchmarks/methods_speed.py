"""Seconds per image of each method on one core of a CPU.

    python -m benchmarks.methods_speed

Each method scores a photograph as users do, with its default distance and one thread: `trace`, `grid` and `dire`
with what the package ships, the others with the four tiny autoencoders. Import and loading are not counted. A method
that searches takes a different path through a generated image; a photograph takes the longest. Names with plus signs
between them are methods in one pass, which share reconstructions; their ratio is that to the dearest of them alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import recon_detect
from benchmarks.common.data import RESULTS, write_table
from recon_detect import load_detector

OUTPUT = RESULTS / "speed-methods-cpu.csv"
SIZES = (320, 512)
TINY = ("contrast", "aeroblade", "hfi", "rdd", "regap", "aedr", "aedr-homogeneity", "did")
EMBEDDED = ("trace", "grid", "dire")
TOGETHER = ("aeroblade+hfi+rdd+aedr+did", "contrast+aeroblade+hfi+rdd+aedr")


def photograph(side: int) -> Image.Image:
    """The middle of a photograph of scikit-learn, enlarged to a square where it is smaller."""
    from sklearn.datasets import load_sample_image

    pixels = load_sample_image("china.jpg")
    height, width = pixels.shape[:2]
    crop = min(side, height)
    top, left = (height - crop) // 2, (width - crop) // 2
    picture = Image.fromarray(np.ascontiguousarray(pixels[top : top + crop, left : left + crop]))
    return picture if crop == side else picture.resize((side, side), Image.Resampling.LANCZOS)


def cpu() -> str:
    """The name of the CPU, and the widest vector instructions that torch uses on it."""
    name = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"


def measure(method: str, size: int, rounds: int) -> tuple[str, float]:
    """Models and seconds, the best of some rounds, for one method, or for several in one pass, and one size."""
    detector = load_detector(method.split("+"), models=None if method in EMBEDDED else "tiny", device="cpu")
    picture = photograph(size)
    times = []
    for _ in range(rounds):
        started = time.process_time()
        detector.score(picture, progress=False).raise_for_errors()
        times.append(time.process_time() - started)
    return "+".join(model.name for model in detector.run_info.models), min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default=",".join((*EMBEDDED, *TINY, *TOGETHER)), help="names, separated by commas")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    conditions = (
        f"one photograph, float32, one thread, CPU time, best of {arguments.rounds}; {cpu()}, "
        f"load average {os.getloadavg()[0]:.0f} of {os.cpu_count()} cores; "
        f"recon_detect {recon_detect.__version__}, python {platform.python_version()}, torch {torch.__version__}"
    )
    table: list[dict[str, object]] = []
    alone: dict[tuple[str, int], float] = {}
    for method in arguments.methods.split(","):
        for size in SIZES:
            models, seconds = measure(method, size, arguments.rounds)
            alone[method, size] = seconds
            parts = method.split("+")
            together = len(parts) > 1 and all((part, size) in alone for part in parts)
            row = {
                "method": method,
                "models": models,
                "size": size,
                "seconds": round(seconds, 3),
                "images_per_second_per_core": round(1 / seconds, 4),
                "ratio_to_dearest": round(seconds / max(alone[part, size] for part in parts), 2) if together else None,
            }
            table.append(row)
            # After each, since the searching methods take minutes.
            write_table(arguments.output, conditions, table)


if __name__ == "__main__":
    main()
