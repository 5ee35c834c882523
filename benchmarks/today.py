"""Generators one by one: what the default detects, what it misses, and how it answers; photographs by kind.

    python -m benchmarks.today --data ../shared/eval --efforts quick,normal --folds folds
    python -m benchmarks.today --data ../shared/eval --methods trace,grid --recipes file --report

Both classes are compared in three ways: as the files are, as PNG crops, and as JPEG crops of quality 90. Beside each
is what `recon_detect.audit` separates the classes by without looking at what they show: a detector has to do better
than that. Several methods are fused too, by the distribution of each over the photographs of the other half.
Generators with fewer than 5 pictures are put together by decoder. A decoder that no template or autoencoder of the
package is of is not expected to be detected. Journals, folds and reports are those of `benchmarks.web`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from assets.grid import FAMILIES, family_of, kind_of
from benchmarks.common.conditions import FILE, expand
from benchmarks.common.data import RESULTS, ManifestRow, large_enough, read_manifest, write_table
from benchmarks.common.folds import FOLDS, folds_of
from benchmarks.common.metrics import RATES, score_interval
from benchmarks.common.sampling import ALL, add_argument, in_turn
from benchmarks.common.scores import Input, computed_by
from benchmarks.report.report import accompany
from benchmarks.web import (
    Scored,
    Trial,
    add_trials,
    conditions_of,
    scored_under,
    scores_of,
    separation,
    trials_of,
)
from recon_detect.answers import FOUND, NOTHING, UNDECIDED, answer_of
from recon_detect.audit import audit
from recon_detect.calibration.fusion import Fusion
from recon_detect.results import Row, RunInfo

CROP = 320
RECIPES = (FILE, f"centre-{CROP}", f"centre-{CROP}+jpeg-90")
# Nothing is claimed of a generator with fewer pictures.
FEWEST = 5
AUDIT, FUSION = "audit", "fusion"


def generators_of(rows: Sequence[ManifestRow]) -> dict[str, str]:
    """The group of each generated picture by path: its generator, or the decoder of generators with few pictures."""
    generated = [row for row in rows if row["label"] != "real"]
    counts = Counter(row["generator"] for row in generated)
    return {
        row["path"]: row["generator"] if counts[row["generator"]] >= FEWEST else f"others, {row['autoencoder']}"
        for row in generated
    }


def expected_of(row: ManifestRow) -> str:
    """Yes or no: the package has a template or an autoencoder of the decoder of a generated picture."""
    return "yes" if row["autoencoder"] in FAMILIES else "no"


def answers_of(scored: Scored, run: RunInfo) -> list[str]:
    """The kind of each answer in words (`recon_detect.answers`); a method without a fold answers as the whole one."""
    run = replace(run, methods=(replace(run.methods[0], name=scored.trial.method), *run.methods[1:]))
    return [answer_of(Row.from_dict(entry), run).kind for entry in scored.entries]


def shares(answers: Sequence[str]) -> dict[str, int]:
    """The number of answers of each kind."""
    return {kind: answers.count(kind) for kind in (FOUND, UNDECIDED, NOTHING)}


def fused(trials: Sequence[Scored]) -> Scored:
    """The pictures that all trials scored, by one score: Cauchy's combination of their p-values (`Fusion`)."""
    by_path = [dict(zip((row["path"] for row in of.rows), of.scores, strict=True)) for of in trials]
    rows = [row for row in trials[0].rows if all(row["path"] in values for values in by_path)]
    values = np.array([[of_trial[row["path"]] for of_trial in by_path] for row in rows])
    real = np.array([row["label"] == "real" for row in rows])
    halves = folds_of(rows, family_of)
    half, scores = np.array([halves[row["path"]] for row in rows]), np.empty(len(rows))
    for number in range(FOLDS):
        fusion = Fusion().fit(values[real & (half != number)])
        scores[half == number] = fusion.transform(values[half == number])[:, 0]
    entries = [
        {"path": row["path"], "scores": {FUSION: score}, "details": {}}
        for row, score in zip(rows, scores.tolist(), strict=True)
    ]
    return Scored(Trial(FUSION, None), rows, entries, failed=0)


