"""The figures of the benchmarks: each a function of numbers, written as PNG for papers and as SVG for reports.

An SVG carries both its light and its dark colours, and takes those that the reader's page has.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from scipy.stats import binomtest
from sklearn.metrics import roc_curve

from benchmarks.common.conditions import CURVES
from benchmarks.common.metrics import RATES, Scores, labelled

# Light and dark: ink, faint ink, and eight colours that people of all kinds of colour vision tell apart, each with a
# contrast of 3 and more against its paper. Paul Tol's "bright" and "muted", made lighter for dark paper.
INK, FAINT = "#1d232b", "#8d95a1"
COLOURS = ("#2f6db3", "#c8553d", "#2d8659", "#8a5cb8", "#a8741a", "#c2478b", "#2a8c99", "#6b7280")
_DARK = {
    INK: "#e6e9ee",
    FAINT: "#7d8794",
    **dict(
        zip(COLOURS, ("#78b0f0", "#f29180", "#6ecb9c", "#c3a1ea", "#e2b45c", "#f091c4", "#67c9d6", "#aeb6c2"),
            strict=True)
    ),
}  # fmt: skip
REAL, GENERATED = COLOURS[0], COLOURS[1]
_MARKERS = "osD^vPX*"
# Methods whose intervals would cover each other.
MANY = 4
_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "grid.color": FAINT,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "svg.hashsalt": "recon_detect",  # the same figure is the same file
}


@dataclass(frozen=True, slots=True)
class Classes:
    """The scores of one method: photographs and generated images."""

    name: str
    real: Scores
    generated: Scores


def png(figure: Figure) -> bytes:
    """On white paper, 150 dots per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, facecolor="white")
    return buffer.getvalue()


def svg(figure: Figure) -> str:
    """Without a background, in the colours of the page that shows it."""
    buffer = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    # The prologue, which names a document type at a foreign address, is left out.
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    names = {colour: f"--c{number}" for number, colour in enumerate(_DARK)}
    light, dark = (
        ";".join(f"{name}:{(_DARK[colour] if is_dark else colour)}" for colour, name in names.items())
        for is_dark in (False, True)
    )
    for colour, name in names.items():
        text = text.replace(colour, f"var({name})")
    style = f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    end = text.index(">") + 1
    return text[:end] + style + text[end:]


def _drawn(size: tuple[float, float], draw: Callable[[Figure], None]) -> Figure:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        return figure


def _panels(count: int, draw: Callable[[Axes, int], None], side: float = 2.5, across: int = 4) -> Figure:
    """One panel each, in rows."""
    columns = min(count, across)
    rows = math.ceil(count / columns)

    def fill(figure: Figure) -> None:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for number, ax in enumerate(axes):
            if number < count:
                draw(ax, number)
            else:
                ax.set_axis_off()

    return _drawn((side * columns + 0.4, side * 0.92 * rows + 0.2), fill)


