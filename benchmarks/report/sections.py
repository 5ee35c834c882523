"""Sections of a report: tables, matrices, charts and pictures, each with its conditions."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common.conditions import CURVES, curve_of
from benchmarks.common.metrics import (
    BINS,
    CONFIDENCE,
    FOLDS,
    auroc,
    expected_calibration_error,
    labelled,
    probabilities,
    reliability,
)
from benchmarks.common.scores import Entry
from benchmarks.report import figures, layouts
from benchmarks.report.gathered import PHOTOGRAPHS, Result, read_audits
from benchmarks.report.layouts import Lines, Table, figure, spread
from benchmarks.report.parts import Chart, Gallery, Matrix, Part, Picture
from recon_detect import Row as Scored
from recon_detect import open_picture
from recon_detect.calibration.bounds import upper_threshold
from recon_detect.calibration.features import feature_matrix, feature_names

PUBLISHED = Path(__file__).parent / "published.csv"
# Mistakes of each kind that are shown, and the longer side of their pictures in pixels.
SHOWN, THUMBNAIL = 6, 200
RATE = 0.05
# Standard deviations of photographs beyond which a feature adds nothing.
_CLIP = 5.0


def by_data(results: Iterable[Result], kind: str) -> dict[str, list[Result]]:
    """Results of a kind that are of the same images, prepared alike."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        if result.kind == kind:
            groups.setdefault(result.data, []).append(result)
    # Those with the most methods first: they are what the others are compared with.
    return {data: sorted(of, key=lambda r: -len(r.lines)) for data, of in groups.items()}


def conditions_of(results: Sequence[Result]) -> str:
    """Under which the numbers of several tables hold, each text once."""
    return "Conditions: " + " Or: ".join(dict.fromkeys(f"{result.conditions}." for result in results))


def pooled(results: Sequence[Result]) -> list[dict[str, str]]:
    """The line of all images, of every method of every table, the best first."""
    lines = [line for result in results for line in result.lines if line["group"] == "all"]
    return sorted(lines, key=lambda line: -float(line["auroc"]))


def detection(results: Sequence[Result]) -> list[Part]:
    """Every method on all images, then by decoder family."""
    measured = [(line, result.conditions) for result in results for line in result.lines if line["group"] == "all"]
    measured.sort(key=lambda pair: -float(pair[0]["auroc"]))
    lines = [line for line, _ in measured]
    marks, note = layouts.shared_conditions([text for _, text in measured])
    rows = [
        [f"`{line['method']}`", line["distance"], f"{layouts.models_of(line)}, {line['dtype']}", spread(line),
         figure(line, "ap", 3), spread(line, "tpr_at_1_fpr", 2), spread(line, "tpr_at_5_fpr", 2),
         figure(line, "fpr_at_threshold"), figure(line, "tpr_at_threshold"),
         figure(line, "balanced_accuracy_at_threshold"), mark]
        for line, mark in zip(lines, marks, strict=True)
    ]  # fmt: skip
    head = ["method", "distance", "models", "AUROC [95 %]", "AP", "TPR at 1 % FPR [95 %]", "TPR at 5 % FPR [95 %]",
            "FPR at the calibrated threshold", "TPR at it", "balanced accuracy at it", "conditions"]  # fmt: skip
    title = f"All images: {lines[0]['real']} photographs and {lines[0]['generated']} generated images"
    return [
        layouts.without_empty_marks(Table(head, rows, note, title)),
        *groups(results[:1], "autoencoder", "Decoder family"),
    ]


def groups(results: Sequence[Result], column: str, title: str) -> list[Part]:
    """AUROC of each group of generated images by method, those with the most images first; nothing without names."""
    start = f"{column}: "
    every = [line for result in results for line in result.lines]
    lines = [line for line in every if line["group"].startswith(start) and line["group"] != start]
    if not lines:
        return []
    areas = {(line["method"], line["group"]): spread(line) for line in lines}
    counts = {line["group"]: int(line["generated"]) for line in lines}
    methods = list(dict.fromkeys(line["method"] for line in pooled(results)))
    rows = [
        [group.removeprefix(start), str(n), *(areas.get((method, group), "") for method in methods)]
        for group, n in sorted(counts.items(), key=lambda item: -item[1])
    ]
    note = f"AUROC with 95 % interval, against {lines[0]['real']} photographs. {conditions_of(results)}"
    return [Table([title.lower(), "n", *(f"`{method}`" for method in methods)], rows, note, f"{title} by method")]


