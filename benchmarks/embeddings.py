r"""Classifiers of the embeddings of frozen backbones, within data sets and from each to the others.

    python -m benchmarks.embeddings --data ../shared/eval --models facebook/dino-vitb16
    python -m benchmarks.embeddings --data CIFAKE/ GenImage/ --models VIT/,RESNET/,CLIP/ --classifiers logistic,knn

Every backbone with every classifier, of the embedding as it is, of its principal components and of the middle layer of
a small autoencoder, trained on images as they are or with blurred and jittered copies as well. A line has the AUROC on
each data set of what was trained on one; on that itself by cross-validation. Of one folder, the data sets are the
sources of its manifest. With ``--crops 5`` an image is judged by the mean decision of five parts. A classifier that
cannot be fitted to so few images has empty cells.

Writes the table (CSV), and for each backbone images and decision of the polynomial SVM of the principal components, in
the plane of the first two (PNG). Embeddings are computed once: a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from benchmarks.classifiers import datasets
from benchmarks.common.bottleneck import Bottleneck
from benchmarks.common.data import RESULTS, ManifestRow, large_enough, read_manifest, write_table
from benchmarks.common.metrics import auroc
from benchmarks.common.scores import Input, batch_size, computed_by, score
from recon_detect import Detector, load_detector
from recon_detect.atomic import replacing
from recon_detect.calibration.classifiers import CLASSIFIERS, EvidenceClassifier
from recon_detect.results import RunInfo

REDUCTIONS = ("none", "pca", "autoencoder")
# Conditions of the copies that are trained on besides the images as they are.
AUGMENTATIONS: dict[str, tuple[str, ...]] = {
    "none": (),
    "blur": ("blur-1",),
    "jitter": ("jitter-0.2",),
    "blur+jitter": ("blur-1", "jitter-0.2"),
}
PLAIN = "png"
# Those of the plot.
PLOTTED = "polynomial-svm"


@dataclass(frozen=True, slots=True)
class DataSet:
    """Embeddings of a data set by one backbone.

    Attributes:
        name: Of the folder or the source.
        generated: (N,).
        embeddings: By condition (N, C, D), C parts of each image.
    """

    name: str
    generated: NDArray[np.bool_]
    embeddings: dict[str, NDArray[np.float64]]

    def of(self, chosen: NDArray[np.bool_]) -> DataSet:
        """The chosen images (N,) alone."""
        return DataSet(self.name, self.generated[chosen], {k: x[chosen] for k, x in self.embeddings.items()})


def classifier(kind: str, reduction: str, components: int) -> Any:
    """A classifier of a kind, of the embedding or what it is reduced to."""
    if reduction == "autoencoder":
        return make_pipeline(StandardScaler(), Bottleneck(components), EvidenceClassifier(kind))
    return EvidenceClassifier(kind, components if reduction == "pca" else None)


def trained(data: DataSet, kind: str, reduction: str, augmentation: str, components: int) -> Any:
    """A classifier that is fitted to all parts of the images and of their copies."""
    x = np.concatenate([data.embeddings[name] for name in (PLAIN, *AUGMENTATIONS[augmentation])])
    y = np.repeat(np.tile(data.generated, len(x) // len(data.generated)), x.shape[1])
    flat = x.reshape(-1, x.shape[2])
    # In each training of a cross-validation there is a fifth less.
    return classifier(kind, reduction, min(components, *flat.shape)).fit(flat, y)


def decisions(fitted: Any, data: DataSet) -> NDArray[np.float64]:
    """The mean decision (N,) over the parts of each image as it is."""
    x = data.embeddings[PLAIN]
    values: NDArray[np.float64] = fitted.decision_function(x.reshape(-1, x.shape[2])).reshape(x.shape[:2]).mean(1)
    return values


def within(data: DataSet, *how: Any) -> float | str:
    """AUROC by a fivefold cross-validation; images and their copies are never on both sides. Empty of too few."""
    folds = min(5, int(data.generated.sum()), int((~data.generated).sum()))
    if folds < 2:
        return ""
    scores = np.zeros(len(data.generated))
    for training, test in StratifiedKFold(folds, shuffle=True, random_state=0).split(scores, data.generated):
        inside = np.isin(np.arange(len(scores)), training)
        fitted = trained(data.of(inside), *how)
        reference = decisions(fitted, data.of(inside))
        scores[test] = (decisions(fitted, data.of(~inside)) - reference.mean()) / (reference.std() or 1.0)
    return auroc(scores[~data.generated], scores[data.generated])


def lines(backbone: str, sets: Sequence[DataSet], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A line for each data set that is trained on, augmentation, reduction and classifier."""
    ways = itertools.product(sets, options.augmentations, options.reductions, options.classifiers)
    total = len(sets) * len(options.augmentations) * len(options.reductions) * len(options.classifiers)
    for source, augmentation, reduction, kind in tqdm(ways, desc=backbone, total=total):
        how = (kind, reduction, augmentation, options.components)
        line: dict[str, Any] = {"backbone": backbone, "augmentation": augmentation, "reduction": reduction}
        line |= {"kind": kind, "fitted to": source.name}
        line |= {"photographs": int((~source.generated).sum()), "generated": int(source.generated.sum())}
        areas: dict[str, float | str]
        try:
            areas = from_one_to_all(source, sets, *how)
        except np.linalg.LinAlgError:  # of qda, with fewer images of a class than features
            areas = dict.fromkeys((target.name for target in sets), "")
        yield line | {name: round(area, 4) if isinstance(area, float) else area for name, area in areas.items()}


