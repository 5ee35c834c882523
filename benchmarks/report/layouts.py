"""Layouts of each kind of result as a table: for README and docs, for reports, for papers."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.common.data import RESULTS, read_table
from benchmarks.common.families import FAMILIES
from recon_detect.models.registry import AUTOENCODERS, MODEL_SETS, AutoencoderRow, is_embedded, shorten

Lines = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text, in which backticks mark code; the note under the table; and its title."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    title: str = ""

    def markdown(self) -> str:
        """Markdown as GitHub and most journals' tools read it."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        text = "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)
        return f"{text}\n{self.note}\n"


def spread(line: dict[str, str], column: str = "auroc", digits: int = 3) -> str:
    """A figure with its interval; without where an older table has none."""
    if f"{column}_low" not in line:
        return f"{float(line[column]):.{digits}f}" if line.get(column) else ""
    low, high = (float(line[f"{column}_{end}"]) for end in ("low", "high"))
    return f"{float(line[column]):.{digits}f} [{low:.2f}, {high:.2f}]"


def figure(line: dict[str, str], column: str, digits: int = 2) -> str:
    """A figure, or nothing where there is none."""
    return f"{float(line[column]):.{digits}f}" if line.get(column) else ""


def models_of(line: dict[str, str]) -> str:
    """The models of a line, or the name of their set."""
    return ", ".join(shorten(tuple(line["models"].split("+"))))


def detection(conditions: str, every: Lines) -> Table:
    """Families only; the generators are in the CSV."""
    lines = [line for line in every if not line["group"].startswith("generator") and line["group"] != "autoencoder: "]
    rows = [
        [
            line["group"].removeprefix("autoencoder: "),
            line["generated"],
            "{:.3f} [{:.3f}, {:.3f}]".format(*(float(line[name]) for name in ("auroc", "auroc_low", "auroc_high"))),
            figure(line, "tpr_at_5_fpr"),
        ]
        for line in lines
    ]
    head = ["images of", "n", f"AUROC against {lines[0]['real']} photographs [95 %]", "TPR at 5 % FPR"]
    return Table(head, rows, f"Conditions: {conditions}.")


def comparison(pattern: str) -> Table:
    """One row per method and model of several files: the AUROC of each decoder family, and the row's conditions."""
    measured, texts = [], []
    for path in sorted(RESULTS.glob(pattern)):
        conditions, lines = read_table(path)
        for method in dict.fromkeys(line["method"] for line in lines):
            groups = {line["group"].removeprefix("autoencoder: "): line for line in lines if line["method"] == method}
            measured.append(groups)
            texts.append(f"against {groups['all']['real']} photographs; {conditions}")
    marks, note = shared_conditions(texts)
    families = [name for name in (*FAMILIES, "all") if any(name in groups for groups in measured)]
    counts = {family: {of[family]["generated"] for of in measured if family in of} for family in families}
    rows = []
    for groups, mark in zip(measured, marks, strict=True):
        total = groups["all"]
        cells = [_area_of(groups.get(family), counted=len(counts[family]) > 1) for family in families]
        rows.append([total["method"], total["distance"], models_of(total), total["dtype"], *cells, mark])
    head = [f"{family} (n = {''.join(n)})" if len(n) == 1 else f"{family} (n)" for family, n in counts.items()]
    head = ["method", "distance", "model", "dtype", *head, "conditions"]
    return without_empty_marks(Table(head, rows, f"AUROC with 95 % interval. {note}"))


def _area_of(line: dict[str, str] | None, *, counted: bool) -> str:
    """An AUROC with its interval, and the number of generated images where the rows of a table differ in it."""
    return "" if line is None else spread(line) + (f" ({line['generated']})" if counted else "")


def without_empty_marks(table: Table) -> Table:
    """The table without its last column, the marks of `shared_conditions`, if all rows have the same conditions."""
    if any(row[-1] for row in table.rows):
        return table
    return replace(table, head=table.head[:-1], rows=[row[:-1] for row in table.rows])


