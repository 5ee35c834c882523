"""``recon-detect calibrate``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from tqdm.auto import tqdm

from recon_detect.calibration import ALL, Calibration, calibrate, is_fitted_to, needed
from recon_detect.calibration.fit import check_options
from recon_detect.cli import INTERRUPTED
from recon_detect.cli.sources import labelled
from recon_detect.cli.tables import stdout_console
from recon_detect.detector import Detector, load_detector
from recon_detect.images import Source
from recon_detect.images.augment import COPY, augmented
from recon_detect.output import Journal


def run_calibrate(
    real: list[str],
    generated: list[str],
    detector_options: dict[str, Any],
    options: dict[str, Any],
    output: Path,
    augment: int = 0,
) -> int:
    """Scores, fits, writes; returns the exit code."""
    sources, generator = labelled(real, generated)
    check_options(**{name: value for name, value in options.items() if name not in ("pca", "tune", "data")})
    detector = load_detector(**detector_options)
    run = detector.run_info
    with Journal(output.with_suffix(".scores.jsonl"), run.to_dict()) as journal:
        try:
            _score(detector, sources, len(sources), journal)
            if augment and options["combine"]:
                share = options["fit_share"]
                chosen = {row["path"] for row in journal.rows() if is_fitted_to(row, share) and COPY not in row["path"]}
                fitted = [source for source in sources if source.id in chosen]
                _score(detector, augmented(fitted, augment, detector.settings), augment * len(fitted), journal)
        except KeyboardInterrupt:
            print(f"recon-detect: interrupted; the same command goes on after {journal.path}", file=sys.stderr)
            return INTERRUPTED
        rows = [row | {"generator": generator.get(row["path"])} for row in journal.rows()]
        found = calibrate(rows, run, **options)
        found.write(output)
        journal.finish()
    _tell(found, sum(row["error"] is not None for row in rows), output)
    return 0


def _score(detector: Detector, sources: Iterable[Source], total: int, journal: Journal) -> None:
    """Scores what is not in the journal yet."""
    bar = tqdm(total=total, unit="image", disable=None)

    def waiting() -> Iterator[Source]:
        for source in sources:
            if source.id in journal.done:
                bar.update()
            else:
                yield source

    with bar, closing(detector.stream(waiting())) as stream:
        for row in stream:
            journal.add(row.to_dict(journal.run["run"]))
            bar.update()


def _tell(found: Calibration, failed: int, output: Path) -> None:
    console = stdout_console()
    n = len(found.strata[ALL].scores)
    judged = found.combiner.kind if found.combiner else found.method
    console.print(f"{output}: {judged} on {n} photographs and {len(found.generated)} generated images, "
                  f"{failed} failed")  # fmt: skip
    if found.combiner:
        console.print(
            f"  {judged} of {len(found.combiner.features)} scores, which are worth {found.combiner.effective:.1f} "
            "independent ones in photographs; it was fitted to other images than these"
        )
    bound = f"at most {found.fpr:.2%} of photographs like these, with {found.confidence:.0%} confidence"
    for name, stratum in found.strata.items():
        if stratum.threshold is None:
            m = needed(found.fpr, found.confidence)
            console.print(f"  {name}: no threshold keeps {bound}, with {len(stratum.scores)} images: you need {m}")
        else:
            console.print(
                f"  {name}: likely generated above {stratum.threshold:.4f} ({bound}; n = {len(stratum.scores)})"
            )
    if not found.generated:
        console.print("  Without generated images no image is called likely real, and no probability is given.")
    else:
        _tell_separation(console, found)


def _tell_separation(console: Console, found: Calibration) -> None:
    from sklearn.metrics import roc_auc_score

    photographs = found.strata[ALL]
    labels = np.r_[np.zeros(len(photographs.scores)), np.ones(len(found.generated))]
    area = roc_auc_score(labels, np.r_[photographs.scores, found.generated])
    warning = ": generated images score lower than photographs here; do not use this method" if area < 0.5 else ""
    console.print(f"  AUROC {area:.3f}{warning}")
    if photographs.threshold is not None:
        share = float(np.mean(np.array(found.generated) > photographs.threshold))
        console.print(f"  {share:.1%} of the generated images are above the threshold of all")
    if found.real_threshold is not None:
        console.print(f"  likely real below {found.real_threshold:.4f}")