def curves(result: Result) -> list[Part]:
    """ROC curves, densities and probabilities of the methods of one run, the best first."""
    methods = [figures.Classes(method.name, *result.scores(method.name)) for method in result.methods]
    methods = [method for method in methods if len(method.real) and len(method.generated)]
    ranked = sorted(methods, key=lambda method: -auroc(method.real, method.generated))
    areas = {method.name: auroc(method.real, method.generated) for method in ranked}
    parts: list[Part] = [
        Chart(
            "ROC curves",
            f"roc-{result.path.stem}",
            figures.roc(ranked, areas),
            f"ROC curves with a logarithmic false-positive rate. AUROC: {_listed(areas)}",
            f"Steps as scikit-learn's roc_curve gives them. {conditions_of([result])}",
        ),
        Chart(
            "Distribution of the scores",
            f"densities-{result.path.stem}",
            figures.densities(ranked, {m.name: upper_threshold(m.real, RATE, CONFIDENCE) for m in ranked}),
            f"Histograms of the scores of photographs and of generated images, by method: {', '.join(areas)}",
            "Each class with area 1; the lowest and highest 0.5 % of scores at the edges. The threshold is that of all "
            f"photographs for {RATE:.0%} false positives with {CONFIDENCE:.0%} confidence. {conditions_of([result])}",
        ),
    ]
    if min(min(len(method.real), len(method.generated)) for method in methods) >= FOLDS:
        parts.append(_reliability(result, ranked))
    return parts


def _reliability(result: Result, methods: Sequence[figures.Classes]) -> Chart:
    probable = {m.name: (probabilities(m.real, m.generated), labelled(m.real, m.generated)[0]) for m in methods}
    errors = {name: expected_calibration_error(*of) for name, of in probable.items()}
    return Chart(
        "Reliability of probabilities",
        f"reliability-{result.path.stem}",
        figures.reliability({f"{name}, ECE {errors[name]:.2f}": reliability(*of) for name, of in probable.items()}),
        f"Share of generated images against the predicted probability. Expected calibration error: {_listed(errors)}",
        f"Platt's logistic fit to the scores of the other {FOLDS - 1} of {FOLDS} folds, at the share of generated "
        f"images among all; {BINS} bins of equal width, larger dots are more images; intervals of 95 % after Wilson. "
        f"{conditions_of([result])}",
    )


def _listed(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())


