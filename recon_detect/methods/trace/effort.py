"""Effort: how much a search may compute for one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from recon_detect.errors import UnknownName, UsageError


@dataclass(frozen=True, slots=True)
class Effort:
    """Bounds of a search.

    Attributes:
        passes: Reconstructions of 256 px squared, after which it stops.
        frames: Native sizes, the likeliest first, at which the grid is looked for.
        blind: Whether it is looked for at some scales that fit no native size, and in mirrored and turned pictures.
        side: Side of the part of a native frame that is looked at for the grid, in pixels.
        seconds: Time after which it stops as well; such a score depends on the machine.
    """

    passes: float
    frames: int
    blind: bool
    side: int
    seconds: float = math.inf


EFFORTS = {
    "quick": Effort(passes=1.5, frames=3, blind=False, side=640),
    "normal": Effort(passes=7, frames=6, blind=True, side=1024),
    "thorough": Effort(passes=40, frames=24, blind=True, side=1024),
}


def find_effort(value: str | float) -> Effort:
    """The effort of a name, or of seconds per picture.

    Raises:
        UnknownName: No such effort.
        UsageError: Seconds that are not positive.
    """
    effort = EFFORTS[kind_of(value)]
    return effort if value in EFFORTS else replace(effort, passes=math.inf, seconds=float(value))


def kind_of(value: str | float) -> str:
    """The named effort that is like a number of seconds; of a name, the name.

    Raises:
        UnknownName: No such effort.
        UsageError: Seconds that are not positive.
    """
    if value in EFFORTS:
        return str(value)
    try:
        seconds = float(value)
    except ValueError:
        raise UnknownName("effort", str(value), [*EFFORTS, "seconds per image, such as 2.5"]) from None
    if not 0 < seconds < math.inf:
        raise UsageError(f"effort={value!r}: expected a positive number of seconds per image")
    return "quick" if seconds < 3 else "normal" if seconds < 15 else "thorough"