def lines_of(scored: Scored, run: RunInfo | None, recipe: str, groups: dict[str, str]) -> Iterator[dict[str, Any]]:
    """One line per generator, one for all that are expected to be detected, and one per kind of photograph.

    Answers, and so photographs, only of scores that are of one run.
    """
    real, scores = scored.real, scored.scores
    answers = answers_of(scored, run) if run else []
    about = {"method": scored.trial.method, "effort": scored.trial.effort or "", "recipe": recipe}
    for group, places in sorted(places_of(scored, groups).items()):
        rows = [scored.rows[place] for place in places]
        line = {"group": group, "decoder": ", ".join(sorted({row["autoencoder"] for row in rows}))}
        line["expected"] = "/".join(sorted({expected_of(row) for row in rows}))
        yield about | line | separation(scores[real], scores[places]) | answered(scored, places, answers)
    if not run:
        return
    kinds = {n: kind_of(row) for n, row in enumerate(scored.rows) if row["label"] == "real"}
    for kind in ("all", *sorted(set(kinds.values()))):
        places = [n for n, kind_of_this in kinds.items() if kind in ("all", kind_of_this)]
        line = {"group": f"photographs, {kind}", "real": str(len(places))}
        yield about | line | shares([answers[place] for place in places]) | nominal(scores[places])


def places_of(scored: Scored, groups: dict[str, str]) -> dict[str, list[int]]:
    """The positions of the generated pictures of each group, and of all that are expected to be detected."""
    places: dict[str, list[int]] = {}
    for place, row in enumerate(scored.rows):
        if row["label"] != "real":
            places.setdefault(groups[row["path"]], []).append(place)
            if expected_of(row) == "yes":
                places.setdefault("every known decoder", []).append(place)
    return places


def answered(scored: Scored, places: Sequence[int], answers: Sequence[str]) -> dict[str, int]:
    """The number of answers of each kind, and of those found whose decoder is named rightly; nothing without any."""
    if not answers:
        return {}
    right = [
        details.get("decoder") == FAMILIES.get(row["autoencoder"]) and answer == FOUND
        for details, row, answer in zip(scored.details(), scored.rows, answers, strict=True)
    ]
    return shares([answers[place] for place in places]) | {"family_right": sum(right[place] for place in places)}


def nominal(scores: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    """The share of photographs above nominal thresholds, its upper 95 % limit, and the scores that few exceed."""
    line = {}
    for rate in RATES:
        share = float((scores > norm.isf(rate)).mean())
        line[f"fpr_at_nominal_{rate:g}"] = round(share, 4)
        line[f"fpr_at_nominal_{rate:g}_high"] = round(score_interval("fpr", share, 0, len(scores))[1], 4)
        line[f"score_of_{rate:g}"] = round(float(np.quantile(scores, 1 - rate)), 3)
    return line | {"score_highest": round(float(scores.max()), 3)}


def shortcut_line(rows: Sequence[ManifestRow], recipe: str, data: Path) -> dict[str, Any]:
    """The measurement of the audit that separates the classes best."""
    inputs = [Input(data / row["path"], row["path"], row["label"], None, recipe) for row in rows]
    best = max(audit(entry.source()[0] for entry in inputs).findings, key=lambda finding: finding.auroc)
    numbers = {"auroc": best.auroc, "auroc_low": best.low, "auroc_high": best.high}
    about = {"method": AUDIT, "effort": "", "recipe": recipe, "group": best.feature.title}
    counts = {"real": best.real, "generated": best.generated}
    return about | counts | {name: round(value, 4) for name, value in numbers.items()}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_trials(parser)
    parser.add_argument("--recipes", default=",".join(RECIPES), help=f"separated by commas; default: {len(RECIPES)}")
    add_argument(parser, "all")
    parser.add_argument("--no-audit", action="store_true", help="leave the measurements of the audit out")
    parser.add_argument("--output", type=Path, default=RESULTS / "today.csv")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    recipes = expand(options.recipes.split(","))
    rows = in_turn(large_enough(read_manifest(options.data), CROP))[: options.images or ALL]
    groups = generators_of(rows)
    table: list[dict[str, Any]] = []
    runs = []
    by_recipe: dict[str, list[Scored]] = {recipe: [] for recipe in recipes}
    for trial in trials_of(options.methods, options.efforts):
        run, entries = scores_of(trial, rows, recipes, options)
        runs.append(f"{trial.name}: {computed_by(run)}")
        for recipe, trials in by_recipe.items():
            scored = scored_under(trial, entries, rows, recipe)
            if scored.real.any() and not scored.real.all():
                trials.append(scored)
                table += lines_of(scored, run, recipe, groups)
    for recipe, trials in by_recipe.items():
        if len({scored.trial.method for scored in trials}) > 1:  # two efforts of one method are no two opinions
            table += lines_of(fused(trials), None, recipe, groups)
    if not options.no_audit:
        table += [shortcut_line(rows, recipe, options.data) for recipe in recipes]
    if not table:
        raise SystemExit("no recipe has scores of both classes: expected photographs and generated images")
    write_table(options.output, conditions_of(options, f"pictures of at least {CROP} px", runs), table)
    accompany(options.output, options.data)


if __name__ == "__main__":
    main()
