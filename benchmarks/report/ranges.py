"""Tables of values with intervals, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report import figures
from benchmarks.report.gathered import Result
from benchmarks.report.parts import Chart


@dataclass(frozen=True, slots=True)
class Drawn:
    """Figure of a kind of table: its columns and their captions.

    Attributes:
        title: Title of the figure.
        axis: Label of the value.
        group: Column of the colours.
        names: Columns that name a line.
        value: Column that is drawn.
        reference: Column or number to compare with.
        low: Lower end of its interval; empty where it has none.
        high: Upper end.
    """

    title: str
    axis: str
    group: str
    names: Sequence[str]
    value: str
    reference: str | float
    low: str = ""
    high: str = ""


KINDS = {
    "thresholds": Drawn("False positives, against what was promised", "false-positive rate, mean and 95 % of halves",
                        "score", ("images", "strata"), "fpr", "target", "fpr_low", "fpr_high"),
    "classifiers": Drawn("All families known", "AUROC",
                         "features", ("classifier",), "trained on all", 0.5, "low", "high"),
    "localisation": Drawn("Pixels that were changed", "AUROC of pixels, mean over images",
                          "model", ("map",), "auroc", 0.5, "auroc_low", "auroc_high"),
    "today": Drawn("Generators with 5 pictures or more", "AUROC, 95 % interval",
                   "by", ("group",), "auroc", 0.5, "auroc_low", "auroc_high"),
    "speed": Drawn("Beside the published schedule", "times as many images per second", "", ("way",), "ratio", 1.0),
}  # fmt: skip


def chart(result: Result) -> Chart:
    """The figure of a table whose kind is one of `KINDS`."""
    drawn = KINDS[result.kind]
    groups: dict[str, dict[str, tuple[float, float, float]]] = {}
    described = []
    for line in result.lines:
        value, low, high = (float(line.get(name) or line[drawn.value]) for name in (drawn.value, drawn.low, drawn.high))
        # "with" and "without" need their column.
        names = (f"{line[name]} {name}" if line[name].startswith("with") else line[name] for name in drawn.names)
        group, name = line.get(drawn.group, ""), ", ".join(names)
        groups.setdefault(group, {})[name] = value, low, high
        described.append(f"{', '.join(filter(None, (group, name)))} {value:.3f}")
    reference = float(result.lines[0][drawn.reference]) if isinstance(drawn.reference, str) else drawn.reference
    return Chart(
        f"{drawn.title}: {result.path.stem}",
        f"ranges-{result.path.stem}",
        figures.ranges(groups, drawn.axis, reference),
        f"{drawn.axis}: {'; '.join(described)}",
        f"Dashed: {reference:g}. Conditions: {result.conditions}.",
    )
