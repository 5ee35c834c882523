"""Writes measured figures and the registry into README and docs; nobody types a number.

    python -m benchmarks.tables            # rewrite
    python -m benchmarks.tables --check    # fail if something is out of date

A block ``<!-- table: FILE -->`` to ``<!-- /table -->`` is filled from benchmarks/results/FILE; a pattern with ``*``
puts one line per file into one table; ``<!-- table: FILE METHOD -->`` shows one method of a file in detail.
``<!-- models -->`` to ``<!-- /models -->`` is filled from the registry.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from pathlib import Path

from recon_detect.models.registry import AUTOENCODERS, MODEL_SETS

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
# The four with the most images; the CSV has all, and every generator.
FAMILIES = ("SD kl-f8", "SDXL VAE", "Flux.1 16ch VAE", "SD3 16ch VAE", "all")
BLOCK = re.compile(r"<!-- (table: (?P<file>\S+)( (?P<method>\S+))?|models) -->\n.*?<!-- /(table|models) -->", re.DOTALL)


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def read(path: Path) -> tuple[str, list[dict[str, str]]]:
    """The conditions above a table of results, and its lines."""
    with path.open(newline="", encoding="utf-8") as file:
        return file.readline().lstrip("# ").strip(), list(csv.DictReader(file))


def detection(path: Path) -> str:
    """Families only; the generators are in the CSV."""
    conditions, every = read(path)
    lines = [line for line in every if not line["group"].startswith("generator")]
    rows = [
        [
            line["group"].removeprefix("autoencoder: "),
            line["generated"],
            f"{float(line['auroc']):.3f} [{float(line['auroc_low']):.3f}, {float(line['auroc_high']):.3f}]",
            f"{float(line['tpr_at_5_fpr']):.2f}",
        ]
        for line in lines
    ]
    head = ["images of", "n", f"AUROC against {lines[0]['real']} photographs [95 %]", "TPR at 5 % FPR"]
    return f"{markdown(head, rows)}\nConditions: {conditions}.\n"


def comparison(pattern: str) -> str:
    """One line per method and model: the AUROC of each decoder family."""
    rows, conditions = [], ""
    for path in sorted(RESULTS.glob(pattern)):
        conditions, every = read(path)
        for method in dict.fromkeys(line["method"] for line in every):
            lines = {line["group"].removeprefix("autoencoder: "): line for line in every if line["method"] == method}
            settings = [lines["all"][column] for column in ("method", "distance", "models", "dtype")]
            rows.append([*settings, *(area(lines[family]) for family in FAMILIES)])
    counts = [f"{family} (n = {lines[family]['generated']})" for family in FAMILIES]
    table = markdown(["method", "distance", "model", "dtype", *counts], rows)
    return f"{table}\nAUROC with 95 % interval, against {lines['all']['real']} photographs. Conditions: {conditions}.\n"


def area(line: dict[str, str]) -> str:
    values = (float(line[column]) for column in ("auroc", "auroc_low", "auroc_high"))
    return "{:.3f} [{:.2f}, {:.2f}]".format(*values)


def robustness(path: Path, method: str | None) -> str:
    """One method, a line per condition; or all methods, their AUROC by condition."""
    settings, lines = read(path)
    conditions = list(dict.fromkeys(line["condition"] for line in lines))
    counts = {line["condition"]: f"{line['real']} + {line['generated']}" for line in lines}
    if method is None:
        areas = {(line["method"], line["condition"]): f"{float(line['auroc']):.3f}" for line in lines}
        names = sorted({name for name, _ in areas}, key=lambda name: -float(areas[name, conditions[0]]))
        rows = [[f"`{name}`", *(areas[name, condition] for condition in conditions)] for name in names]
        head = ["AUROC", *(f"{condition} ({counts[condition]})" for condition in conditions)]
        return f"{markdown(head, rows)}\nPhotographs + generated images in brackets. Conditions: {settings}.\n"
    rows = [
        [
            line["condition"],
            counts[line["condition"]],
            area(line),
            *(f"{float(line[family]):.3f} ({line[f'{family} n']})" if line[family] else "" for family in FAMILIES[:-1]),
            f"{float(line['tpr_at_5_fpr']):.2f}, {float(line['tpr_at_1_fpr']):.2f}",
            f"{float(line['fpr_at_nominal_0.05']):.3f}, {float(line['tpr_at_nominal_0.05']):.2f}",
            f"{float(line['fpr_at_nominal_0.01']):.3f}, {float(line['tpr_at_nominal_0.01']):.2f}",
            f"{float(line['decoder_right']):.2f}" if line["decoder_right"] else "",
        ]
        for line in lines
        if line["method"] == method
    ]
    head = ["condition", "photographs + generated", "AUROC, all [95 %]", *(f"{f} (n)" for f in FAMILIES[:-1]),
            "TPR at 5, 1 % FPR", "false, true positives at nominal 5 %", "at nominal 1 %",
            "decoder family right"]  # fmt: skip
    return f"{markdown(head, rows)}\nConditions: {settings}.\n"


def ablation(path: Path, best: int = 10) -> str:
    """The best candidates, then the best of every other pooling."""
    conditions, lines = read(path)
    best_of: dict[str, dict[str, str]] = {}
    for line in lines:
        best_of.setdefault(line["pooling"], line)
    lines = lines[:best] + [line for line in best_of.values() if line not in lines[:best]]
    families = FAMILIES[:-1]
    rows = [
        [*(line[name] for name in ("views", "distance", "floor", "pooling")), area(line),
         *(f"{float(line[f]):.3f}" for f in families), f"{float(line['tpr_at_5_fpr']):.2f}"]
        for line in lines
    ]  # fmt: skip
    head = ["views", "distance", "floor", "pooling", "AUROC, all [95 %]", *families, "TPR at 5 % FPR"]
    return f"{markdown(head, rows)}\nConditions: {conditions}.\n"


def plain(path: Path) -> str:
    """Every line and column, as they are."""
    conditions, lines = read(path)
    rows = [list(line.values()) for line in lines]
    return f"{markdown([name.replace('_', ' ') for name in lines[0]], rows)}\nConditions: {conditions}.\n"


def thresholds(path: Path) -> str:
    """What was promised, what came of it over all splits, and in the first by itself."""
    conditions, lines = read(path)
    rows = [
        [
            line["score"],
            line["images"],
            f"{line['strata']} ({float(line['strata_found']):.1f})",
            "{:.3f} [{:.2f}, {:.2f}]".format(*(float(line[name]) for name in ("fpr", "fpr_low", "fpr_high"))),
            f"{float(line['splits_above']):.3f}",
            f"{float(line['tpr']):.2f}",
            f"{float(line['drift_told']):.2f}",
            f"{float(line['brier']):.2f}, {float(line['ece']):.2f}",
            "{:.3f} [{:.2f}, {:.2f}]".format(*(float(line[f"first_split_{name}"]) for name in ("fpr", "low", "high"))),
            f"{float(line['first_split_tpr']):.2f}",
        ]
        for line in lines
    ]
    promised = f"false positives, {float(lines[0]['target']):.0%} promised"
    head = [
        "score",
        "images",
        "strata (found)",
        f"{promised}: mean [95 % of splits]",
        "splits above it beyond chance",
        "true positives",
        "drift told",
        "probability: Brier score, calibration error",
        "first split: false positives [95 %]",
        "true positives",
    ]
    return f"{markdown(head, rows)}\nConditions: {conditions}.\n"


def models() -> str:
    rows = [
        [
            f"`{row.name}`",
            row.title,
            row.licence + (" (terms to accept)" if row.files[0].gated else ""),
            str(row.megabytes),
            row.low_precision,
            "revision and sum" if row.files[0].revision and row.files[0].sha256
            else "revision" if row.files[0].revision else "none",
        ]
        for row in AUTOENCODERS.values()
    ]  # fmt: skip
    table = markdown(["name", "what", "licence", "MB", "precision on a GPU", "pinned"], rows)
    sets = "; ".join(f"`{name}` = {', '.join(members)}" for name, members in MODEL_SETS.items())
    return f"{table}\nSets: {sets}.\n"


def fill(match: re.Match[str]) -> str:
    opening = f"<!-- {match[1]} -->\n"
    if match["file"] is None:
        return f"{opening}{models()}<!-- /models -->"
    if "*" in match["file"]:
        return f"{opening}{comparison(match['file'])}<!-- /table -->"
    path = RESULTS / match["file"]
    if (kind := path.name.partition("-")[0]) == "robustness":
        content = robustness(path, match["method"])
    else:
        content = {"ablation": ablation, "detection": detection, "calibration": thresholds}.get(kind, plain)(path)
    return f"{opening}{content}<!-- /table -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        before = path.read_text(encoding="utf-8")
        after = BLOCK.sub(fill, before)
        if after != before:
            stale.append(str(path.relative_to(ROOT)))
            if not check:
                path.write_text(after, encoding="utf-8")
    if stale and check:
        print(f"out of date: {', '.join(stale)}; run python -m benchmarks.tables", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
