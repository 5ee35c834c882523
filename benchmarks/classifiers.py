r"""Classifiers that are trained on some generators and data sets, measured on others.

    python -m benchmarks.detection --data ../shared/eval --methods contrast,aedr,hfi --models tiny \
        --output benchmarks/results/x.csv
    python -m benchmarks.classifiers --data ../shared/eval --scores benchmarks/results/x.scores.jsonl.partial

Of every classifier and, for comparison, of what is not trained: the AUROC on decoder families that were left out of the
training, and on data sets that it was not trained on. No photograph is in training and test.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from tqdm import tqdm

from benchmarks.common.data import RESULTS, write_table
from benchmarks.common.families import FAMILIES, PHOTOGRAPH
from benchmarks.common.metrics import auroc, intervals
from benchmarks.common.scores import Entry, computed_by, load, only
from benchmarks.report.report import accompany
from recon_detect import Row
from recon_detect.calibration.classifiers import CLASSIFIERS, EvidenceClassifier
from recon_detect.calibration.features import feature_matrix, feature_names
from recon_detect.calibration.fusion import RULES, Fusion

# Repositories with at least this many generated images are data sets by themselves; the others are one together.
LARGE = 15
# Methods whose scores are features.
FEATURES = {"contrast": ("contrast",), "all methods": None}

Scorer = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def trained(kind: str) -> Scorer:
    return lambda x, y, z: EvidenceClassifier(kind).fit(x, y).decision_function(z)


def fused(rule: str) -> Scorer:
    return lambda x, y, z: Fusion(rule).fit(x[~y]).transform(z)[:, 0]


SCORERS: dict[str, Scorer] = {
    **{f"{rule} (photographs alone)": fused(rule) for rule in RULES},
    **{kind: trained(kind) for kind in CLASSIFIERS},
}


def left_out(scorer: Scorer, x: np.ndarray, decoders: np.ndarray, fold: np.ndarray) -> dict[str, float]:
    """AUROC of each family that the training had no image of; photographs in two folds."""
    areas_of = {}
    for family in FAMILIES.values():
        areas = []
        for side in (0, 1):
            real = decoders == PHOTOGRAPH
            training = np.where(real, fold == side, decoders != family)
            scores = scorer(x[training], ~real[training], x)
            areas.append(auroc(scores[real & (fold != side)], scores[decoders == family]))
        areas_of[family] = float(np.mean(areas))
    return areas_of


def cross_validated(scorer: Scorer, x: np.ndarray, decoders: np.ndarray) -> np.ndarray:
    """Scores of all images by a fivefold cross-validation, each family in its share; for ranks across folds."""
    scores = np.zeros(len(x))
    for training, test in StratifiedKFold(5, shuffle=True, random_state=0).split(x, decoders):
        real = decoders[training] == PHOTOGRAPH
        reference = scorer(x[training], ~real, x[training[real]])
        # The scale of a fold is that of its photographs.
        scores[test] = (scorer(x[training], ~real, x[test]) - reference.mean()) / (reference.std() or 1.0)
    return scores


def features_of(rows: list[Entry]) -> np.ndarray:
    """The features of all rows: (N, F)."""
    scored = [Row.from_dict(row) for row in rows]
    return feature_matrix(scored, feature_names(scored))


def families_table(rows: list[Entry]) -> Iterator[dict[str, Any]]:
    """One line per set of features and scorer."""
    decoders = np.array([row["decoder"] for row in rows])
    fold = np.random.default_rng(0).integers(0, 2, len(rows))
    for features, methods in FEATURES.items():
        chosen = only(rows, methods) if methods else rows
        x = features_of(chosen)
        for name, scorer in tqdm(SCORERS.items(), desc=features):
            cross = cross_validated(scorer, x, decoders)
            real, generated = cross[decoders == PHOTOGRAPH], cross[decoders != PHOTOGRAPH]
            low, high = intervals(real, generated)["auroc"]
            without = left_out(scorer, x, decoders, fold)
            line = {"features": features, "count": x.shape[1], "classifier": name}
            line |= {"trained on all": auroc(real, generated), "low": low, "high": high}
            line |= {f"without {family}": value for family, value in without.items()}
            yield {k: round(v, 4) if isinstance(v, float) else v for k, v in line.items()}


def datasets(rows: list[Entry]) -> np.ndarray:
    """The data set of each row; photographs are dealt out to all."""
    sources = [row["source"] for row in rows if row["label"] == "generated"]
    large = sorted({source for source in sources if sources.count(source) >= LARGE})
    names = np.array([row["source"] if row["source"] in large else "others" for row in rows], dtype=object)
    real = np.flatnonzero([row["label"] == "real" for row in rows])
    every = sorted({name for name, row in zip(names, rows, strict=True) if row["label"] == "generated"})
    for place, number in enumerate(np.random.default_rng(0).permutation(real)):
        names[number] = every[place % len(every)]
    return names


def crossed_table(rows: list[Entry], scorer: str, features: str) -> Iterator[dict[str, Any]]:
    """One line per data set that is trained on; within itself by cross-validation."""
    methods = FEATURES[features]
    chosen = only(rows, methods) if methods else rows
    x = features_of(chosen)
    generated = np.array([row["label"] == "generated" for row in rows])
    names = datasets(rows)
    every = list(dict.fromkeys(names))
    for source in sorted(every):
        inside = names == source
        line: dict[str, Any] = {"features": features, "classifier": scorer, "trained on": source}
        line |= {"photographs": int((inside & ~generated).sum()), "generated": int((inside & generated).sum())}
        for target in sorted(every):
            test = names == target
            if source == target:
                folds = StratifiedKFold(5, shuffle=True, random_state=0)
                scores = cross_val_predict(EvidenceClassifier(scorer), x[inside], generated[inside], cv=folds,
                                           method="decision_function")  # fmt: skip
            else:
                scores = SCORERS[scorer](x[inside], generated[inside], x[test])
            line[target] = round(auroc(scores[~generated[test]], scores[generated[test]]), 4)
        yield line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--scores", type=Path, required=True, help="scores of benchmarks.detection")
    parser.add_argument("--name", default="png", help="for the names of the results")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    run, rows = load(options.scores, options.data)
    counts = [sum(row["label"] == label for row in rows) for label in ("real", "generated")]
    conditions = (
        f"{options.data.name}, {options.name}, {counts[0]} photographs and {counts[1]} generated images; features: the "
        f"score of every model by {', '.join(m.name for m in run.methods)}; {computed_by(run)}"
    )
    left_out, between = (options.output / f"{kind}-{options.name}.csv" for kind in ("classifiers", "crossed"))
    write_table(left_out, conditions, list(families_table(rows)))
    crossed = [line for features in FEATURES for line in crossed_table(rows, "logistic", features)]
    write_table(between, conditions, crossed)
    accompany(left_out, options.data, between)


if __name__ == "__main__":
    main()
