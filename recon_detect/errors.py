"""Every error that the package raises on purpose.

ReconDetectError
├── UsageError                 an argument that cannot be right (also a ValueError)
│   ├── UnknownName            a method, model, distance or view that does not exist
│   ├── OutputLocked           an output that another process is writing
│   └── CalibrationError       a calibration that is damaged, or of another detector
├── InputError                 one image that cannot be scored; in a run it becomes a row with an error
│   ├── UnreadableImage        not an image, truncated, or in a format that Pillow lacks
│   ├── ImageTooLarge          above the limit of pixels or bytes
│   └── ImageTooSmall          smaller than the distance can look at
├── WeightsError               pretrained weights
│   ├── WeightsMissing         neither on this machine nor on the hub
│   │   └── HubUnreachable     the hub was needed and did not answer, or offline mode is on
│   └── WeightsCorrupt         the file is not what its checksum says
├── DeviceError                a device that is not there
│   ├── OutOfMemory            one image alone does not fit
│   └── WorkerDied             a process of a run ended again and again
└── NumericalError             a reconstruction that is not finite, in float32 too

Each message says what was expected, what came and what to do next. `exit_code` is what the command line ends with.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class ReconDetectError(Exception):
    """The root of the tree above."""

    exit_code: ClassVar[int] = 70


class UsageError(ReconDetectError, ValueError):
    """An argument that cannot be right."""

    exit_code: ClassVar[int] = 2


class UnknownName(UsageError):
    """A name that is not in its registry."""

    def __init__(self, kind: str, name: str, choices: Iterable[str]) -> None:
        names = sorted(choices)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(names)}.{hint}")


class OutputLocked(UsageError):
    """An output that another process is writing."""


class CalibrationError(UsageError):
    """A calibration that is damaged, or of another detector."""


class InputError(ReconDetectError):
    """One image that cannot be scored."""

    exit_code: ClassVar[int] = 3


class UnreadableImage(InputError):
    """Not an image, truncated, or in a format that Pillow lacks."""


class ImageTooLarge(InputError):
    """Above the limit of pixels or bytes."""


class ImageTooSmall(InputError):
    """Smaller than the distance can look at."""


class WeightsError(ReconDetectError):
    """Pretrained weights that cannot be used."""

    exit_code: ClassVar[int] = 4


class WeightsMissing(WeightsError):
    """Weights that are neither on this machine nor on the hub."""


class HubUnreachable(WeightsMissing):
    """The hub was needed and did not answer, or offline mode is on."""


class WeightsCorrupt(WeightsError):
    """A file that is not what its checksum says."""


class DeviceError(ReconDetectError):
    """A device that is not there."""

    exit_code: ClassVar[int] = 5


class OutOfMemory(DeviceError):
    """One image alone does not fit into the memory of the device."""


class WorkerDied(DeviceError):
    """A process of a run that was ended from outside again and again, most often for want of memory."""


class NumericalError(ReconDetectError):
    """A reconstruction that is not finite, in float32 too."""

    exit_code: ClassVar[int] = 3
