"""Tables of `benchmarks.web`: the AUROC of every method by recipe, and one method in detail."""

from __future__ import annotations

from benchmarks.common.families import GROUPS, OTHER
from benchmarks.report.layouts import Lines, Table, figure, spread

EVERY = "all"
TITLES = {
    "file": "the file itself",
    "png": "as it is",
    "longest": "at most {} px",
    "jpeg": "JPEG {}",
    "webp": "WebP {}",
    "aspect": "cropped to 4:5",
    "centre": "crop of {} px",
    "offgrid": "up to {} px cut off",
    "resize": "resized to {}",
    "mirror": "mirrored",
    "turn": "turned",
    "page": "screenshot of a page at {}",
}


def title(recipe: str) -> str:
    """A recipe in words; steps that have none as they are."""
    steps = [part.partition("-") for part in recipe.split("+")]
    return ", ".join(TITLES.get(name, f"{name}-{{}}").format(value) for name, _, value in steps)


def name_of(line: dict[str, str]) -> str:
    """The method of a line, with its effort if it has one."""
    return f"{line['method']}-{line['effort']}" if line["effort"] else line["method"]


def web(conditions: str, lines: Lines) -> Table:
    """A line for each recipe, a column for each method and effort; the AUROC over all families, and the time."""
    every = {(line["recipe"], name_of(line)): line for line in lines if line["group"] == EVERY}
    names = list(dict.fromkeys(name for _, name in every))
    rows = []
    for recipe in dict.fromkeys(recipe for recipe, _ in every):
        of_recipe = [every.get((recipe, name)) for name in names]
        counts = {f"{line['real']} + {line['generated']}" for line in of_recipe if line}
        rows.append([title(recipe), " / ".join(sorted(counts)), *(spread(line) if line else "" for line in of_recipe)])
    seconds = [[float(line["seconds"]) for (_, of), line in every.items() if of == name and line["seconds"]]
               for name in names]  # fmt: skip
    means = [f"{sum(values) / len(values):.1f}" if values else "" for values in seconds]
    rows.append(["seconds per picture, mean of the recipes", "", *means])
    head = ["AUROC [95 %]", "photographs + generated", *(f"`{name}`" for name in names)]
    return Table(head, rows, f"Conditions: {conditions}.")


def web_of(conditions: str, lines: Lines, name: str) -> Table:
    """One method at one effort, such as "trace-normal": families, rates at nominal thresholds, and cost by recipe."""
    groups = {(line["recipe"], line["group"]): line for line in lines if name_of(line) == name}
    rows = []
    for recipe in dict.fromkeys(recipe for recipe, _ in groups):
        line = groups[recipe, EVERY]
        families = [groups.get((recipe, group)) for group in (*GROUPS.values(), OTHER)]
        rows.append([
            title(recipe),
            f"{line['real']} + {line['generated']}",
            spread(line),
            *(f"{figure(of, 'auroc', 3)} ({of['generated']})" if of else "" for of in families),
            f"{figure(line, 'tpr_at_5_fpr')}, {figure(line, 'tpr_at_1_fpr')}",
            _nominal(line, "0.05"),
            _nominal(line, "0.01"),
            f"{figure(line, 'family_right')} ({line['family_named']})" if line["family_right"] else "",
            ", ".join(filter(None, (figure(line, "seconds", 1), figure(line, "passes", 1)))),
        ])  # fmt: skip
    head = ["recipe", "photographs + generated", "AUROC, all [95 %]", *(f"{g} (n)" for g in (*GROUPS.values(), OTHER)),
            "TPR at 5, 1 % FPR", "false [at most, 95 %], true positives at nominal 5 %", "at nominal 1 %",
            "family right (n)", "seconds, passes"]  # fmt: skip
    return Table(head, rows, f"Conditions: {conditions}.", f"`{name}` by recipe")


def _nominal(line: dict[str, str], rate: str) -> str:
    """False and true positives at a nominal rate; empty for scores that are no deviates."""
    column = f"nominal_{rate}"
    if not line[f"fpr_at_{column}"]:
        return ""
    false, high = figure(line, f"fpr_at_{column}", 3), figure(line, f"fpr_at_{column}_high")
    return f"{false} [{high}], {figure(line, f'tpr_at_{column}')}"
