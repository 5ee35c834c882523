"""Makes a calibration that comes with the package, from openly licensed photographs.

    python -m assets.photographs --packages . --output photographs/
    python -m assets.calibration --photographs photographs/
    python -m assets.calibration --data ../shared/eval  # verdicts on images that benchmarks.detection has scored

Each photograph in four forms, each of which is a stratum of its own: PNG, JPEG 75, JPEG 50, WebP 80. Of middle crops of
320 px: what is larger has more blocks to average over, and passes the threshold more seldom.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from benchmarks.calibration import flagged
from benchmarks.common.data import RESULTS, write_table
from benchmarks.common.scores import Input, batch_size, load, score, scores_of
from recon_detect import Row, load_detector
from recon_detect.calibration import Calibration, calibrate
from recon_detect.calibration.calibration import SHIPPED

FORMS = ("png", "jpeg-75", "jpeg-50", "webp-80")


def tried(calibration: Calibration, data: Path, name: str) -> list[dict[str, Any]]:
    """Shares of photographs and of generated images above the thresholds, by encoding."""
    table = []
    for encoding in ("png", "jpeg-75"):
        run, rows = load(scores_of(encoding, name), data)
        real = np.array([row["label"] == "real" for row in rows])
        hits = flagged(calibration, [Row.from_dict(row) for row in rows])
        test = binomtest(int(hits[real].sum()), int(real.sum()))
        interval = test.proportion_ci(0.95)
        table.append(
            {
                "images": encoding,
                "scored in": run.models[0].dtype,
                "photographs": test.n,
                "false positives": round(float(test.statistic), 4),
                "low": round(interval.low, 4),
                "high": round(interval.high, 4),
                "generated": int((~real).sum()),
                "true positives": round(float(hits[~real].mean()), 4),
            }
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, default=None, help="folder that assets.photographs wrote")
    parser.add_argument("--data", type=Path, default=None, help="folder with manifest.csv: tries what is there")
    parser.add_argument("--scores", default="evidence", help="results/NAME-ENCODING.csv were made by detection")
    parser.add_argument("--method", default="contrast")
    parser.add_argument("--models", default="tiny")
    parser.add_argument("--fpr", type=float, default=0.1)
    parser.add_argument("--crop", type=int, default=320)
    options = parser.parse_args()
    output = SHIPPED / f"{options.method}.json"
    if options.photographs:
        make(sorted(options.photographs.glob("*.png")), output, options)
    if options.data:
        calibration = Calibration.read(output)
        dtype = calibration.run.models[0].dtype
        conditions = f"{options.data.name}, middle crops of 320 px; {calibration.data}, in {dtype}"
        table = tried(calibration, options.data, options.scores)
        write_table(RESULTS / f"shipped-{options.method}.csv", conditions, table)


def make(photographs: list[Path], output: Path, options: argparse.Namespace) -> None:
    """Scores the photographs in all forms, and writes the calibration."""
    detector = load_detector(options.method, models=options.models, device="cpu", batch_size=batch_size("cpu", None))
    inputs = [
        Input(path, f"{form}:{path.name}", "real", options.crop, form)
        for form, path in itertools.product(FORMS, photographs)
    ]
    run, rows = score(detector, inputs, RESULTS / f"shipped-{options.method}.csv")
    calibration = calibrate(
        [Row.from_dict(row) for row in rows],
        run,
        fpr=options.fpr,
        strata=("compression",),
        near_copies=True,  # each form of the photographs is a stratum
        data=f"{len(photographs)} openly licensed photographs of Debian packages (assets/photographs.py), middle "
        f"crops of {options.crop} px, each as {', '.join(FORMS)}",
    )
    calibration.write(output)
    for name, stratum in calibration.strata.items():
        print(f"{name}: {stratum.threshold} (n = {len(stratum.scores)})")


if __name__ == "__main__":
    main()