def roc(methods: Sequence[Classes], areas: Mapping[str, float]) -> Figure:
    """ROC curves with a logarithmic false-positive rate: what counts is at the left.

    Steps, not interpolated, the best method first. The curve begins at one photograph.
    """
    first = min(1 / len(method.real) for method in methods)

    def draw(figure: Figure) -> None:
        ax = figure.subplots()
        for number, method in enumerate(methods):
            fpr, tpr, _ = roc_curve(*labelled(method.real, method.generated), drop_intermediate=False)
            ax.step(np.maximum(fpr, first / 2), tpr, where="post", color=COLOURS[number % len(COLOURS)],
                    lw=1.4 if number else 2.2, ls=_DASHES[number // len(COLOURS) % len(_DASHES)],
                    label=f"{method.name}  {areas[method.name]:.3f}")  # fmt: skip
        rates = np.geomspace(first / 2, 1, 200)
        ax.plot(rates, rates, color=FAINT, lw=1, ls=(0, (2, 2)), label="chance  0.500")
        # With few photographs the axis begins to the right of them, and the layout would make room for marks outside.
        for rate in (rate for rate in RATES if rate > first / 2):
            ax.axvline(rate, color=FAINT, lw=0.8, alpha=0.7)
            ax.annotate(f"{rate:.0%}", (rate, 1.01), xycoords=("data", "axes fraction"), ha="center", fontsize=8)
        ax.set(xscale="log", xlim=(first / 2, 1), ylim=(0, 1.005), xlabel="false-positive rate (logarithmic)",
               ylabel="true-positive rate")  # fmt: skip
        ax.grid(True)
        figure.legend(title="AUROC", loc="outside lower center", ncols=3)

    return _drawn((6.2, 4.9), draw)


def densities(methods: Sequence[Classes], thresholds: Mapping[str, float | None]) -> Figure:
    """Distributions of the scores of both classes, by method; outliers at the edges."""

    def draw(ax: Axes, number: int) -> None:
        method = methods[number]
        both = np.r_[method.real, method.generated]
        low, high = np.quantile(both, [0.005, 0.995])
        bins = np.linspace(low, high if high > low else low + 1, 31).tolist()
        for scores, colour, label in ((method.real, REAL, "photographs"), (method.generated, GENERATED, "generated")):
            shown = np.clip(scores, bins[0], bins[-1])
            ax.hist(shown, bins, density=True, histtype="stepfilled", color=colour, alpha=0.25)
            ax.hist(shown, bins, density=True, histtype="step", color=colour, lw=1.4, label=label)
        if (threshold := thresholds.get(method.name)) is not None:
            ax.axvline(threshold, color=INK, lw=1, ls=(0, (3, 2)), label="threshold")
        ax.set(title=method.name, yticks=[])
        ax.spines["left"].set_visible(False)
        ax.locator_params(axis="x", nbins=4)
        if number == 0:
            ax.legend(fontsize=7, loc="best", handlelength=1.2)

    return _panels(len(methods), draw)


def reliability(methods: Mapping[str, Sequence[tuple[float, int, int]]]) -> Figure:
    """Share of generated images by predicted probability, with 95 % intervals (Wilson)."""
    names = list(methods)

    def draw(ax: Axes, number: int) -> None:
        ax.plot([0, 1], [0, 1], color=FAINT, lw=1, ls=(0, (2, 2)))
        largest = max(n for _, _, n in methods[names[number]])
        for mean, hits, n in methods[names[number]]:
            interval = binomtest(hits, n).proportion_ci(0.95, "wilson")
            ax.plot([mean, mean], [interval.low, interval.high], color=COLOURS[0], lw=1.2)
            ax.plot(mean, hits / n, "o", color=COLOURS[0], ms=3 + 5 * math.sqrt(n / largest))
        ax.set(title=names[number], xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1],
               aspect="equal")  # fmt: skip
        ax.grid(True)
        if number == 0:
            ax.set(xlabel="predicted probability", ylabel="share generated")

    return _panels(len(names), draw)


def scatter(groups: Mapping[str, Scores], share: Sequence[float]) -> Figure:
    """Images in two dimensions, (N, 2) by group."""

    def draw(figure: Figure) -> None:
        ax = figure.subplots()
        for number, (name, points) in enumerate(groups.items()):
            ax.plot(points[:, 0], points[:, 1], _MARKERS[number % len(_MARKERS)], color=COLOURS[number % len(COLOURS)],
                    ms=4.5, alpha=0.75, mew=0, label=f"{name} ({len(points)})")  # fmt: skip
        names = [f"component {number}, {part:.0%} of the variance" for number, part in enumerate(share, 1)]
        ax.set(xlabel=names[0], ylabel=names[1])
        ax.grid(True)
        figure.legend(loc="outside lower center", ncols=3)

    return _drawn((6.2, 4.9), draw)


# By group and name: a value, and its interval where there is one.
Ranges = Mapping[str, Mapping[str, tuple[float, float, float]]]


