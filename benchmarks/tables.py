"""Writes measured figures and the registry into README and docs; nobody types a number.

    python -m benchmarks.tables            # rewrite
    python -m benchmarks.tables --check    # fail if something is out of date

A block ``<!-- table: FILE -->`` to ``<!-- /table -->`` is filled from benchmarks/results/FILE; a pattern with ``*``
puts one line per file into one table; ``<!-- table: FILE METHOD -->`` shows one method of a file in detail, of
`benchmarks.web` at one effort, as in ``trace-normal``.
``<!-- models -->`` to ``<!-- /models -->`` is filled from the registry of models, ``methods`` from that of methods; the
other names are the tables of the page of results (`benchmarks.report.page`), of which README has ``summary``. Within a
sentence,
``<!-- figure: FILE; COLUMN; COLUMN=VALUE; ... -->`` to ``<!-- / -->`` is one number of the first line that has these
values; ``COLUMN:.2f`` writes it so.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.common.data import RESULTS, read_table
from benchmarks.report.layouts import (
    Lines,
    Table,
    ablation,
    audit,
    comparison,
    detection,
    models,
    plain,
    robustness,
    robustness_of_all,
)
from benchmarks.report.layouts import thresholds as calibration
from benchmarks.report.overview import methods
from benchmarks.report.page import PAGE
from benchmarks.report.today import photographs, today, wrong
from benchmarks.report.web import web, web_of

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/**/*.md", "recon_detect/models/embedded/*/README.md")
OVERVIEWS = {"models": models, "methods": methods, **PAGE}
BLOCK = re.compile(
    rf"<!-- (table: (?P<file>\S+)( (?P<method>\S+))?|(?P<overview>{'|'.join(OVERVIEWS)})) -->\n"
    rf".*?<!-- /(table|{'|'.join(OVERVIEWS)}) -->",
    re.DOTALL,
)
FIGURE = re.compile(r"<!-- figure: (?P<what>[^>]+) -->.*?<!-- / -->", re.DOTALL)
LAYOUTS: dict[str, Callable[[str, Lines], Table]] = {
    "ablation": ablation,
    "audit": audit,
    "detection": detection,
    "calibration": calibration,
    "robustness": robustness_of_all,
    "today": today,
    "web": web,
    "wrong": wrong,
}
DETAILS = {"robustness": robustness, "today": photographs, "web": web_of}


def table(file: str, method: str | None) -> Table:
    """Table that a block asks for."""
    if "*" in file:
        return comparison(file)
    conditions, lines = read_table(RESULTS / file)
    kind = file.removesuffix(".csv").partition("-")[0]
    if method:
        return DETAILS[kind](conditions, lines, method)
    return LAYOUTS.get(kind, plain)(conditions, lines)


def fill(match: re.Match[str]) -> str:
    opening = f"<!-- {match[1]} -->\n"
    if overview := match["overview"]:
        return f"{opening}{OVERVIEWS[overview]().markdown()}<!-- /{overview} -->"
    return f"{opening}{table(match['file'], match['method']).markdown()}<!-- /table -->"


def number(match: re.Match[str]) -> str:
    """One figure; a column of counts as it is.

    Raises:
        ValueError: No line has these values.
    """
    file, column, *wanted = (part.strip() for part in match["what"].split(";"))
    column, _, form = column.partition(":")
    values = dict(part.split("=", 1) for part in wanted)
    for line in read_table(RESULTS / file)[1]:
        if values.items() <= line.items():
            value = line[column]
            text = format(float(value), form or ".3f") if form or "." in value else value
            return f"<!-- figure: {match['what']} -->{text}<!-- / -->"
    raise ValueError(f"{file}: no line with {values}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for path in (path for pattern in PAGES for path in sorted(ROOT.glob(pattern))):
        before = path.read_text(encoding="utf-8")
        after = FIGURE.sub(number, BLOCK.sub(fill, before))
        if after != before:
            stale.append(str(path.relative_to(ROOT)))
            if not check:
                path.write_text(after, encoding="utf-8")
    if stale and check:
        print(f"out of date: {', '.join(stale)}; run python -m benchmarks.tables", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
