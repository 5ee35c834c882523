"""Detectors by the options of commands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from recon_detect.errors import UsageError
from recon_detect.settings import DetectorOptions

if TYPE_CHECKING:
    from recon_detect.detector import Detector
    from recon_detect.methods import Method


def check_names(options: DetectorOptions) -> tuple[Method, ...]:
    """The methods that are asked for, before anything else is said.

    Raises:
        UnknownName: No such method, model or mode.
    """
    from recon_detect.answers import threshold_of
    from recon_detect.methods import find_methods
    from recon_detect.methods.bound import DATA_SUFFIXES
    from recon_detect.methods.loading import is_place
    from recon_detect.models.registry import expand
    from recon_detect.models.weights import check_name

    threshold_of(options["mode"])
    models = options["models"] or ()
    listed = models if isinstance(models, Sequence) and not isinstance(models, str) else [models]
    for name in expand(tuple(model for model in listed if isinstance(model, str))):
        if not (name.endswith(DATA_SUFFIXES) or is_place(name)):
            check_name(name)
    return find_methods(options["method"])


def load(options: DetectorOptions, calibration: str | None) -> Detector:
    """The detector, with the calibration of its first method.

    Raises:
        UsageError: No such calibration; before networks are loaded.
    """
    # Path raises on names that are too long or have a null character.
    if calibration not in (None, "shipped") and not os.path.exists(calibration):  # noqa: PTH110
        raise UsageError(f"{calibration}: No such file; 'recon-detect calibrate --real PHOTOS' writes a calibration")
    from recon_detect.calibration import find_calibration
    from recon_detect.detector import load_detector

    detector = load_detector(**options)
    if calibration is None:
        return detector
    return detector.with_calibration(find_calibration(calibration, detector.run_info.methods[0].name))
