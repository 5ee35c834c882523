"""Attribution of images to decoders, compared with the truth.

    python -m benchmarks.attribution --data ../shared/eval --scores benchmarks/results/x.scores.jsonl.partial

Without training by the contrast of each model, standardised on photographs of the other half; by the nearest class of
labelled images, in six folds; and by the nearest class where the true one is not among them. Writes the confusion
matrices as CSV and PNG, and the report of each as text and JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import classification_report, confusion_matrix
from sklearn.model_selection import StratifiedKFold

from benchmarks.common.data import RESULTS, write_table
from benchmarks.common.families import FAMILIES, PHOTOGRAPH
from benchmarks.common.scores import Entry, computed_by, load
from benchmarks.report.report import accompany
from recon_detect import Row
from recon_detect.atomic import replacing
from recon_detect.calibration.attribution import NONE, ByContrast, ByTypicality

DECODERS = tuple(FAMILIES.values())
LEVEL = 0.05
# The smallest family has six images: one a fold.
SIXFOLD = 6


def untrained(rows: list[Entry], method: str) -> list[str]:
    """Predicts the decoder of every image from photographs of another fold."""
    predicted = [""] * len(rows)
    decoders = [row["decoder"] for row in rows]
    for training, test in StratifiedKFold(2, shuffle=True, random_state=0).split(rows, decoders):
        real = [Row.from_dict(rows[i]) for i in training if rows[i]["label"] == "real"]
        fitted = ByContrast.fit(real, method, LEVEL)
        assert fitted is not None
        for i in test:
            predicted[i] = fitted.attribute(Row.from_dict(rows[i])).decoder
    return predicted


def trained(rows: list[Entry], method: str) -> list[str]:
    """Predicts the decoder of every generated image from the classes of the other folds."""
    predicted = [""] * len(rows)
    decoders = np.array([row["decoder"] for row in rows])
    for training, test in StratifiedKFold(SIXFOLD, shuffle=True, random_state=0).split(rows, decoders):
        labelled = [Row.from_dict(rows[i]) for i in training]
        fitted = ByTypicality.fit(labelled, decoders[training].tolist(), method, LEVEL)
        for i in test:
            predicted[i] = fitted.attribute(Row.from_dict(rows[i])).decoder
    return predicted


def strangers(rows: list[Entry], method: str) -> list[str]:
    """Predicts the decoder of every generated image from the classes of the other families."""
    predicted = [""] * len(rows)
    for family in DECODERS:
        others = [row for row in rows if row["decoder"] != family]
        results = [Row.from_dict(row) for row in others]
        fitted = ByTypicality.fit(results, [row["decoder"] for row in others], method, LEVEL)
        for i, row in enumerate(rows):
            if row["decoder"] == family:
                predicted[i] = fitted.attribute(Row.from_dict(row)).decoder
    return predicted


def draw(matrices: dict[str, tuple[list[str], np.ndarray]], path: Path) -> None:
    """Confusion matrices side by side, shaded by the share of each row."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(matrices), figsize=(5.2 * len(matrices), 4.6), layout="constrained")
    for ax, (title, (labels, counts)) in zip(np.atleast_1d(axes), matrices.items(), strict=True):
        present = counts.sum(axis=1) > 0
        shown = counts[present]
        shares = shown / shown.sum(axis=1, keepdims=True)
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (i, j), share in np.ndenumerate(shares):
            ax.text(j, i, shown[i, j], ha="center", va="center", color="white" if share > 0.6 else "black")
        ax.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
        ax.set_yticks(range(len(shown)), [label for label, there in zip(labels, present, strict=True) if there])
        ax.set(title=title, xlabel="predicted", ylabel="true")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    plt.close(figure)


def report(truth: list[str], predicted: list[str]) -> dict[str, Any]:
    """scikit-learn's, with the interval of the accuracy."""
    right = sum(a == b for a, b in zip(truth, predicted, strict=True))
    interval = binomtest(right, len(truth)).proportion_ci(0.95, "wilson")
    by_class: dict[str, Any] = classification_report(truth, predicted, output_dict=True, zero_division=0)
    return by_class | {"accuracy": right / len(truth), "interval": [interval.low, interval.high], "n": len(truth)}


def answers_of(
    rows: list[Entry], generated: list[Entry], method: str
) -> dict[str, tuple[list[str], list[str], list[str]]]:
    """By the name of each way to attribute: the true families, the right answers, and the answers given."""
    # A photograph is none of the known decoders' images.
    truth = [NONE if row["decoder"] == PHOTOGRAPH else row["decoder"] for row in rows]
    families = [row["decoder"] for row in generated]
    return {
        f"{method}, no labels": (truth, truth, untrained(rows, method)),
        "nearest class, all families known": (families, families, trained(generated, method)),
        "nearest class, the true one not known": (families, [NONE] * len(families), strangers(generated, method)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--scores", type=Path, required=True, help="scores of benchmarks.detection")
    parser.add_argument("--method", default="contrast", help="whose scores of each model are compared")
    parser.add_argument("--name", default="png", help="for the names of the results")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    run, rows = load(options.scores, options.data)
    generated = [row for row in rows if row["decoder"] in DECODERS]
    answers = answers_of(rows, generated, options.method)
    labels = [*DECODERS, NONE]
    matrices, table, reports, text = {}, [], {}, []
    for name, (true, right, predicted) in answers.items():
        counts = confusion_matrix(true, predicted, labels=labels)
        matrices[name] = labels, counts
        reports[name] = report(right, predicted)
        text.append(f"{name}\n{classification_report(right, predicted, zero_division=0)}")
        table += [
            {"by": name, "true": label, "n": int(row.sum())} | dict(zip(labels, row.tolist(), strict=True))
            for label, row in zip(labels, counts, strict=True)
            if row.sum()
        ]
    stem = options.output / f"attribution-{options.name}"
    draw(matrices, stem.with_suffix(".png"))
    for suffix, content in ((".json", json.dumps(reports, indent=1) + "\n"), (".txt", "\n".join(text))):
        with replacing(stem.with_suffix(suffix)) as temporary:
            temporary.write_text(content, encoding="utf-8")
    write_table(
        stem.with_suffix(".csv"),
        f"{options.data.name}, {options.name}, {len(rows) - len(generated)} photographs and {len(generated)} generated "
        f"images; none of the known beyond p = {LEVEL}; {computed_by(run)}",
        table,
    )
    accompany(stem.with_suffix(".csv"), options.data)
    print("\n".join(text))


if __name__ == "__main__":
    main()
