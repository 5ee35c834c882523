"""Detectors in other processes (spawn, Ray, Spark, joblib): pickled without weights, which are loaded again there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from recon_detect.calibration import Calibration
from recon_detect.calibration.calibration import differences
from recon_detect.errors import UnknownName, WeightsError, WeightsMissing
from recon_detect.methods.bound import BoundMethod
from recon_detect.models.weights import Lookup, looking_in
from recon_detect.results import RunInfo
from recon_detect.settings import Settings

if TYPE_CHECKING:
    from recon_detect.detector import Detector


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a detector is made of.

    Attributes:
        methods: Its methods, with names of models.
        settings: Its settings; without a device, that of the other process is taken.
        calibration: What it judges by.
        lookup: Where its models were found.
        run: What its scores are of, for comparison.
    """

    methods: tuple[BoundMethod, ...]
    settings: Settings
    calibration: Calibration | None
    lookup: Lookup
    run: RunInfo

    def load(self, make: type[Detector]) -> Detector:
        """Loads the detector again, with the models of the same folders.

        Raises:
            WeightsError: Weights are missing here, or the detector would have other scores.
        """
        try:
            with looking_in(self.lookup):
                detector = make(self.methods, self.run.compat, self.settings)
        except (WeightsMissing, UnknownName) as error:
            looked = ", ".join(map(str, (self.lookup.start, *self.lookup.folders)))
            raise WeightsMissing(f"a pickled detector had its models in one of {looked}; here: {error}") from error
        before, now = replace(self.run, calibration=None), detector.run_info
        if before.fingerprint != now.fingerprint:
            different = "; ".join(differences(before, now)) or "the weights are another copy"
            raise WeightsError(
                f"the detector was pickled as run {before.fingerprint} and loads as run {now.fingerprint} here: "
                f"{different}. Use the same files of weights in both, and name a dtype where their devices differ"
            )
        return detector.with_calibration(self.calibration) if self.calibration else detector
