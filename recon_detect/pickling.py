"""Detectors in other processes (spawn, Ray, Spark, joblib): pickled without weights, which are loaded again there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from recon_detect.calibration import Calibration
from recon_detect.calibration.calibration import differences
from recon_detect.errors import UnknownName, WeightsError, WeightsMissing
from recon_detect.methods.bound import BoundMethod
from recon_detect.models.weights import Lookup, looking_in
from recon_detect.results import RunInfo
from recon_detect.settings import Settings


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

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Finds models inside the block where they were found before.

        Raises:
            WeightsMissing: Weights are missing here.
        """
        try:
            with looking_in(self.lookup):
                yield
        except (WeightsMissing, UnknownName) as error:
            folders = ", ".join(map(str, (self.lookup.start, *self.lookup.folders)))
            raise WeightsMissing(f"a pickled detector had its models in one of {folders}; here: {error}") from error

    def check(self, run: RunInfo) -> None:
        """Compares the run of the detector that was loaded with that of the one that was pickled.

        Raises:
            WeightsError: The detector would have other scores.
        """
        before = replace(self.run, calibration=None)
        if before.fingerprint != run.fingerprint:
            different = "; ".join(differences(before, run)) or "the weights are another copy"
            raise WeightsError(
                f"the detector was pickled as run {before.fingerprint} and loads as run {run.fingerprint} here: "
                f"{different}. Give both processes the same files of weights, and a dtype other than 'auto' "
                "where their devices differ"
            )