def from_one_to_all(source: DataSet, sets: Sequence[DataSet], *how: Any) -> dict[str, float | str]:
    """AUROC on each data set of what was trained on one, by name; on that itself see `within`.

    Raises:
        numpy.linalg.LinAlgError: Too few images for this classifier.
    """
    fitted = trained(source, *how)
    areas: dict[str, float | str] = {}
    for target in sets:
        values = decisions(fitted, target)
        area = auroc(values[~target.generated], values[target.generated])
        areas[target.name] = within(source, *how) if target is source else area
    return areas


def draw(by_backbone: dict[str, list[DataSet]], components: int, path: Path) -> None:
    """Images in the plane of the first two principal components, and where the SVM's decision changes its sign there.

    The SVM sees all components; in the plane, the others are 0.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(by_backbone), figsize=(5 * len(by_backbone), 4.6), layout="constrained")
    for ax, (backbone, sets) in zip(np.atleast_1d(axes), by_backbone.items(), strict=True):
        x = np.concatenate([data.embeddings[PLAIN].mean(1) for data in sets])
        generated = np.concatenate([data.generated for data in sets])
        reduce = make_pipeline(StandardScaler(), PCA(min(components, *x.shape), random_state=0))
        z = reduce.fit_transform(x)
        fitted = CLASSIFIERS[PLOTTED].make().fit(z, generated)
        first, second = (np.linspace(column.min(), column.max(), 80) for column in z.T[:2])
        plane = np.zeros((len(first) * len(second), z.shape[1]))
        plane[:, 0], plane[:, 1] = (axis.ravel() for axis in np.meshgrid(first, second))
        height = fitted.decision_function(plane).reshape(len(second), len(first))
        ax.contourf(first, second, height > 0, levels=(-0.5, 0.5, 1.5), colors=("tab:blue", "tab:orange"), alpha=0.15)
        for label, colour in ((False, "tab:blue"), (True, "tab:orange")):
            chosen = z[generated == label]
            name = "generated" if label else "photographs"
            ax.scatter(chosen[:, 0], chosen[:, 1], s=12, c=colour, label=f"{name} ({len(chosen)})")
        ax.set(title=f"{backbone}: {PLOTTED} of {z.shape[1]} components", xlabel="component 1", ylabel="component 2")
        ax.legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    plt.close(figure)


def embedded(
    detector: Detector, data: Path, conditions: Sequence[str], options: argparse.Namespace, output: Path
) -> tuple[RunInfo, list[ManifestRow], dict[str, dict[str, NDArray[np.float64]]]]:
    """The images of a folder that could be read, and by backbone and condition their embeddings (N, C, D)."""
    rows = large_enough(read_manifest(data), options.crop)
    parts = [f"part-{number}+" for number in range(options.crops)] if options.crops > 1 else [""]
    names = [f"{part}{condition}" for condition in conditions for part in parts]
    inputs = [
        Input(data / row["path"], f"{name}:{row['path']}", row["label"], options.crop, name)
        for row, name in itertools.product(rows, names)
    ]
    run, entries = score(detector, inputs, output)
    by_name = {entry["path"]: entry for entry in entries if entry["error"] is None}
    rows = [row for row in rows if all(f"{name}:{row['path']}" in by_name for name in names)]
    result: dict[str, dict[str, NDArray[np.float64]]] = {}
    for backbone in (model.name for model in run.models):
        x = np.array([
            [_embedding(by_name[f"{name}:{row['path']}"], backbone) for name in names] for row in rows
        ]).reshape(len(rows), len(conditions), len(parts), -1)  # fmt: skip
        result[backbone] = {condition: x[:, place] for place, condition in enumerate(conditions)}
    return run, rows, result


def _embedding(entry: dict[str, Any], backbone: str) -> list[float]:
    features: dict[str, float] = entry["details"]["embedding"]["features"]
    return [value for name, value in features.items() if name.rpartition(".")[0] == backbone]


def sets_of(
    folders: dict[str, tuple[list[ManifestRow], dict[str, dict[str, NDArray[np.float64]]]]], backbone: str
) -> list[DataSet]:
    """The data sets by one backbone: the folders, or of one folder its sources."""
    whole = [
        DataSet(name, np.array([row["label"] == "generated" for row in rows]), embeddings[backbone])
        for name, (rows, embeddings) in folders.items()
    ]
    if len(whole) > 1:
        return whole
    (rows, _), (data,) = *folders.values(), whole
    sources = datasets([row | {"source": row.get("source", "")} for row in rows])
    parts = {str(name): data.of(sources == name) for name in sorted(set(sources))}
    return [DataSet(name, part.generated, part.embeddings) for name, part in parts.items()]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders with manifest.csv")
    parser.add_argument("--models", required=True, help="folders or hub ids of backbones, separated by commas")
    for name, choices in (("classifiers", CLASSIFIERS), ("reductions", REDUCTIONS), ("augmentations", AUGMENTATIONS)):
        parser.add_argument(f"--{name}", type=_some_of(choices), default=list(choices), help=f"of {', '.join(choices)}")
    parser.add_argument("--components", type=int, default=50, help="of PCA, and units of the autoencoder")
    parser.add_argument("--crop", type=int, default=320, help="side of the centre crop; 0 keeps images whole")
    parser.add_argument("--crops", type=int, choices=(1, 5), default=1, help="parts that an image is judged by")
    parser.add_argument("--device", default=None)
    parser.add_argument("--output", type=Path, default=RESULTS / "embeddings.csv")
    return parser.parse_args()


def _some_of(choices: Any) -> Any:
    def chosen(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in choices]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r}: expected some of {', '.join(choices)}")
        return names

    return chosen


def main() -> None:
    options = arguments()
    size = batch_size(options.device, None)
    detector = load_detector("embedding", models=options.models.split(","), device=options.device, batch_size=size)
    copies = dict.fromkeys(name for kind in options.augmentations for name in AUGMENTATIONS[kind])
    folders, runs = {}, []
    for data in options.data:
        name = data.resolve().name
        scores = options.output.with_name(f"{options.output.stem}-{name}.csv")
        run, rows, embeddings = embedded(detector, data, [PLAIN, *copies], options, scores)
        folders[name] = rows, embeddings
        runs.append(run)
    by_backbone = {model.name: sets_of(folders, model.name) for model in detector.run_info.models}
    table = [line for backbone, sets in by_backbone.items() for line in lines(backbone, sets, options)]
    conditions = (
        f"{', '.join(folders)}, centre crop of {options.crop} px, {options.crops} part(s) of each image; AUROC on each "
        f"set of what was fitted to one, on that itself by cross-validation; {options.components} components; "
        f"{computed_by(runs[0])}"
    )
    write_table(options.output, conditions, table)
    draw(by_backbone, options.components, options.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
