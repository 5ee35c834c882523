"""All results as one HTML page that needs nothing else, and as Markdown tables for papers.

    python -m benchmarks.report --data ../shared/eval
    python -m benchmarks.report --markdown tables.md --figures figures/

Reads the tables of benchmarks/results, and the scores that the benchmarks kept beside them (which git ignores): without
scores there are tables and robustness curves, without images no thumbnails. Nothing is computed with a network.
"""

from __future__ import annotations

import argparse
import base64
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.common.data import RESULTS
from benchmarks.report import figures, layouts, ranges, sections
from benchmarks.report.gathered import Result, read_result
from benchmarks.report.page import PAGE
from benchmarks.report.parts import Chart, Gallery, Matrix, Part, Section
from benchmarks.report.today import by_generator
from benchmarks.report.today import today as today_table
from benchmarks.report.today import wrong as wrong_table
from benchmarks.report.web import web as web_table
from recon_detect import __version__
from recon_detect.atomic import replacing
from recon_detect.methods import FORMER_NAMES

TITLE = "recon_detect: benchmarks"
_IMAGE = "data:image/svg+xml;base64,"
TEMPLATE = Path(__file__).parent / "templates" / "report.html"


def gather(paths: Sequence[Path], data: Path | None) -> list[Result]:
    """The results that can be shown; what is not compressed comes first."""
    results = [read_result(path, data) for path in sorted(paths, key=lambda path: ("jpeg" in path.stem, path.stem))]
    return [result for result in results if result and result.kind]


def chapters(results: Sequence[Result], folder: Path | None, data: Path | None) -> list[Section]:
    """The report, of what there is."""
    candidates = [
        audits(results, folder),
        *detection(results, data),
        robustness(results),
        today(results),
        wrong(results),
        web(results),
        decisions(results),
        attribution(results),
        generalisation(results),
        localisation(results),
        cost(results),
    ]
    return [section for section in candidates if section and (section.parts or section.folded)]


def audits(results: Sequence[Result], folder: Path | None) -> Section:
    intro = "What separates photographs and generated images of a data set without looking at what they show."
    return Section("Audit of the data", intro, [*sections.audits(results, folder)])


def detection(results: Sequence[Result], data: Path | None) -> list[Section]:
    """One chapter for each way to prepare the images, then what papers report."""
    content = []
    groups = sections.by_data(results, "detection")
    forms = [of[0].form for of in groups.values()]
    for name, of in groups.items():
        scored = [result for result in of if result.rows][:1]
        intro = f"How well each method separates photographs from generated images: {name}."
        # By the data too where two sets were prepared alike.
        of_data = f"{name.partition(',')[0]}, " if forms.count(of[0].form) > 1 else ""
        section = Section(f"Detection, {of_data}{of[0].form}", intro, sections.detection(of))
        for result in scored:
            section.parts.extend([*sections.curves(result), *sections.evidence(result)])
            if data:
                section.parts.extend(sections.mistakes(result, data))
        section.folded.extend(sections.groups(of[:1], "generator", "Generator"))
        content.append(section)
    if groups:
        intro = "What the authors of methods, and others, report for them."
        content.append(
            Section("Published numbers beside ours", intro, [sections.published(next(iter(groups.values())))])
        )
    return content


def robustness(results: Sequence[Result]) -> Section:
    chosen = sorted((r for r in results if r.kind == "robustness"), key=lambda result: -len(result.lines))
    parts = [part for result in chosen for part in sections.robustness(result)]
    intro = "Both classes go through the same processing; what is random is drawn from a seed of the image's own."
    return Section("Robustness", intro, parts)


def today(results: Sequence[Result]) -> Section:
    parts: list[Part] = []
    for result in results:
        if result.kind == "today":
            drawn = replace(result, lines=by_generator(result.lines))
            parts += [*([ranges.chart(drawn)] if drawn.lines else []), today_table(result.conditions, result.lines)]
    return Section("Generators one by one", "Whole files as they are, by what made them.", parts)


def wrong(results: Sequence[Result]) -> Section:
    parts: list[Part] = [wrong_table(result.conditions, result.lines) for result in results if result.kind == "wrong"]
    return Section("The cost of being wrong", "How often pictures that no known decoder wrote are called found.", parts)


def web(results: Sequence[Result]) -> Section:
    parts: list[Part] = [web_table(result.conditions, result.lines) for result in results if result.kind == "web"]
    intro = "Whole pictures after what the web does to them, and what each method and effort costs."
    return Section("Pictures from the web", intro, parts)


def decisions(results: Sequence[Result]) -> Section:
    shipped: list[Part] = [
        layouts.plain(r.conditions, r.lines, "The calibration that comes with the package, on other photographs")
        for r in results
        if r.kind == "shipped"
    ]
    halves = [r for r in results if r.kind == "thresholds"]
    tables: list[Part] = [layouts.thresholds(r.conditions, r.lines) for r in halves]
    intro = "Whether thresholds keep what they promise, on other photographs."
    return Section("Calibration", intro, [*shipped, *map(ranges.chart, halves), *tables])


def attribution(results: Sequence[Result]) -> Section:
    parts = [part for result in results if result.kind == "attribution" for part in sections.attribution(result)]
    return Section("Attribution", "Decoder that an image is attributed to, against the true one.", parts)


def generalisation(results: Sequence[Result]) -> Section:
    crossed = [part for result in results if result.kind == "crossed" for part in sections.generalisation(result)]
    classifiers = [result for result in results if result.kind == "classifiers"]
    left_out = [
        layouts.plain(result.conditions, result.lines, f"{result.form}: AUROC on families that were left out")
        for result in classifiers
    ]
    intro = "What classifiers learn from some generators and data sets, tried on others."
    return Section("Generalisation", intro, [*map(ranges.chart, classifiers), *crossed], [*left_out])


