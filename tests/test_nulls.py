import json

import pytest
import torch

from recon_detect import nulls
from recon_detect.errors import UsageError
from recon_detect.methods.grain import GRAIN
from recon_detect.models.registry import MODEL_SETS


def test_the_shipped_nulls_cover_the_default_pool():
    table = json.loads(nulls.FILE.read_text())
    assert table["source"] and table["photographs"] >= 20
    found = nulls.find_nulls("grain", GRAIN.distance, MODEL_SETS["tiny"])
    assert len(found.mean) == 4 and all(abs(mean) < 0.02 for row in found.mean for mean in row)
    assert all(0 < area < 1.2 for area in found.area) and all(v > 0 for row in found.variance for v in row)


def test_a_model_without_a_null_is_named_with_what_to_do():
    with pytest.raises(
        UsageError, match=r"no null distribution of 'grain' with l2 for taesd; known for: none.*contrast"
    ):
        nulls.find_nulls("grain", "l2", ("taesd",))


def test_a_full_size_model_takes_the_null_of_its_family_and_says_so(caplog):
    full = nulls.find_nulls("grain", GRAIN.distance, ("sdxl",))
    assert full == nulls.find_nulls("grain", GRAIN.distance, ("taesdxl",))
    assert "sdxl: no null distribution was measured; taking that of taesdxl" in caplog.text


def test_standardised_by_model_pose_and_area():
    null = nulls.Nulls(((0.0, 0.0), (1.0, 0.0)), ((1.0, 4.0), (1.0, 1.0)), (1.0, 0.5))
    z = null.standardise(torch.full((1, 2, 2), 5.0), torch.tensor([[4.0, 16.0]]))
    assert torch.allclose(z, torch.tensor([[[10.0, 5.0], [8.0, 10.0]]]))
