"""Periods of 16 and 32 pixels in pictures by decoders of factor 16 and 32, beside the period of 8 as a control.

    python -m benchmarks.periods --data ../shared/eval

What a period adds to its half: the RMS over places of the tables of `methods.grid.statistic`, less the tables of half
the period, as a mean logarithm over features. No template and no network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks.common.data import RESULTS, ManifestRow, read_manifest, write_table
from benchmarks.common.metrics import auroc, score_interval
from recon_detect.images.transform import Transform
from recon_detect.methods.grid.statistic import tables
from recon_detect.methods.trace.fit import brought_back

CROP = 512
PERIODS = (8, 16, 32)
# Decoders by their factor; the first are a control.
FACTORS = {
    "SD kl-f8": 8,
    "Flux.1 16ch VAE": 8,
    "amused VQ": 16,
    "Wan 2.2 48ch VAE": 16,
    "DC-AE": 32,
}


def added(x: Tensor, period: int) -> float:
    """Mean log RMS of what a period adds to the tables of its half: of a picture (3, H, W) in [-1, 1]."""
    half = period // 2
    by_half = tables(x, period).reshape(-1, 2, half, 2, half)
    rest = by_half - by_half.mean((1, 3), keepdim=True)
    return float(rest.square().mean((1, 2, 3, 4)).sqrt().clamp_min(1e-9).log().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with a manifest.csv")
    parser.add_argument("--output", type=Path, default=RESULTS / "periods.csv")
    options = parser.parse_args()
    groups: dict[str, list[ManifestRow]] = {}
    for row in read_manifest(options.data):
        if row["format"] == "PNG" and min(int(row["width"]), int(row["height"])) >= CROP:
            name = "" if row["label"] == "real" else row["autoencoder"]
            groups.setdefault(name, []).append(row)
    values: dict[str, list[list[float]]] = {}
    for name in ("", *FACTORS):
        for row in groups.get(name, ()):
            x = brought_back(Transform(CROP).image(options.data / row["path"]), (CROP, CROP))
            values.setdefault(name, []).append([added(x, period) for period in PERIODS])
    photographs, lines = np.array(values[""]), []
    for name, factor in FACTORS.items():
        for column, period in enumerate(PERIODS if name in values else ()):
            real, generated = photographs[:, column], np.array(values[name])[:, column]
            area = auroc(real, generated)
            low, high = score_interval("auroc", area, len(real), len(generated))
            lines.append({
                "decoder": name, "factor": factor, "period": period, "photographs": len(real),
                "generated": len(generated), "auroc": round(area, 3), "auroc_low": round(low, 3),
                "auroc_high": round(high, 3), "above all photographs": int((generated > real.max()).sum()),
            })  # fmt: skip
            print(lines[-1], flush=True)
    write_table(
        options.output,
        f"eval, PNG files, middle {CROP} px on the 32-px grid; what a period adds to its half, without templates",
        lines,
    )


if __name__ == "__main__":
    main()
