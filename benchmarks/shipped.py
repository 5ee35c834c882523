"""Makes a calibration that comes with the package, from openly licensed photographs.

    python -m benchmarks.photographs --packages . --output photographs/
    python -m benchmarks.shipped --photographs photographs/

Each photograph in four forms, each of which is a stratum of its own: PNG, JPEG 75, JPEG 50, WebP 80. Of middle crops of
320 px: what is larger has more blocks to average over, and passes the threshold more seldom.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from benchmarks.detection import RESULTS, prepare
from recon_detect import Source, load_detector
from recon_detect.calibration import calibrate
from recon_detect.calibration.artefact import SHIPPED
from recon_detect.output import Journal

FORMS = ("png", "jpeg-75", "jpeg-50", "webp-80")


def sources(photographs: list[Path], crop: int, done: set[str]) -> Iterator[Source]:
    """Form after form of what is not scored yet."""
    for form, path in itertools.product(FORMS, photographs):
        if (name := f"{form}:{path.name}") not in done:
            yield Source(prepare(path, crop, form), name, "real")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True, help="folder that benchmarks.photographs wrote")
    parser.add_argument("--method", default="contrast")
    parser.add_argument("--models", default="tiny")
    parser.add_argument("--fpr", type=float, default=0.1)
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--output", type=Path, default=None, help="default: where the package looks for it")
    options = parser.parse_args()
    photographs = sorted(options.photographs.glob("*.png"))
    detector = load_detector(options.method, models=options.models, device="cpu")
    output = options.output or SHIPPED / f"{options.method}.json"
    with Journal(RESULTS / f"shipped-{options.method}.scores.jsonl", detector.run_info.to_dict()) as journal:
        total = len(photographs) * len(FORMS)
        waiting = sources(photographs, options.crop, journal.done)
        for row in tqdm(detector.stream(waiting), total=total, initial=len(journal.done), unit="image"):
            journal.add(row.to_dict(detector.run_info.fingerprint))
        rows = list(journal.rows())
    found = calibrate(
        rows,
        detector.run_info,
        fpr=options.fpr,
        strata=("compression",),
        data=f"{len(photographs)} openly licensed photographs of Debian packages (benchmarks/photographs.py), middle "
        f"crops of {options.crop} px, each as {', '.join(FORMS)}",
    )
    found.write(output)
    for name, stratum in found.strata.items():
        print(f"{name}: {stratum.threshold} (n = {len(stratum.scores)})")


if __name__ == "__main__":
    main()