def localisation(results: Sequence[Result]) -> Section:
    measured = [result for result in results if result.kind == "localisation"]
    parts = [part for result in measured for part in (ranges.chart(result), *sections.localisation(result))]
    intro = "How well maps of the error and of the contrast point at the part of a picture that was changed."
    return Section("Localisation", intro, parts)


def cost(results: Sequence[Result]) -> Section:
    tables: list[Part] = [
        layouts.plain(result.conditions, result.lines, result.kind.capitalize())
        for result in results
        if result.kind in ("footprint", "speed")
    ]
    ablations: list[Part] = [
        layouts.ablation(result.conditions, result.lines) for result in results if result.kind == "ablation"
    ]
    timed: list[Part] = [ranges.chart(result) for result in results if result.kind == "speed"]
    intro = "Time, memory, and candidates that were compared."
    return Section("Cost, and what was tried", intro, [*timed, *tables], ablations)


def summary(results: Sequence[Result], folder: Path | None) -> list[str]:
    """Summary of the tables."""
    sentences = [f"Audit, {table.note.partition('. ')[0]}." for table in sections.audits(results, folder)]
    for name, of in sections.by_data(results, "detection").items():
        best = sections.pooled(of)[0]
        sentences.append(
            f"{name}: `{best['method']}` ({layouts.models_of(best)}) separates best, AUROC "
            f"{layouts.spread(best)} on {best['real']} photographs and {best['generated']} generated images."
        )
    for result in results:
        if result.kind == "robustness":
            lowest = min(result.lines, key=lambda line: float(line["auroc"]))
            one_method = len({line["method"] for line in result.lines}) == 1 and len(result.lines) > 1
            if one_method and lowest["method"] not in FORMER_NAMES:
                sentences.append(
                    f"`{lowest['method']}` is weakest under {lowest['condition']}: AUROC {layouts.spread(lowest)} on "
                    f"{lowest['real']} photographs and {lowest['generated']} generated images."
                )
    return sentences


def page(content: Sequence[Section], sentences: Sequence[str], files: Sequence[str]) -> str:
    """The report as HTML that asks nothing of the network."""
    from jinja2 import Environment
    from markupsafe import Markup, escape

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "code": lambda text: Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))),
        "slug": lambda text: re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-"),
        "halves": lambda text: text.partition("Conditions: ")[::2],
        "image": lambda drawing: _IMAGE + base64.b64encode(figures.svg(drawing).encode()).decode(),
        "number": lambda text: bool(re.match(r"[+-]?[0-9.]+($|[ ,%])", text)),
    }
    environment.tests |= {
        name: lambda part, kind=kind: isinstance(part, kind)
        for name, kind in {"chart": Chart, "matrix": Matrix, "gallery": Gallery}.items()
    }
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(title=TITLE, version=__version__, sections=content, summary=sentences, files=files).lstrip()


def markdown(content: Sequence[Section]) -> str:
    """The tables alone, for papers."""
    lines = [f"# {TITLE}", ""]
    for section in content:
        lines += [f"## {section.title}", ""]
        for part in [*section.parts, *section.folded]:
            table = part.table() if isinstance(part, Matrix) else part
            if isinstance(table, layouts.Table):
                lines += [*([f"### {table.title}", ""] if table.title else []), table.markdown()]
    return "\n".join(lines)


def in_short() -> Section:
    """The tables of the page of results in docs."""
    intro = "For each question the few rows that matter, of the committed results."
    return Section("In short", intro, [table() for table in PAGE.values()])


def write(output: Path, paths: Sequence[Path], folder: Path | None = None, data: Path | None = None) -> list[Section]:
    """The page of some tables, whole or not at all; gives what is on it."""
    results = gather(paths, data)
    content = [*([in_short()] if folder == RESULTS else []), *chapters(results, folder, data)]
    text = page(content, summary(results, folder), [result.path.name for result in results])
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(f"written to {output}", file=sys.stderr)
    return content


def accompany(table: Path, data: Path | None, *others: Path) -> None:
    """The page of a table, and of others that belong to it, and its first figure as PNG, beside it."""
    content = write(table.with_suffix(".html"), [table, *others], data=data)
    first = next((part for section in content for part in section.parts if isinstance(part, Chart)), None)
    if first:
        with replacing(table.with_suffix(".png")) as temporary:
            temporary.write_bytes(figures.png(first.drawing))


def save(stem: Path, chart: Chart) -> None:
    """A figure as PNG and SVG."""
    for suffix, content in ((".png", figures.png(chart.drawing)), (".svg", figures.svg(chart.drawing).encode())):
        with replacing(stem.with_name(stem.name + suffix)) as temporary:
            temporary.write_bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of tables and scores")
    parser.add_argument("--data", type=Path, default=None, help="folder with manifest.csv and images")
    parser.add_argument("--output", type=Path, default=None, help="default: report.html beside the tables")
    parser.add_argument("--markdown", type=Path, default=None, help="write the tables as Markdown too")
    parser.add_argument("--figures", type=Path, default=None, help="write each figure as PNG and SVG into a folder")
    options = parser.parse_args()
    if options.data is None:
        print("no thumbnails of mistakes and no families: --data says where the images are", file=sys.stderr)
    output = options.output or options.results / "report.html"
    content = write(output, sorted(options.results.glob("*.csv")), options.results, options.data)
    if options.markdown:
        with replacing(options.markdown) as temporary:
            temporary.write_text(markdown(content), encoding="utf-8")
    for section in content if options.figures else ():
        for part in section.parts:
            if isinstance(part, Chart):
                save(options.figures / part.name, part)


if __name__ == "__main__":
    main()
