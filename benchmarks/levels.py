r"""Three levels of answers from scores: real or generated, then which family of generators, then which generator.

    python -m benchmarks.detection --data ../shared/eval --methods contrast,aedr,hfi --models tiny \
        --output benchmarks/results/x.csv
    python -m benchmarks.levels --data ../shared/eval --scores benchmarks/results/x.scores.jsonl.partial

A classifier of the scores of every model for each level: the second and third are of generated images alone, and the
third of one family. Each generator is asked for twice: by a cross-validation, where all are known, and by what was
trained without any image of it, where the first two levels can still be right. No photograph is in training and test.

Writes a line for each generator (CSV), the confusion matrices of all levels (PNG) and the reports (text).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import classification_report, confusion_matrix
from sklearn.model_selection import StratifiedKFold

from benchmarks.attribution import draw
from benchmarks.classifiers import features_of
from benchmarks.common.data import RESULTS, write_table
from benchmarks.common.families import PHOTOGRAPH
from benchmarks.common.metrics import auroc
from benchmarks.common.scores import Entry, computed_by, load, only
from recon_detect.atomic import replacing
from recon_detect.calibration.attribution import LATENT, family_of_generator
from recon_detect.calibration.classifiers import CLASSIFIERS, EvidenceClassifier
from recon_detect.results import UNKNOWN

# Of fewer images a generator cannot be in every fold.
FOLDS = 5
REAL, GENERATED = "real", "generated"
LEVELS = ("real or generated", "family", "generator")

# The answers of the three levels; of what is taken for a photograph, the first alone.
Answer = tuple[str, str, str]


class Levels:
    """Classifiers of the three levels, fitted to features (N, F) and the true answers of each image."""

    def __init__(self, kind: str, x: NDArray[np.float64], truth: Sequence[Answer]) -> None:
        levels = np.array(truth)
        generated = levels[:, 0] == GENERATED
        self.first = EvidenceClassifier(kind).fit(x, generated)
        self.second = self._known(kind, x[generated], levels[generated, 1])
        self.third = {
            family: self._known(kind, x[levels[:, 1] == family], levels[levels[:, 1] == family, 2])
            for family in dict.fromkeys(levels[generated, 1])
        }

    @staticmethod
    def _known(kind: str, x: NDArray[np.float64], labels: NDArray[np.str_]) -> EvidenceClassifier | str:
        """A classifier of labels, or the only label there is."""
        only_label = set(labels.tolist())
        return EvidenceClassifier(kind).fit(x, labels) if len(only_label) > 1 else only_label.pop()

    def decision(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The decision (N,) of the first level."""
        return self.first.decision_function(x)

    def answer(self, x: NDArray[np.float64]) -> list[Answer]:
        """The answers of the three levels for features (N, F)."""
        answers: list[Answer] = []
        for row, is_generated in zip(x, self.first.predict(x), strict=True):
            if not is_generated:
                answers.append((REAL, REAL, REAL))
                continue
            family = _label(self.second, row)
            answers.append((GENERATED, family, _label(self.third[family], row)))
        return answers


def _label(fitted: EvidenceClassifier | str, row: NDArray[np.float64]) -> str:
    return fitted if isinstance(fitted, str) else str(fitted.predict(row[None])[0])


def truth_of(row: Entry) -> Answer:
    """The right answers for an image; the family by the generator's name, or that of its decoder."""
    if row["label"] == "real":
        return REAL, REAL, REAL
    family = family_of_generator(row["made_by"])
    if family == UNKNOWN and row["decoder"] != PHOTOGRAPH:
        family = LATENT
    return GENERATED, family, row["made_by"]


def known(kind: str, x: NDArray[np.float64], truth: Sequence[Answer]) -> list[Answer]:
    """The answers of a cross-validation."""
    answers: list[Answer] = [("", "", "")] * len(truth)
    generators = [answer[2] for answer in truth]
    for training, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, generators):
        fitted = Levels(kind, x[training], [truth[i] for i in training])
        for i, answer in zip(test, fitted.answer(x[test]), strict=True):
            answers[i] = answer
    return answers


