"""Charts as numbers: where in a drawing its marks lie. Templates draw them, so that text follows the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Deviates that 5 % and 1 % of photographs exceed.
LEVELS = {"5 %": NormalDist().inv_cdf(0.95), "1 %": NormalDist().inv_cdf(0.99)}
# Of the axis of deviates, at both ends of which bars are cut.
LEAST, LARGEST = -3.0, 8.0
# Shares of photographs on the axis of `Tail`: none below was measured.
SHARES = (1.0, 0.1, 0.01, 0.001, 0.0001)
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 380, 230, 68, 36, 10


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from 0 to a deviate, in percent of the axis from `LEAST` to `LARGEST`."""

    name: str
    value: float
    start: float
    length: float
    beyond: bool


@dataclass(frozen=True, slots=True)
class Tail:
    """The share of photographs that score as high, over the score.

    Attributes:
        path: Points of the curve as an SVG path.
        ticks: Position and text of each tick of the scores.
        lines: Position and text of each share.
        mark: (x, y) of the picture; at the edge where it is beyond.
        beyond: Whether it is.
    """

    path: str
    ticks: list[tuple[float, str]]
    lines: list[tuple[float, str]]
    mark: tuple[float, float]
    beyond: bool


def percent(deviate: float) -> float:
    """Place of a deviate on the axis of bars, in percent."""
    return (min(max(deviate, LEAST), LARGEST) - LEAST) / (LARGEST - LEAST) * 100


def bars(values: Mapping[str, float]) -> list[Bar]:
    """A bar for each finite deviate, the highest first."""
    ordered = sorted(
        ((name, value) for name, value in values.items() if math.isfinite(value)), key=lambda item: -item[1]
    )
    zero = percent(0)
    return [
        Bar(name, value, min(zero, percent(value)), abs(percent(value) - zero), value > LEVELS["1 %"])
        for name, value in ordered
    ]


def tail(score: float, photographs: Sequence[float] = ()) -> Tail:
    """The curve of measured scores of photographs; without any the bound that normal deviates have."""
    measured = np.sort(np.asarray(photographs, dtype=np.float64))
    low, high = (math.floor(measured[0]), math.ceil(max(measured[-1], score))) if len(measured) else (-2, 5)
    scores: list[float] = np.linspace(low, max(high, low + 1), 141).tolist()
    span = scores[-1] - scores[0]

    def across(value: float) -> float:
        return round(LEFT + (min(max(value, scores[0]), scores[-1]) - scores[0]) / span * (WIDTH - LEFT - 12), 1)

    def down(share: float) -> float:
        depth = min(max(-math.log10(max(share, SHARES[-1])), 0), len(SHARES) - 1) / (len(SHARES) - 1)
        return round(TOP + depth * (HEIGHT - TOP - BOTTOM), 1)

    points = [(across(value), down(share_above(value, measured))) for value in scores]
    step = max(1, round(span / 7))
    return Tail(
        path="M" + "L".join(f"{x} {y}" for x, y in points),
        ticks=[(across(value), f"{value}") for value in range(round(scores[0]), round(scores[-1]) + 1, step)],
        lines=[(down(share), "all" if share == 1 else f"1 in {1 / share:,.0f}") for share in SHARES],
        mark=(across(score), down(share_above(score, measured))),
        beyond=score > scores[-1],
    )


def share_above(score: float, measured: NDArray[Any]) -> float:
    """Share of photographs with such a score or a higher one: the conformal p-value of measured ones, or the bound."""
    if not len(measured):
        return NormalDist().cdf(-score)
    return (1 + len(measured) - int(np.searchsorted(measured, score))) / (1 + len(measured))


def phase_cells(cosines: NDArray[Any]) -> list[tuple[int, int, str, str]]:
    """Column, row, strength and text of each phase of (8, 8) cosines; from 0 without colour to 0.3 with all of it."""
    return [
        (column, row, f"{min(max(float(value) / 0.3, 0), 1):.2f}", f"{value:.2f}")
        for row, line in enumerate(cosines)
        for column, value in enumerate(line)
    ]
