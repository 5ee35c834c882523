"""The table of all methods, and what was measured of each across result files."""

from __future__ import annotations

import re

from benchmarks.common.data import RESULTS, read_table
from benchmarks.report.layouts import Table
from recon_detect.methods import FORMER_NAMES, METHODS, find_method
from recon_detect.models.needs import Need

CLEAN = "detection-all-tiny-bfloat16-crop320-png-cpu.csv"
DIRE = "detection-dire-l1-mini-ddpm-float32-crop0-png-cpu.csv"
JPEG = "detection-all-tiny-bfloat16-crop320-jpeg-75-cpu.csv"
SAMPLES = ("robustness-default-crop320.csv", "robustness-glance-crop320.csv", "robustness-published-crop320.csv")

TRACE = "trace"
CROPS = "web-crop320.csv"


def lookup(file: str, **values: str) -> dict[str, str] | None:
    """The first line of a result file that has these values; None if there is none."""
    lines = read_table(RESULTS / file)[1]
    return next((line for line in lines if values.items() <= line.items()), None)


def clean(method: str) -> dict[str, str] | None:
    """The result of a method on all clean images."""
    if method == TRACE:
        return lookup(CROPS, method=method, recipe="centre-320", group="all")
    return lookup(CLEAN, method=method, group="all")


def after(method: str, condition: str) -> dict[str, str] | None:
    """The result of a method after a condition: on all images where that was run, else on a sample."""
    if method == TRACE:
        return lookup(CROPS, method=method, recipe=f"centre-320+{condition}", group="all")
    every = lookup(JPEG, method=method, group="all") if condition == "jpeg-75" else None
    samples = (lookup(file, method=method, condition=condition) for file in SAMPLES)
    return every or next(filter(None, samples), None)


def area(line: dict[str, str] | None) -> str:
    """An AUROC and the number of images of both classes."""
    return f"{float(line['auroc']):.2f} ({line['real']} + {line['generated']})" if line else "not measured"


def year(paper: str) -> str:
    """The year of a paper: of its arXiv number, or the one that it names."""
    if match := re.search(r"arXiv:(\d\d)\d\d\.", paper):
        return f"20{match[1]}"
    match = re.search(r"\b20\d\d\b", paper)
    return match[0] if match else ""


def linked(paper: str) -> str:
    """A paper with links to arXiv."""
    return re.sub(r"arXiv:(\d{4}\.\d{5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", paper)


def methods() -> Table:
    """Every method of the registry, and what it reaches on the clean images."""
    rows = []
    for name in METHODS:
        method = find_method(name)
        line = lookup(DIRE, method=name, group="all") if name == "dire" else clean(name)
        needs = ", ".join(need for need in Need if need in method.needs) or "pixels alone"
        paper = method.paper
        year_of = "" if paper.startswith("this project") else year(paper)
        rows.append(
            [
                f"`{name}`",
                method.title,
                linked(paper),
                year_of,
                needs,
                "as `trace`" if name in FORMER_NAMES else area(line),
            ]
        )
    note = (
        "AUROC (photographs + generated images) on the clean images of the development set, with the four tiny "
        "autoencoders in bfloat16; `dire` only on samples of its own embedded model."
    )
    return Table(["name", "what it computes", "paper", "year", "needs", "AUROC here"], rows, note)