def left_out(kind: str, x: NDArray[np.float64], truth: Sequence[Answer]) -> Iterator[tuple[str, list[Answer], float]]:
    """Each generator with the answers for its images, twice, by what was trained without it, and the AUROC.

    Photographs are in two halves: one is trained on, the other compared with.
    """
    generators = np.array([answer[2] for answer in truth])
    half = np.random.default_rng(0).integers(0, 2, len(truth))
    real = generators == REAL
    for generator in sorted(set(generators[~real])):
        answers, areas = [], []
        for side in (0, 1):
            training = np.where(real, half == side, generators != generator)
            fitted = Levels(kind, x[training], [truth[i] for i in np.flatnonzero(training).tolist()])
            answers += fitted.answer(x[generators == generator])
            others = fitted.decision(x[real & (half != side)])
            areas.append(auroc(others, fitted.decision(x[generators == generator])))
        yield generator, answers, float(np.mean(areas))


def right(answers: Sequence[Answer], truth: Answer, level: int) -> float:
    """Share of the answers that are right at a level."""
    return round(float(np.mean([answer[level] == truth[level] for answer in answers])), 4)


def table(kind: str, x: NDArray[np.float64], truth: list[Answer], answers: list[Answer]) -> list[dict[str, Any]]:
    """A line for photographs and each generator."""
    unknown = {generator: (predicted, area) for generator, predicted, area in left_out(kind, x, truth)}
    families = Counter(answer[1] for answer in set(truth))
    lines = []
    for generator in (REAL, *unknown):
        chosen = [answer for answer, true in zip(answers, truth, strict=True) if true[2] == generator]
        true = next(each for each in truth if each[2] == generator)
        line: dict[str, Any] = {"generator": generator, "of": true[1], "n": len(chosen)}
        line |= {f"known: {level}": right(chosen, true, place) for place, level in enumerate(LEVELS)}
        if generator in unknown:
            predicted, area = unknown[generator]
            line |= {"left out: AUROC": round(area, 4), f"left out: {LEVELS[0]}": right(predicted, true, 0)}
            # A family of which no other generator was seen cannot be named.
            line["left out: family"] = right(predicted, true, 1) if families[true[1]] > 1 else ""
        lines.append(line)
    columns = list(lines[-1])
    return [{column: line.get(column, "") for column in columns} for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--scores", type=Path, required=True, help="scores of benchmarks.detection")
    parser.add_argument("--methods", default=None, help="whose scores are features; default: all that are there")
    parser.add_argument("--classifier", default="logistic", choices=list(CLASSIFIERS))
    parser.add_argument("--name", default="png", help="for the names of the results")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    run, rows = load(options.scores, options.data)
    counts = Counter(truth_of(row) for row in rows)
    rows = [row for row in rows if counts[truth_of(row)] >= FOLDS]
    few = sum(counts.values()) - len(rows)
    truth = [truth_of(row) for row in rows]
    x = features_of(only(rows, options.methods.split(",")) if options.methods else rows)
    answers = known(options.classifier, x, truth)
    stem, matrices, text = options.output / f"levels-{options.name}", {}, []
    for level, title in enumerate(LEVELS):
        true, predicted = ([answer[level] for answer in of] for of in (truth, answers))
        labels = list(dict.fromkeys(sorted(true)))
        matrices[title] = labels, confusion_matrix(true, predicted, labels=labels)
        text.append(f"{title}\n{classification_report(true, predicted, zero_division=0)}")
    draw(matrices, stem.with_suffix(".png"))
    with replacing(stem.with_suffix(".txt")) as temporary:
        temporary.write_text("\n".join(text), encoding="utf-8")
    write_table(
        stem.with_suffix(".csv"),
        f"{options.data.resolve().name}, {options.name}, {len(rows)} images; {few} of generators with fewer than "
        f"{FOLDS} images left out; {options.classifier} of {x.shape[1]} features; {computed_by(run)}",
        table(options.classifier, x, truth, answers),
    )
    print("\n".join(text))


if __name__ == "__main__":
    main()
