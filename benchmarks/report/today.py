"""Tables of `benchmarks.today` and `benchmarks.wrong`: generators one by one, and what no decoder wrote by kind."""

from __future__ import annotations

from functools import partial

from benchmarks.report.layouts import Lines, Table, figure, spread
from benchmarks.report.web import name_of, title

# Nothing is claimed of fewer pictures.
FEWEST = 5
COUNTS = ("found", "undecided", "nothing")
RATES = ("0.05", "0.01")
ABOVE = ("above nominal 5 % [at most]", "above nominal 1 % [at most]")


def today(conditions: str, lines: Lines) -> Table:
    """A line for each generator and method; those that are expected to be detected first.

    Of files as they are without the best measurement of the audit, which their sizes and formats decide.
    """
    recipes = list(dict.fromkeys(line["recipe"] for line in lines))
    generated = [line for line in lines if line["generated"] and (line["method"] != "audit" or recipes != ["file"])]
    order = {"yes": 0, "yes/no": 1, "no": 2, "": 3}
    generated.sort(
        key=lambda line: (recipes.index(line["recipe"]), order[line["expected"]], line["group"], name_of(line))
    )
    rows = [
        [
            *([title(line["recipe"])] if len(recipes) > 1 else []),
            line["group"],
            line["expected"],
            f"`{name_of(line)}`",
            line["generated"],
            spread(line),
            figure(line, "tpr_at_5_fpr"),
            *(line[name] for name in COUNTS),
            line["family_right"],
        ]
        for line in generated
    ]
    head = ["generator", "decoder known", "method", "n", "AUROC [95 %]", "TPR at 5 % FPR", *COUNTS, "family right"]
    if len(recipes) > 1:
        head.insert(0, "pictures")
    return Table(head, rows, f"Conditions: {conditions}.")


def by_generator(lines: Lines) -> Lines:
    """Lines of `FEWEST` pictures or more; ``by`` is the method, and the recipe where there are several."""
    several = len({line["recipe"] for line in lines}) > 1
    return [
        {**line, "by": name_of(line) + (f", {title(line['recipe'])}" if several else "")}
        for line in lines
        if line["auroc"] and line["method"] != "audit" and int(line["generated"]) >= FEWEST
    ]


def photographs(conditions: str, lines: Lines, name: str) -> Table:
    """Answers and false positives of photographs by kind, of one method and effort, such as "trace-normal"."""
    rows = [
        [
            line["group"].removeprefix("photographs, "),
            line["recipe"],
            line["real"],
            *(line[kind] for kind in COUNTS),
            *map(partial(above, line), RATES),
            *(figure(line, f"score_{name}") for name in ("of_0.05", "of_0.01", "highest")),
        ]
        for line in lines
        if line["group"].startswith("photographs") and name_of(line) == name
    ]
    head = ["photographs", "recipe", "n", *COUNTS, *ABOVE, "5 % exceed", "1 % exceed", "highest"]
    return Table(head, rows, f"Conditions: {conditions}.", f"Photographs by `{name}`")


def wrong(conditions: str, lines: Lines) -> Table:
    """Answers, false positives and thresholds by kind of picture; a threshold that needs more pictures says so."""
    methods = list(dict.fromkeys(map(name_of, lines)))
    rows = [
        [
            line["kind"],
            *([f"`{name_of(line)}`"] if len(methods) > 1 else []),
            line["real"],
            *(line[kind] for kind in COUNTS),
            *map(partial(above, line), RATES),
            *(figure(line, f"threshold_{rate}") or "too few" for rate in RATES),
            figure(line, "score_highest"),
            line["decoders"],
        ]
        for line in lines
    ]
    head = ["kind", *(["method"] if len(methods) > 1 else []), "n", *COUNTS, *ABOVE, "threshold for 5 %",
            "threshold for 1 %", "highest", "decoders named"]  # fmt: skip
    by = f" By {', '.join(f'`{name}`' for name in methods)}." if len(methods) == 1 else ""
    return Table(head, rows, f"Conditions: {conditions}.{by}", "Pictures that no known decoder wrote, by kind")


def above(line: dict[str, str], rate: str) -> str:
    """The share above a nominal threshold and the upper end of its 95 % interval."""
    return f"{figure(line, f'fpr_at_nominal_{rate}', 3)} [{figure(line, f'fpr_at_nominal_{rate}_high', 3)}]"