def shared_conditions(texts: Sequence[str]) -> tuple[list[str], str]:
    """Letters for the rows of a table whose conditions differ, and the note that explains them.

    Args:
        texts: The conditions of each row; clauses are separated by semicolons.

    Returns:
        A mark for each row, such as "a, c", and the note: first the clauses that all rows share, then each other
        clause behind its letter.
    """
    clauses = [list(dict.fromkeys(text.split("; "))) for text in texts]
    everywhere = [clause for clause in clauses[0] if all(clause in row for row in clauses)]
    differing = dict.fromkeys(clause for row in clauses for clause in row if clause not in everywhere)
    letters = {clause: string.ascii_lowercase[i % 26] + "\N{PRIME}" * (i // 26) for i, clause in enumerate(differing)}
    note = f"Conditions: {'; '.join(everywhere)}." if everywhere else "Conditions by row."
    note += "".join(f" ({letter}) {clause}." for clause, letter in letters.items())
    return [", ".join(letters[clause] for clause in row if clause in letters) for row in clauses], note


def robustness_of_all(settings: str, lines: Lines) -> Table:
    """The AUROC of every method by condition."""
    conditions = list(dict.fromkeys(line["condition"] for line in lines))
    counts = {line["condition"]: f"{line['real']} + {line['generated']}" for line in lines}
    areas = {(line["method"], line["condition"]): f"{float(line['auroc']):.3f}" for line in lines}
    names = sorted({name for name, _ in areas}, key=lambda name: -float(areas[name, conditions[0]]))
    rows = [[f"`{name}`", *(areas.get((name, condition), "") for condition in conditions)] for name in names]
    head = ["AUROC", *(f"{condition} ({counts[condition]})" for condition in conditions)]
    note = f"Photographs + generated images in brackets. Conditions: {settings}."
    return Table(head, rows, note, "AUROC by method and condition")


def robustness(settings: str, lines: Lines, method: str) -> Table:
    """One method, a line per condition."""
    rows = [
        [
            line["condition"],
            f"{line['real']} + {line['generated']}",
            spread(line),
            *(f"{float(line[family]):.3f} ({line[f'{family} n']})" if line[family] else "" for family in FAMILIES),
            f"{figure(line, 'tpr_at_5_fpr')}, {figure(line, 'tpr_at_1_fpr')}",
            f"{figure(line, 'fpr_at_nominal_0.05', 3)}, {figure(line, 'tpr_at_nominal_0.05')}",
            f"{figure(line, 'fpr_at_nominal_0.01', 3)}, {figure(line, 'tpr_at_nominal_0.01')}",
            figure(line, "decoder_right"),
        ]
        for line in lines
        if line["method"] == method
    ]
    head = ["condition", "photographs + generated", "AUROC, all [95 %]", *(f"{f} (n)" for f in FAMILIES),
            "TPR at 5, 1 % FPR", "false, true positives at nominal 5 %", "at nominal 1 %",
            "decoder family right"]  # fmt: skip
    return Table(head, rows, f"Conditions: {settings}.", f"`{method}` by condition")


def ablation(conditions: str, lines: Lines, best: int = 10) -> Table:
    """The best candidates, then the best of every other pooling."""
    best_of: dict[str, dict[str, str]] = {}
    for line in lines:
        best_of.setdefault(line["pooling"], line)
    lines = lines[:best] + [line for line in best_of.values() if line not in lines[:best]]
    families = list(FAMILIES)
    rows = [
        [*(line[name] for name in ("views", "distance", "floor", "pooling")), spread(line),
         *(figure(line, family, 3) for family in families), figure(line, "tpr_at_5_fpr")]
        for line in lines
    ]  # fmt: skip
    head = ["views", "distance", "floor", "pooling", "AUROC, all [95 %]", *families, "TPR at 5 % FPR"]
    return Table(head, rows, f"Conditions: {conditions}.", "Candidates for the contrast")


def plain(conditions: str, lines: Lines, title: str = "") -> Table:
    """Every line and column, as they are."""
    head = [name.replace("_", " ") for name in lines[0]]
    return Table(head, [list(line.values()) for line in lines], f"Conditions: {conditions}.", title)


def audit(conditions: str, lines: Lines) -> Table:
    """Shortcuts and combinations; measurements that are no shortcut are named below."""
    shown = [line for line in lines if line["shortcut"] or line["group"] == "together"]
    others = ", ".join(f"{line['measurement']} {figure(line, 'auroc')}" for line in lines if line not in shown)
    rows = [
        [line["measurement"], line["group"], f"{figure(line, 'auroc')} [{figure(line, 'low')}, {figure(line, 'high')}]",
         line["photographs"], line["generated_images"], line["shortcut"] or "none"]
        for line in shown
    ]  # fmt: skip
    head = ["measurement", "of", "AUROC [95 %]", "photographs", "generated images", "shortcut"]
    return Table(head, rows, f"No shortcut: {others or 'none'}. Conditions: {conditions}.")


def thresholds(conditions: str, lines: Lines) -> Table:
    """Rates that were promised, rates over all splits, and rates in the first alone."""
    rows = [
        [
            line["score"],
            line["images"],
            f"{line['strata']} ({float(line['strata_found']):.1f})",
            spread(line, "fpr"),
            figure(line, "splits_above", 3),
            figure(line, "tpr"),
            figure(line, "drift_told"),
            f"{figure(line, 'brier')}, {figure(line, 'ece')}",
            "{:.3f} [{:.2f}, {:.2f}]".format(*(float(line[f"first_split_{name}"]) for name in ("fpr", "low", "high"))),
            figure(line, "first_split_tpr"),
        ]
        for line in lines
    ]
    promised = f"false positives, {float(lines[0]['target']):.0%} promised"
    head = [
        "score",
        "images",
        "strata",
        f"{promised}: mean [95 % of splits]",
        "splits above it beyond chance",
        "true positives",
        "splits with a drift warning",
        "probability: Brier score, calibration error",
        "first split: false positives [95 %]",
        "true positives",
    ]
    return Table(head, rows, f"Conditions: {conditions}.", "Thresholds from half of the photographs, on the other half")


def _pinned(row: AutoencoderRow) -> str:
    if is_embedded(row):
        return "in the package"
    if not row.files:
        return "sum"
    pins = [name for name, value in (("revision", row.files[0].revision), ("sum", row.files[0].sha256)) if value]
    return " and ".join(pins) or "none"


def models() -> Table:
    rows = [
        [
            f"`{row.name}`",
            row.title,
            row.licence + (" (terms to accept)" if any(file.gated for file in row.files[:1]) else ""),
            str(row.megabytes),
            row.low_precision,
            _pinned(row),
        ]
        for row in AUTOENCODERS.values()
    ]
    sets = "; ".join(f"`{name}` = {', '.join(members)}" for name, members in MODEL_SETS.items())
    return Table(["name", "what", "licence", "MB", "precision on a GPU", "pinned"], rows, f"Sets: {sets}.")