def evidence(result: Result) -> list[Part]:
    """Every method's score of every model, in two dimensions."""
    scored = [Scored.from_dict(row) for row in result.rows]
    names = feature_names(scored)
    features = feature_matrix(scored, names)
    complete = np.flatnonzero(np.isfinite(features).all(axis=1))
    rows, features = [result.rows[i] for i in complete], features[complete]
    real = np.array([row["label"] == "real" for row in rows], dtype=bool)
    if len(names) < 2 or real.sum() < 3:
        return []
    from sklearn.decomposition import PCA

    # Standard deviations of photographs are the unit of all methods.
    deviation = features[real].std(axis=0)
    z = (features - features[real].mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    pca = PCA(2, svd_solver="full").fit(np.clip(z, -_CLIP, _CLIP))
    points = pca.transform(np.clip(z, -_CLIP, _CLIP))
    families = [str(row["family"]) for row in rows]
    order = sorted(set(families), key=lambda name: (name != PHOTOGRAPHS, -families.count(name)))
    by_family = {name: points[[family == name for family in families]] for name in order}
    share = pca.explained_variance_ratio_
    return [
        Chart(
            "Evidence in two dimensions",
            f"evidence-{result.path.stem}",
            figures.scatter(by_family, share),
            f"Scatter of {len(points)} images by decoder family on the first two principal components, which hold "
            f"{share.sum():.0%} of the variance",
            f"Principal components of {len(names)} numbers for each image, every method's score of every model, in "
            f"standard deviations of photographs and clipped at {_CLIP:g}. {conditions_of([result])}",
        )
    ]


def mistakes(result: Result, data: Path) -> list[Part]:
    """The photographs that look most generated, and the generated images that look least so, to the best method."""
    name = max((method.name for method in result.methods), key=lambda name: _area(result, name))
    real, generated = result.scores(name)
    rows = sorted((row for row in result.rows if row["scores"].get(name) is not None), key=lambda r: r["scores"][name])
    alarms = [row for row in reversed(rows) if row["label"] == "real"][:SHOWN]
    misses = [row for row in rows if row["label"] != "real"][:SHOWN]
    beyond = {
        "Photographs with the highest scores": (alarms, generated, "above {:.0%} of generated images", np.less),
        "Generated images with the lowest scores": (misses, real, "below {:.0%} of photographs", np.greater),
    }
    return [
        Gallery(
            title,
            [
                Picture(
                    thumbnail(data / row["path"]),
                    f"{_maker(row)}: {Path(row['path']).name}",
                    f"{_maker(row)}; score {row['scores'][name]:.3g}, "
                    + words.format(float(np.mean(compare(others, row["scores"][name])))),
                )
                for row in chosen
            ],
            f"To `{name}`, the method with the largest AUROC here. Whole images, of which the middle was scored. "
            f"{conditions_of([result])}",
        )
        for title, (chosen, others, words, compare) in beyond.items()
    ]


def _maker(row: Entry) -> str:
    return "photograph" if row["label"] == "real" else row["made_by"] or "generated"


def _area(result: Result, method: str) -> float:
    real, generated = result.scores(method)
    return auroc(real, generated) if len(real) and len(generated) else 0.0


def thumbnail(path: Path, side: int = THUMBNAIL) -> str:
    """A small JPEG as a data URI."""
    image = Image.fromarray(open_picture(path).bytes())
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def robustness(result: Result) -> list[Part]:
    """Curves of every family of conditions that was tried at two strengths or more, and the table."""
    drawn = _curves(result.lines)
    methods = list(drawn)
    parts: list[Part] = []
    if any(drawn.values()):
        weakest = min(result.lines, key=lambda line: float(line["auroc"]))
        parts.append(
            Chart(
                "AUROC against the strength of each family of conditions",
                f"curves-{result.path.stem}",
                figures.robustness(drawn),
                f"Curves of the AUROC against strength, by family of conditions, of {', '.join(methods)}. The lowest "
                f"is {float(weakest['auroc']):.2f}, {weakest['method']} under {weakest['condition']}",
                f"From weak to strong{'; shaded: 95 % intervals' if len(methods) < figures.MANY else ''}. Where a "
                f"strength does nothing, the unprocessed images. Of {_fewest(result.lines)} photographs + generated "
                f"images or more. {conditions_of([result])}",
            )
        )
    if len(methods) == 1:
        return [*parts, layouts.robustness(result.conditions, result.lines, methods[0])]
    return [*parts, layouts.robustness_of_all(result.conditions, result.lines)]


def _curves(lines: Lines) -> dict[str, dict[str, list[tuple[float, float, float, float]]]]:
    """By method and family with two strengths or more: strength, AUROC, low, high."""
    points: dict[str, dict[str, list[tuple[float, float, float, float]]]] = {}
    for line in lines:
        area = (float(line["auroc"]), float(line["auroc_low"]), float(line["auroc_high"]))
        families = points.setdefault(line["method"], {})
        if place := curve_of(line["condition"]):
            families.setdefault(place[0], []).append((place[1], *area))
        if line["condition"] == "png":
            for name, family in CURVES.items():
                if family.none is not None:
                    families.setdefault(name, []).append((family.none, *area))
    return {method: {name: at for name, at in of.items() if len(at) > 1} for method, of in points.items()}


def _fewest(lines: Lines) -> str:
    least = min(lines, key=lambda line: int(line["real"]) + int(line["generated"]))
    return f"{least['real']} + {least['generated']}"


def attribution(result: Result) -> list[Part]:
    """A confusion matrix for each way of telling."""
    parts: list[Part] = []
    for by in dict.fromkeys(line["by"] for line in result.lines):
        lines = [line for line in result.lines if line["by"] == by]
        labels = [name for name in lines[0] if name not in ("by", "true", "n")]
        rows = [
            (f"{line['true']} ({line['n']})", [(line[name], int(line[name]) / int(line["n"])) for name in labels])
            for line in lines
        ]
        note = f"Counts, shaded by the share of their row. {conditions_of([result])}"
        parts.append(Matrix(f"{result.form}: {by}", "true (n) \\ predicted", labels, rows, note))
    return parts


def generalisation(result: Result) -> list[Part]:
    """Train on one set, test on the others: a matrix for each set of features."""
    parts: list[Part] = []
    for features in dict.fromkeys(line["features"] for line in result.lines):
        lines = [line for line in result.lines if line["features"] == features]
        about = ("features", "classifier", "trained on", "photographs", "generated")
        targets = [name for name in lines[0] if name not in about]
        rows = [
            (
                f"{line['trained on']} ({line['photographs']} + {line['generated']})",
                [(f"{float(line[name]):.3f}", max(2 * float(line[name]) - 1, 0)) for name in targets],
            )
            for line in lines
        ]
        note = (
            "AUROC, shaded from 0.5 to 1; within a set by cross-validation; photographs + generated images in "
            f"brackets. {conditions_of([result])}"
        )
        title = f"{result.form}: {lines[0]['classifier']} on {features}, trained on one set and tested on another"
        parts.append(Matrix(title, "trained on \\ tested on", targets, rows, note))
    return parts


def localisation(result: Result) -> list[Part]:
    """Localisation by each map, then some pictures beside their masks and maps, where these were stored."""
    table = layouts.plain(result.conditions, result.lines, "Pixels that were changed, by map")
    pictures = [
        Picture(thumbnail(path, 4 * THUMBNAIL), f"{path.stem}: image, mask, error, contrast", path.stem)
        for path in sorted(result.path.with_suffix("").glob("*.png"))
    ]
    note = "From left to right: the image, what was changed, the error, the contrast. The same colours everywhere."
    return [table, Gallery("Maps", pictures, note, wide=True)] if pictures else [table]


def published(results: Sequence[Result]) -> Table:
    """Results that papers and others report, beside ours where the same was measured."""
    ours = {line["method"]: line for line in reversed(pooled(results))}
    columns = {"AUROC": "auroc", "AP": "ap", "accuracy": "balanced_accuracy_at_threshold"}
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    rows = [
        [f"`{line['method']}`", line["metric"], line["value"], line["data"], line["conditions"],
         f"{line['source']} ({line['read in']})", _ours(ours.get(line["method"]), columns[line["metric"]])]
        for line in lines
    ]  # fmt: skip
    note = (
        "Other images, other models, often other formats for the two classes; most published figures were read in "
        "notes and surveys. What papers report and what is measured here cannot be subtracted from each other. Ours "
        "(photographs + generated images): the best of the models that were tried, tiny autoencoders where the papers "
        "have full ones; for accuracy the balanced one at a calibrated threshold. "
        f"{conditions_of(results)}"
    )
    return Table(["method", "metric", "published", "on", "under", "source", "ours"], rows, note, "By method")


def _ours(line: dict[str, str] | None, column: str) -> str:
    if not line or not line.get(column):
        return "not measured"
    return f"{spread(line, column)}, {layouts.models_of(line)} ({line['real']} + {line['generated']})"


def audits(results: Iterable[Result], folder: Path | None) -> list[Table]:
    """Audits of data sets, each with its verdict.

    As ``recon-detect audit`` writes it: a table whose conditions begin with the verdict, or ``audit*.json``.
    """
    tables = []
    for result in results:
        if result.kind == "audit":
            counts = re.search(r"\d+ photographs and ", result.conditions)
            at = counts.start() if counts else len(result.conditions)
            tables.append((result.path, result.lines, result.conditions[:at], result.conditions[at:]))
    for path, content in read_audits(folder) if folder else ():
        tables.append((path, content["findings"], f"{path.stem}: {content['verdict']}", content["conditions"]))
    return [
        Table(
            [name.replace("_", " ") for name in lines[0]],
            [[str(value) for value in line.values()] for line in lines],
            f"{verdict.strip()} Conditions: {conditions}.",
            path.stem,
        )
        for path, lines, verdict, conditions in tables
        if lines
    ]
