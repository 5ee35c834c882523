"""Decisions from scores: thresholds with a bound on false positives, p-values, verdicts, probabilities."""

from recon_detect.calibration.bounds import needed, upper_threshold
from recon_detect.calibration.calibration import Calibration, Stratum, find_calibration
from recon_detect.calibration.drift import drift
from recon_detect.calibration.fit import calibrate, is_fitted_to
from recon_detect.calibration.strata import ALL, FACETS, UNLIKE

__all__ = [
    "ALL",
    "FACETS",
    "UNLIKE",
    "Calibration",
    "Stratum",
    "calibrate",
    "drift",
    "find_calibration",
    "is_fitted_to",
    "needed",
    "upper_threshold",
]
