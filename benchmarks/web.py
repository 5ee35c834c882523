"""Whole pictures as people have them: resized, compressed, cropped, in screenshots; both classes alike.

    python -m benchmarks.web --data ../shared/eval --methods trace,aeroblade --efforts quick,normal
    python -m benchmarks.web --data ../shared/eval --recipes png,longest-800+jpeg-85 --images 60

Recipes are chains of steps (`common/conditions.py`). Pictures are only ever shrunk, so a recipe may leave a small one
at its size; the table says of how many it changed the size. Photographs and generated images are taken in turn, in
random order with each decoder family in its share, so that any first part is a sample of the whole. Each method and
effort keeps its scores in a journal of its own: a run that was killed goes on where it stopped, and one with more
``--images`` or ``--recipes`` goes on from there. ``--report`` computes nothing and writes the table of what is there.

The templates of the package were made from the pictures of the data set. With ``--folds FOLDER``, each half of the
pictures is scored with those of FOLDER/0 and FOLDER/1, which were made without it:

    for k in 0 1; do
        python -m assets.grid --without-fold $k --output folds/$k/families.safetensors ...
        python -m assets.trace templates --without-fold $k --output folds/$k/compressed.safetensors ...
    done

Thresholds at a nominal rate are those of scores in standard deviations of photographs; other methods have none.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from assets.grid import family_of
from benchmarks.common.conditions import expand
from benchmarks.common.data import RESULTS, ManifestRow, journal_of, read_manifest, write_table
from benchmarks.common.families import GROUPS, OTHER, group_of
from benchmarks.common.folds import FOLDS, folds_of
from benchmarks.common.metrics import (
    RATES,
    RESAMPLES,
    auroc,
    intervals,
    name_of,
    score_interval,
    tpr_at_fpr,
)
from benchmarks.common.sampling import SAMPLE, add_argument, in_turn, number_of
from benchmarks.common.scores import Entry, Input, batch_size, computed_by, read_journal, score
from benchmarks.report import figures
from benchmarks.report.web import EVERY, title
from recon_detect import Detector, load_detector
from recon_detect.atomic import replacing
from recon_detect.methods import DEFAULT_METHOD, Method, find_method
from recon_detect.methods.trace.nulls import FILE, find_nulls
from recon_detect.methods.trace.trace import TRACE
from recon_detect.results import RunInfo
from recon_detect.settings import DEFAULTS
from recon_detect.tensors.devices import find_device

SIDES, QUALITIES = (1600, 1080, 800, 640), (90, 85, 75)
RECIPES = (
    "png",
    *(f"longest-{side}+jpeg-{quality}" for side in SIDES for quality in QUALITIES),
    "webp-80",
    "aspect-0.8+longest-1080+jpeg-85",
    "page-0.83",
    "longest-1080+jpeg-85+longest-800+jpeg-75",
    "page-0.83+longest-1080+jpeg-85",
)

# Methods that search as far as an effort goes.
WITH_EFFORT = ("trace",)


@dataclass(frozen=True, slots=True)
class Trial:
    """A method, with an effort if it searches, and the fold that its templates were made without."""

    method: str
    effort: str | None
    fold: int | None = None

    @property
    def name(self) -> str:
        """Name in figures and files."""
        return "-".join(filter(None, (self.method, self.effort, "" if self.fold is None else f"fold{self.fold}")))

    def table(self, output: Path) -> Path:
        """Path of a table of its own, beside which its journal is."""
        return output.with_name(f"{output.stem}-{self.name}.csv")


def whole(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """The pictures that nothing was cut off."""
    return [row for row in rows if not row.get("crop")]


def trials_of(methods: str, efforts: str | None) -> list[Trial]:
    """Every method that searches with every effort, and the others once."""
    searching = efforts.split(",") if efforts else [None]
    names = [find_method(name).name for name in methods.split(",")]
    return [Trial(name, effort) for name in names for effort in (searching if name in WITH_EFFORT else [None])]


def detector_of(trial: Trial, options: argparse.Namespace) -> Detector:
    return load_detector(
        without_fold(trial.fold, options.folds) if trial.fold is not None else trial.method,
        models=options.models.split(",") if options.models else None,
        device=options.device,
        dtype=options.dtype,
        batch_size=batch_size(options.device, options.batch_size),
        effort=trial.effort or DEFAULTS.effort,
    )


def without_fold(fold: int, folder: Path) -> Method:
    """The search with the templates of a folder that were made without a fold."""
    grid, compressed = (folder / str(fold) / name for name in ("families.safetensors", "compressed.safetensors"))
    nulls = partial(find_nulls, grid=grid, compressed=compressed)
    measured = hashlib.sha256(FILE.read_bytes()).hexdigest()[:8]  # a journal goes on with the same distributions alone
    return replace(TRACE, name=f"trace-{measured}-without-{fold}", nulls=nulls, data=grid)


def of_method(values: Mapping[str, Any]) -> Any:
    """The value of the only method of a journal; None where there is none."""
    return next(iter(values.values()), None)


@dataclass(frozen=True, slots=True)
class Scored:
    """The pictures of one trial and recipe that have a score.

    Attributes:
        trial: Method and effort.
        rows: Their lines of the manifest.
        entries: Their lines of the journal.
        failed: Number of pictures without a score.
    """

    trial: Trial
    rows: list[ManifestRow]
    entries: list[Entry]
    failed: int

    @property
    def real(self) -> NDArray[np.bool_]:
        """Mask (N,) of the photographs."""
        return np.array([row["label"] == "real" for row in self.rows])

    @property
    def scores(self) -> NDArray[np.float64]:
        """Scores (N,) of the method."""
        return np.array([of_method(entry["scores"]) for entry in self.entries], np.float64)

    def details(self) -> Iterator[dict[str, Any]]:
        """Details of each score."""
        for entry in self.entries:
            yield of_method(entry["details"]) or {}


def scored_under(trial: Trial, entries: Sequence[Entry], rows: Sequence[ManifestRow], recipe: str) -> Scored:
    by_path = {f"{recipe}:{row['path']}": row for row in rows}
    present = [entry for entry in entries if entry["path"] in by_path]
    valid = [entry for entry in present if of_method(entry["scores"]) is not None]
    return Scored(trial, [by_path[entry["path"]] for entry in valid], valid, len(present) - len(valid))


def lines_of(scored: Scored, recipe: str) -> list[dict[str, Any]]:
    """One line for all pictures, one per family; the photographs are always all."""
    real, scores = scored.real, scored.scores
    if real.all() or not real.any():
        return []
    groups = np.array([EVERY if row["label"] == "real" else group_of(row["autoencoder"])[0] for row in scored.rows])
    about = {"method": scored.trial.method, "effort": scored.trial.effort or "", "recipe": recipe}
    lines = []
    for group in (EVERY, *GROUPS.values(), OTHER):
        generated = scores[~real if group == EVERY else groups == group]
        if len(generated):
            lines.append(about | {"group": group} | separation(scores[real], generated))
    lines[0] |= of_all(scored)
    return [dict.fromkeys(lines[0], "") | line for line in lines]


def separation(real: NDArray[np.float64], generated: NDArray[np.float64]) -> dict[str, Any]:
    """AUROC and true-positive rates with their intervals."""
    values = {"auroc": auroc(real, generated)} | {name_of(rate): tpr_at_fpr(real, generated, rate) for rate in RATES}
    spread = intervals(real, generated, RATES)
    line: dict[str, Any] = {"real": len(real), "generated": len(generated)}
    for name, value in values.items():
        line |= {name: value, f"{name}_low": spread[name][0], f"{name}_high": spread[name][1]}
    return {name: round(value, 4) for name, value in line.items()}


def of_all(scored: Scored) -> dict[str, Any]:
    """Rates at nominal thresholds, families that are right, cost, and what the recipe did, over all pictures."""
    real, scores = scored.real, scored.scores
    line: dict[str, Any] = {}
    for rate in RATES:
        column, above = f"nominal_{rate:g}", scores > norm.isf(rate)
        if find_method(scored.trial.method).data is None:
            line |= dict.fromkeys((f"fpr_at_{column}", f"fpr_at_{column}_high", f"tpr_at_{column}"), "")
            continue
        fpr = float(above[real].mean())
        # Wilson's interval is that of any share.
        high = score_interval("fpr", fpr, 0, int(real.sum()))[1]
        line |= {f"fpr_at_{column}": fpr, f"fpr_at_{column}_high": high, f"tpr_at_{column}": above[~real].mean()}
    named = [
        (detail.get("decoder") or detail.get("family", ""), group_of(row["autoencoder"])[1])
        for detail, row, value in zip(scored.details(), scored.rows, scores, strict=True)
        if row["label"] != "real" and value > norm.isf(0.05)
    ]
    right = [named_family == family for named_family, family in named if named_family and family]
    seconds, cpu_seconds = (
        [entry[name] for entry in scored.entries if name in entry] for name in ("seconds", "cpu_seconds")
    )
    passes = [detail["passes"] for detail in scored.details() if "passes" in detail]
    changed = np.array([
        (entry["width"], entry["height"]) != (int(row["width"]), int(row["height"]))
        for entry, row in zip(scored.entries, scored.rows, strict=True)
    ])  # fmt: skip
    line |= {
        "family_right": np.mean(right) if right else "",
        "family_named": len(right),
        "seconds": np.mean(seconds) if seconds else "",
        "seconds_95": np.quantile(seconds, 0.95) if seconds else "",
        # Of all cores; other programs do not count.
        "cpu_seconds": np.mean(cpu_seconds) if cpu_seconds else "",
        "passes": np.mean(passes) if passes else "",
        "real_of_other_size": int(changed[real].sum()),
        "generated_of_other_size": int(changed[~real].sum()),
        "failed": scored.failed,
    }
    return {name: value if isinstance(value, str | int) else round(float(value), 4) for name, value in line.items()}


def draw(table: Sequence[dict[str, Any]], output: Path) -> None:
    """AUROC against seconds, one panel for each recipe and one line for the efforts of each method."""
    points = [line for line in table if line["group"] == EVERY and line["seconds"] != ""]
    panels: dict[str, dict[str, list[tuple[float, ...]]]] = {}
    for line in points:
        of_method = panels.setdefault(title(line["recipe"]), {}).setdefault(line["method"], [])
        of_method.append(tuple(float(line[name]) for name in ("seconds", "auroc", "auroc_low", "auroc_high")))
    if panels:
        with replacing(output.with_suffix(".png")) as temporary:
            temporary.write_bytes(figures.png(figures.costs(panels)))


def add_trials(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `trials_of` and `scores_of`."""
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--methods", default=DEFAULT_METHOD, help="separated by commas, each timed by itself")
    parser.add_argument("--efforts", default=None, help=f"separated by commas, for {', '.join(WITH_EFFORT)}")
    parser.add_argument("--models", default=None, help="names separated by commas; default: each method's own")
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--batch-size", type=int, default=None, help="default: 1 on the CPU")
    parser.add_argument("--folds", type=Path, help="folder of templates that were made without each half; for trace")
    parser.add_argument("--report", action="store_true", help="compute nothing, write the table of what is there")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_trials(parser)
    parser.add_argument("--recipes", default=",".join(RECIPES), help=f"separated by commas; default: {len(RECIPES)}")
    add_argument(parser, f"{SAMPLE} on a CPU, all on a GPU")
    parser.add_argument("--output", type=Path, default=RESULTS / "web.csv")
    return parser.parse_args()


