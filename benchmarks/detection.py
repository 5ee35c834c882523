"""How well a method separates photographs from generated images, per decoder family, on a data set with a manifest.

    python -m benchmarks.detection --data ../shared/eval --models taesd --crop 320

The manifest is a ``manifest.csv`` with the columns path, label, generator and autoencoder. Both classes go through the
same centre crop on the 32-pixel grid and the same re-encoding, so that neither size nor file format can separate them.
Scores are kept beside the results, and a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import argparse
import csv
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from tqdm import tqdm

from recon_detect import Source, load_detector
from recon_detect.files import replacing
from recon_detect.images.transform import GRID, Transform
from recon_detect.methods import METHODS, find_method
from recon_detect.output import Journal
from recon_detect.results import MethodInfo, RunInfo

RESAMPLES = 2000
RESULTS = Path(__file__).parent / "results"


def prepare(path: Path, crop: int | None, encoding: str) -> bytes:
    """The image as both classes are given to the detector: cropped at the centre, on the grid, and encoded anew."""
    return Transform(crop, encoding).encoded(path)


def sources(data: Path, rows: list[dict[str, str]], crop: int | None, encoding: str) -> Iterator[Source]:
    """Prepared images, read as they are needed."""
    for row in rows:
        yield Source(prepare(data / row["path"], crop, encoding), row["path"], row["label"])


def known_methods() -> list[str]:
    """Those that need nothing but autoencoders: the others want weights that most machines lack."""
    methods = [find_method(name) for name in METHODS]
    return [m.name for m in methods if m.models and not (m.embeds or m.denoises)]


def tpr_at_fpr(labels: np.ndarray, scores: np.ndarray, max_fpr: float) -> float:
    """True-positive rate at the last threshold whose false-positive rate is at most `max_fpr`, not interpolated."""
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    return float(tpr[np.searchsorted(fpr, max_fpr, side="right") - 1])


def interval(real: np.ndarray, generated: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap of the AUROC, resampled within each class.

    The AUROC is the share of pairs in the right order, so a resample is a weighting of the pairs.
    """
    generator = np.random.default_rng(seed)
    right = (generated > real[:, None]) + 0.5 * (generated == real[:, None])
    weights = [generator.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n for n in (len(real), len(generated))]
    areas = np.einsum("br,rg,bg->b", weights[0], right, weights[1], optimize=True)
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)


def evaluate(rows: list[dict[str, str]], scores: dict[str, float]) -> list[dict[str, object]]:
    """One line per decoder family, one for all of them, one per generator; the photographs are always all."""
    real = np.array([scores[row["path"]] for row in rows if row["label"] == "real"])
    groups: dict[str, list[float]] = {"all": []}
    for column in ("autoencoder", "generator"):
        for row in rows:
            if row["label"] != "real":
                groups.setdefault(f"{column}: {row[column]}", []).append(scores[row["path"]])
    groups["all"] = [score for name, values in groups.items() if name.startswith("autoencoder") for score in values]
    table = []
    for name, values in groups.items():
        generated = np.array(values)
        labels, both = np.r_[np.zeros(len(real)), np.ones(len(generated))], np.r_[real, generated]
        low, high = interval(real, generated)
        table.append(
            {
                "group": name,
                "real": len(real),
                "generated": len(generated),
                "auroc": round(float(roc_auc_score(labels, both)), 4),
                "auroc_low": round(low, 4),
                "auroc_high": round(high, 4),
                "ap": round(float(average_precision_score(labels, both)), 4),
                "tpr_at_5_fpr": round(tpr_at_fpr(labels, both, 0.05), 4),
            }
        )
    return table


def write_table(output: Path, conditions: str, table: list[dict[str, object]]) -> None:
    """A CSV under a line that says under which conditions its numbers hold."""
    with replacing(output) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {conditions}\n")
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    print(f"written to {output}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--methods", default="aeroblade", help="separated by commas: one pass for all; or 'all'")
    parser.add_argument("--models", default=None, help="names separated by commas; default: the method's own")
    parser.add_argument("--distance", default=None)
    parser.add_argument("--crop", type=int, default=320, help="side of the centre crop; 0 keeps images whole")
    parser.add_argument("--encoding", default="png", help="png, jpeg-75, webp-80, ...: applied to both classes")
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--compat", default=None, help="published")
    parser.add_argument("--output", type=Path, default=None, help="default: a name with the conditions in results/")
    options = parser.parse_args()

    with (options.data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    small = [row for row in rows if options.crop and min(int(row["width"]), int(row["height"])) < options.crop]
    rows = [row for row in rows if row not in small]
    detector = load_detector(
        known_methods() if options.methods == "all" else options.methods.split(","),
        models=options.models.split(",") if options.models else None,
        distance=options.distance,
        device=options.device,
        dtype=options.dtype,
        compat=options.compat,
    )
    run = detector.run_info
    models = "+".join(model.name for model in run.models).replace("/", "_")
    device = run.device.split(":")[0]
    names = "+".join(method.name for method in run.methods)
    conditions = "-".join(
        part
        for part in ("all" if options.methods == "all" else names, run.compat,
                     run.methods[0].distance if len(run.methods) == 1 else None, models, run.models[0].dtype,
                     f"crop{options.crop}", options.encoding, device)
        if part
    )  # fmt: skip
    output = options.output or RESULTS / f"detection-{conditions}.csv"
    output.parent.mkdir(parents=True, exist_ok=True)
    with Journal(output.with_suffix(".scores.jsonl"), run.to_dict(), resume=run.compat is None) as journal:
        waiting = [row for row in rows if row["path"] not in journal.done]
        stream = detector.stream(sources(options.data, waiting, options.crop or None, options.encoding))
        for result in tqdm(stream, total=len(rows), initial=len(rows) - len(waiting), unit="image"):
            journal.add(result.to_dict(run.fingerprint))
        entries = list(journal.rows())
    failed = [entry["path"] for entry in entries if entry["error"]]
    table = [line for method in run.methods for line in lines_of(method, entries, rows, run)]
    write_table(
        output,
        f"{options.data.name}, centre crop of {options.crop} px on the {GRID}-px grid, both classes as "
        f"{options.encoding}, {len(small)} smaller images left out, {len(failed)} failed; intervals by "
        f"{RESAMPLES} bootstrap resamples; {device} {platform.machine()}; "
        f"{', '.join(f'{name} {version}' for name, version in run.versions.items())}",
        table,
    )
    for line in table:
        print(f"{line['method']:18} {line['group']:45} n={line['generated']:3} AUROC {line['auroc']:.3f} "
              f"[{line['auroc_low']:.3f}, {line['auroc_high']:.3f}] TPR@5%FPR {line['tpr_at_5_fpr']:.2f}")  # fmt: skip


def lines_of(
    method: MethodInfo, entries: list[dict[str, Any]], rows: list[dict[str, str]], run: RunInfo
) -> list[dict[str, object]]:
    """The lines of one method, each with what it was computed by."""
    scores = {entry["path"]: entry["scores"][method.name] for entry in entries if not entry["error"]}
    scores = {path: score for path, score in scores.items() if score is not None}
    settings = {
        "method": f"{method.name}, as published" if run.compat else method.name,
        "distance": method.distance,
        "models": "+".join(method.models).replace("/", "_"),
        "dtype": run.models[0].dtype,
    }
    return [settings | line for line in evaluate([row for row in rows if row["path"] in scores], scores)]


if __name__ == "__main__":
    main()