def ranges(groups: Ranges, axis: str, reference: float) -> Figure:
    """Values with their intervals, one line for each name, and the value that they are compared with."""
    names = list(dict.fromkeys(name for of in groups.values() for name in of))

    def draw(figure: Figure) -> None:
        ax = figure.subplots()
        for number, (group, of) in enumerate(groups.items()):
            colour = COLOURS[number % len(COLOURS)]
            places = [names.index(name) + 0.6 * ((number + 0.5) / len(groups) - 0.5) for name in of]
            values, low, high = np.array(list(of.values())).T
            ax.hlines(places, low, high, color=colour, lw=1.4)
            ax.plot(values, places, _MARKERS[number % len(_MARKERS)], color=colour, ms=4.5, label=group)
        ax.axvline(reference, color=FAINT, lw=1, ls=(0, (2, 2)))
        ax.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5), xlabel=axis)
        ax.grid(True, axis="x")
        if len(groups) > 1:
            figure.legend(loc="outside lower center", ncols=3)

    return _drawn((6.2, 1.1 + len(names) * max(0.24, 0.13 * len(groups))), draw)


# By method and family: strength, AUROC, low, high.
Curves = Mapping[str, Mapping[str, Sequence[tuple[float, float, float, float]]]]


def robustness(curves: Curves) -> Figure:
    """The AUROC against the strength of each family of conditions, from weak to strong; intervals of few methods."""
    names = [name for name in CURVES if any(name in of for of in curves.values())]

    def draw(ax: Axes, number: int) -> None:
        family = CURVES[names[number]]
        for place, (method, of) in enumerate(curves.items()):
            points = np.array(sorted(of.get(names[number], ()), reverse=family.strengths[0] > family.strengths[-1]))
            if not len(points):
                continue
            colour = COLOURS[place % len(COLOURS)]
            at = points[:, 0]
            ax.fill_between(at, points[:, 2], points[:, 3], color=colour, alpha=0.12 if len(curves) < MANY else 0, lw=0)
            ax.plot(at, points[:, 1], marker=_MARKERS[place % len(_MARKERS)], ms=4, lw=1.5, color=colour,
                    label=method if number == 0 else None)  # fmt: skip
        ax.axhline(0.5, color=FAINT, lw=1, ls=(0, (2, 2)))
        ax.set(title=family.title, xlabel=family.axis, ylim=(0, 1.03))
        if family.strengths[0] > family.strengths[-1]:
            ax.invert_xaxis()
        ax.grid(True)
        if number == 0:
            ax.set_ylabel("AUROC")

    figure = _panels(len(names), draw, side=2.6)
    with matplotlib.rc_context(_STYLE):
        figure.legend(loc="outside lower center", ncols=4)
    return figure


# By recipe, in words, and method: seconds per image, AUROC, low, high of each effort.
Costs = Mapping[str, Mapping[str, Sequence[tuple[float, ...]]]]


def costs(recipes: Costs) -> Figure:
    """The AUROC against the seconds per image, a panel for each recipe, a line for the efforts of each method."""
    names = list(recipes)
    methods = list(dict.fromkeys(method for of in recipes.values() for method in of))
    times = [point[0] for of in recipes.values() for of_efforts in of.values() for point in of_efforts]
    limits = (min(times) / 1.5, max(times) * 1.5)

    def draw(ax: Axes, number: int) -> None:
        for method, of_efforts in recipes[names[number]].items():
            seconds, areas, low, high = np.array(sorted(of_efforts)).T
            place = methods.index(method)
            colour = COLOURS[place % len(COLOURS)]
            ax.vlines(seconds, low, high, color=colour, lw=1, alpha=0.6)
            ax.plot(seconds, areas, marker=_MARKERS[place % len(_MARKERS)], ms=4, lw=1.5, color=colour,
                    label=method if number == 0 else None)  # fmt: skip
        ax.axhline(0.5, color=FAINT, lw=1, ls=(0, (2, 2)))
        ax.set(title=names[number].replace(", ", ",\n"), ylim=(0, 1.03), xscale="log", xlim=limits)
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.grid(True)
        if number == 0:
            ax.set(xlabel="seconds per image", ylabel="AUROC")

    figure = _panels(len(names), draw, side=2.6)
    with matplotlib.rc_context(_STYLE):
        figure.legend(loc="outside lower center", ncols=4)
    return figure
