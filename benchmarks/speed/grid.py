"""Cost of the method `grid` beside one pass of a tiny autoencoder, paired in one run.

python -m benchmarks.speed.grid --threads 2
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.data import RESULTS, write_table
from recon_detect.methods.grid.families import read_families, read_whitening
from recon_detect.methods.grid.grid import best_match, compare
from recon_detect.models.loading import load_reconstructor
from recon_detect.models.weights import find_weights


def ways(autoencoder: str) -> dict[str, Callable[[], Any]]:
    """Timed functions by name: each on noise, so that a search tries all scales."""
    generator = torch.Generator().manual_seed(0)
    small, large = (torch.rand(3, side, side, generator=generator) * 2 - 1 for side in (320, 1024))
    families, whitening = read_families(), read_whitening()
    model = load_reconstructor(find_weights(autoencoder), torch.device("cpu"), "float32")

    def reconstruct() -> None:
        with torch.inference_mode():
            model.decode(model.encode(small[None]))

    return {
        f"{autoencoder}, 320 px": reconstruct,
        "grid, 320 px, as it is": lambda: compare(small, families, 1.0, whitening),
        "grid, 320 px, all scales": lambda: best_match(small, families, whitening),
        "grid, 1024 px, as it is": lambda: compare(large, families, 1.0, whitening),
        "grid, 1024 px, all scales": lambda: best_match(large, families, whitening),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--autoencoder", default="taesd")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path, default=RESULTS / "grid-speed.csv")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    timed = ways(options.autoencoder)
    times: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for name, run in timed.items():
            start = time.perf_counter()
            run()
            times.setdefault(name, []).append(time.perf_counter() - start)
    first = next(iter(times.values()))
    table = [
        {
            "what": name,
            "seconds, fastest": round(min(each), 4),
            "seconds, median": round(float(np.median(each)), 4),
            "of the pass, median of pairs": round(float(np.median(np.array(each) / np.array(first))), 4),
        }
        for name, each in times.items()
    ]
    write_table(
        options.output, f"{options.threads} threads, {options.rounds} rounds, one after the other, float32", table
    )


if __name__ == "__main__":
    main()
