"""The calibrations that come with the package."""

from dataclasses import replace
from pathlib import Path

import pytest

from recon_detect.calibration import ALL, find_calibration
from recon_detect.calibration.calibration import SHIPPED
from recon_detect.errors import CalibrationError
from recon_detect.models.registry import AUTOENCODERS, MODEL_SETS, same_weights
from recon_detect.results import Score
from tests.calibration.scored import rows


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_it_is_whole_and_of_known_weights(path):
    found = find_calibration(Path("shipped"), path.stem)
    assert found.method == path.stem and found.data and found.version and found.made
    known = {AUTOENCODERS[name].files[0].sha256 for name in MODEL_SETS["tiny"]}
    assert {same_weights(model.sha256) for model in found.run.models} == known
    assert all(len(s.scores) >= 29 and s.threshold is not None for s in found.strata.values())
    assert {"lossless", "JPEG 70 to 89", "JPEG below 70", "other lossy"} == set(found.strata) - {ALL}
    assert "/" not in "".join(model.name for model in found.run.models)


def test_the_contrast_has_one():
    found = find_calibration(Path("shipped"), "contrast")
    (row,) = rows([9.0])
    verdict = found.judge(replace(row, scores={"contrast": Score(9.0, {"taesd": 9.0, "taef1": 0.0})}))
    assert (verdict.verdict, verdict.decoder, verdict.stratum) == ("likely generated", "sd", "lossless")


def test_what_does_not_come_with_the_package_is_told():
    with pytest.raises(CalibrationError, match="no calibration of aedr comes with the package, only of: .*contrast"):
        find_calibration(Path("shipped"), "aedr")
    with pytest.raises(CalibrationError, match="No such file"):
        find_calibration(Path("none.json"), "aedr")
