"""Tables of the page of results: for each question the few rows that matter; the other pages have the rest.

Files that are measured anew may lose lines: a row without its line is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.common.data import RESULTS, read_table
from benchmarks.report.layouts import Lines, Table, figure, plain, spread
from benchmarks.report.overview import CLEAN, CROPS, TRACE, after, area, clean, lookup
from benchmarks.report.today import COUNTS, FEWEST, RATES, above
from benchmarks.report.today import wrong as wrong_table
from benchmarks.report.web import name_of
from benchmarks.report.web import web as web_table
from recon_detect.calibration import Calibration
from recon_detect.calibration.calibration import SHIPPED as FOLDER
from recon_detect.settings import DEFAULTS, MODES

TODAY, WEB, WRONG, SPEED = "today.csv", "web.csv", "wrong.csv", "speed-methods-cpu.csv"
# One sample through every recipe at `quick`, and through some at `normal`.
RECIPES = ("web-quick.csv", "web-normal.csv")
CALIBRATED, SHIPPED = "calibration-evidence.csv", "shipped-contrast.csv"
KNOWN = "every known decoder"
# The rows of README: what is shown, and where its line is.
CLAIMS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("whole files as they are, known decoders", TODAY, {"recipe": "file", "group": KNOWN}),
    ("whole files as they are, GPT-4o", TODAY, {"recipe": "file", "group": "gpt-4o-image"}),
    ("at most 800 px, JPEG 85", WEB, {"effort": "normal", "recipe": "longest-800+jpeg-85", "group": "all"}),
    ("at most 800 px, JPEG 85, Stable Diffusion", WEB,
     {"effort": "normal", "recipe": "longest-800+jpeg-85", "group": "SD"}),
    ("crops of 320 px, PNG", CROPS, {"recipe": "centre-320", "group": "all"}),
    ("crops of 320 px, JPEG 75", CROPS, {"recipe": "centre-320+jpeg-75", "group": "all"}),
)  # fmt: skip
# The default and published methods on crops, and what the crops go through.
METHODS = (TRACE, "contrast", "rdd", "hfi", "aeroblade")
CONDITIONS = {
    "PNG": "",
    "JPEG 90": "jpeg-90",
    "JPEG 75": "jpeg-75",
    "JPEG 50": "jpeg-50",
    "WebP 80": "webp-80",
    "resized to 3/4": "resize-0.75",
    "resized to half": "resize-0.5",
    "up to 7 px cut off": "offgrid-7",
    "mirrored": "mirror",
    "turned": "turn",
}


def conditions_of(*files: str) -> str:
    """The conditions of the tables that a table is made of."""
    return "Conditions: " + " Or: ".join(f"{read_table(RESULTS / file)[0]} ({file})." for file in files)


def percent(rate: float) -> str:
    """A rate as ``5 %``."""
    return f"{rate * 100:g} %"


def counts(line: dict[str, str]) -> str:
    """Photographs and generated images of a line."""
    return f"{line['real']} + {line['generated']}"


def photographs(group: str = "all") -> dict[str, str] | None:
    """The line of photographs as they are, of the first method and effort of `benchmarks.today`."""
    return lookup(TODAY, method=TRACE, recipe="file", group=f"photographs, {group}")


def summary() -> Table:
    """Detection by the default method: whole files, pictures from the web, crops."""
    rows = [
        [what, f"`{line['effort']}`", counts(line), spread(line, digits=2), figure(line, "tpr_at_5_fpr"),
         figure(line, "tpr_at_1_fpr")]
        for what, file, values in CLAIMS
        if (line := lookup(file, method=TRACE, **values)) and int(line["generated"]) >= FEWEST
    ]  # fmt: skip
    head = ["pictures", "effort", "photographs + generated", "AUROC [95 %]", "TPR at 5 % FPR", "at 1 %"]
    note = f"`{TRACE}` with the models of the package in float32; templates made without the half that is scored."
    if line := photographs():
        note += f" In the default mode it calls {line['found']} of {line['real']} photographs found."
    return Table(head, rows, note, "What the default detects")


def generators() -> Table:
    """Generators with enough pictures, by the share that is found; then the photographs."""
    lines = [
        line
        for line in read_table(RESULTS / TODAY)[1]
        if line["method"] == TRACE and line["recipe"] == "file" and int(line["generated"] or 0) >= FEWEST
    ]
    lines = [line for line in lines if line["effort"] == lines[0]["effort"]]
    named = [line for line in lines if line["group"] != KNOWN and not line["group"].startswith("others")]
    named.sort(key=lambda line: (-int(line["found"]) / int(line["generated"]), line["group"]))
    rows = [
        [line["group"], line["generated"], spread(line, digits=2), figure(line, "tpr_at_5_fpr"),
         *(line[kind] for kind in COUNTS)]
        for line in [*(line for line in lines if line["group"] == KNOWN), *named]
    ]  # fmt: skip
    for kind in ("camera", "lossless"):
        if line := photographs(kind):
            rows.append([f"photographs, {kind}", line["real"], "", "", *(line[answer] for answer in COUNTS)])
    head = ["pictures", "n", "AUROC [95 %]", "TPR at 5 % FPR", *COUNTS]
    return Table(head, rows, f"By `{name_of(lines[0])}`. {conditions_of(TODAY)}", "Generators with 5 pictures or more")


def methods() -> Table:
    """The default and published methods on crops, by what the crops went through."""
    rows = [
        [what, *(area(after(method, condition) if condition else clean(method)) for method in METHODS)]
        for what, condition in CONDITIONS.items()
    ]
    effort = line["effort"] if (line := clean(TRACE)) else ""
    note = (
        f"AUROC (photographs + generated images) of crops of 320 px; `trace` at `{effort}` with the embedded models in "
        "float32, on a sample that has pictures by GPT-4o and Qwen-Image too; the others with the four tiny "
        "autoencoders in bfloat16, on all images or on a sample of their own."
    )
    return Table(["crops", *(f"`{method}`" for method in METHODS)], rows, note, "Methods by condition")


def web() -> Table:
    """Pictures from the web by recipe, for each effort."""
    lines = [line for file in RECIPES for line in read_table(RESULTS / file)[1]]
    return replace(web_table("", lines), title="Pictures from the web", note=conditions_of(*RECIPES))


def speed() -> Table:
    """CPU time of each method."""
    return plain(*read_table(RESULTS / SPEED), title="Seconds per picture")


def thresholds() -> Table:
    """False positives that thresholds promise, and those on other photographs."""
    rows: Lines = [*_nominal(), *_calibrated(), *_shipped()]
    head = list(rows[0])
    note = f"In brackets: the upper end of the 95 % interval, or both ends. {conditions_of(TODAY, CALIBRATED, SHIPPED)}"
    return Table(head, [list(row.values()) for row in rows], note, "Thresholds on photographs that they do not know")


def _row(threshold: str, pictures: str, promised: str, n: str, false: str, true: str) -> dict[str, str]:
    return {"threshold": threshold, "pictures": pictures, "promised": promised, "photographs": n,
            "false positives": false, "true positives": true}  # fmt: skip


def _nominal() -> Iterator[dict[str, str]]:
    """The thresholds of the answers, without a calibration."""
    line, generated = photographs(), lookup(TODAY, method=TRACE, recipe="file", group=KNOWN)
    if line:
        for rate in RATES:
            true = ""
            if generated and float(rate) == MODES[DEFAULTS.mode]:  # which is what `found` counts
                true = f"{int(generated['found']) / int(generated['generated']):.2f} of {generated['generated']}"
            name = f"`{name_of(line)}`, nominal"
            yield _row(name, "files as they are", percent(float(rate)), line["real"], above(line, rate), true)


def _calibrated() -> Iterator[dict[str, str]]:
    """Half of the photographs calibrates, the other half is tested."""
    numbers = re.search(r"(\d+) photographs and (\d+) generated", read_table(RESULTS / CALIBRATED)[0])
    for images in ("png", "jpeg-75"):
        if numbers and (line := lookup(CALIBRATED, score="contrast", images=images, strata="with")):
            yield _row("`contrast`, of half of the photographs", f"crops, {images}", percent(float(line["target"])),
                       numbers[1], spread(line, "fpr"), f"{figure(line, 'tpr')} of {numbers[2]}")  # fmt: skip


def _shipped() -> Iterator[dict[str, str]]:
    """The calibration that comes with the package."""
    promised = percent(Calibration.read(FOLDER / "contrast.json").fpr)
    for line in read_table(RESULTS / SHIPPED)[1]:
        false = f"{figure(line, 'false positives', 3)} [{figure(line, 'low')}, {figure(line, 'high')}]"
        true = f"{figure(line, 'true positives')} of {line['generated']}"
        yield _row("`--calibration shipped`", f"crops, {line['images']}", promised, line["photographs"], false, true)


def wrong() -> Table:
    """Mistakes by kind of picture; a line that says so where they have not been counted."""
    if not (RESULTS / WRONG).is_file():
        return Table(["kind"], [["not measured yet"]], "`python -m benchmarks.wrong` measures it.")
    return wrong_table(*read_table(RESULTS / WRONG))


def published() -> Table:
    """Figures of papers, and those measured here, which are of other pictures and smaller models."""
    from benchmarks.report.gathered import read_result
    from benchmarks.report.sections import published as beside

    measured = read_result(RESULTS / CLEAN, None)
    return beside([measured] if measured else [])


PAGE = {
    "summary": summary,
    "generators": generators,
    "web": web,
    "crops": methods,
    "thresholds": thresholds,
    "wrong": wrong,
    "speed": speed,
    "published": published,
}
