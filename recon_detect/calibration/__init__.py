"""From scores to decisions: thresholds with a bound on false positives, p-values, verdicts, probabilities."""

from recon_detect.calibration.bounds import needed, upper_threshold
from recon_detect.calibration.calibration import (
    GENERATED,
    INCONCLUSIVE,
    REAL,
    Calibration,
    Stratum,
    Verdict,
    find_calibration,
)
from recon_detect.calibration.drift import Drift, drift
from recon_detect.calibration.fit import FIT_SHARE, calibrate, is_fitted_to
from recon_detect.calibration.strata import ALL, FACETS, UNLIKE

__all__ = [
    "ALL",
    "FACETS",
    "FIT_SHARE",
    "GENERATED",
    "INCONCLUSIVE",
    "REAL",
    "UNLIKE",
    "Calibration",
    "Drift",
    "Stratum",
    "Verdict",
    "calibrate",
    "drift",
    "find_calibration",
    "is_fitted_to",
    "needed",
    "upper_threshold",
]