def scores_of(
    trial: Trial, rows: Sequence[ManifestRow], recipes: Sequence[str], options: argparse.Namespace
) -> tuple[RunInfo, list[Entry]]:
    """The run of a trial and its entries: those that are there, or all; of folds, those of each in a journal."""
    if options.folds and trial.method == TRACE.name and trial.fold is None:
        folds = folds_of(list(read_manifest(options.data)), family_of)
        runs, entries = zip(
            *(
                scores_of(
                    replace(trial, fold=fold), [row for row in rows if folds[row["path"]] == fold], recipes, options
                )
                for fold in range(FOLDS)
            ),
            strict=True,
        )
        return runs[0], [entry for of_fold in entries for entry in of_fold]
    output = trial.table(options.output)
    if options.report:
        if not journal_of(output).is_file():
            raise SystemExit(f"{journal_of(output)}: no scores of {trial.name}: run without --report")
        return read_journal(journal_of(output))
    inputs = [
        Input(options.data / row["path"], f"{recipe}:{row['path']}", row["label"], None, recipe)
        for row, recipe in itertools.product(rows, recipes)
    ]
    return score(detector_of(trial, options), inputs, output)


def conditions_of(options: argparse.Namespace, pictures: str, runs: Sequence[str]) -> str:
    """Conditions of a table: which pictures of the data, which templates, and what computed the scores."""
    return (
        f"{options.data.resolve().name}, {pictures}, both classes alike; "
        f"{'templates made without the half that is scored' if options.folds else 'templates as shipped'}; "
        f"intervals by {RESAMPLES} bootstrap resamples; {' / '.join(runs)}"
    )


def main() -> None:
    options = arguments()
    recipes = expand(options.recipes.split(","))
    rows = in_turn(whole(read_manifest(options.data)))
    rows = rows[: number_of(options.images, find_device(options.device), long=True)]
    table, runs = [], []
    for trial in trials_of(options.methods, options.efforts):
        run, entries = scores_of(trial, rows, recipes, options)
        runs.append(f"{trial.name}: {computed_by(run)}")
        table += [line for recipe in recipes for line in lines_of(scored_under(trial, entries, rows, recipe), recipe)]
    if not table:
        raise SystemExit("no recipe has scores of both classes: expected photographs and generated images")
    write_table(
        options.output,
        conditions_of(options, "whole pictures", runs),
        table,
    )
    draw(table, options.output)


if __name__ == "__main__":
    main()
