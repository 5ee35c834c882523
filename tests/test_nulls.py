import json

import pytest
import torch

from recon_detect import nulls
from recon_detect.distances import distance_names
from recon_detect.errors import UsageError
from recon_detect.looks import SCALES
from recon_detect.models.registry import MODEL_SETS


def test_the_shipped_nulls_cover_the_default_pool_at_every_scale():
    table = json.loads(nulls.FILE.read_text())
    assert table["source"] and table["photographs"] >= 20
    found = nulls.find_nulls("grain", MODEL_SETS["tiny"])
    assert found.scales == pytest.approx(SCALES, abs=1e-4) and len(found.mean) == 4
    assert all(set(names) <= set(distance_names()) and names for names in found.distances)
    values = [value for model in range(4) for at in range(len(SCALES)) for value in found.mean[model][at]]
    assert len(values) == 4 * len(SCALES) * 2 and all(abs(value) < 0.05 for value in values)
    assert all(0 < area < 1.5 for row in found.area for area in row)
    assert all(value > 0 for row in found.variance for at in row for value in at)


def test_a_model_without_a_null_is_named_with_what_to_do():
    with pytest.raises(
        UsageError, match=r"no null distribution of 'grain' for kandinsky21; known for: taesd,.*contrast"
    ):
        nulls.find_nulls("grain", ("kandinsky21",))
    with pytest.raises(UsageError, match="known for: none"):
        nulls.find_nulls("contrast", ("taesd",))


def test_a_full_size_model_takes_the_null_of_its_family_and_says_so(caplog):
    full = nulls.find_nulls("grain", ("sdxl",))
    assert full == nulls.find_nulls("grain", ("taesdxl",))
    assert "sdxl: no null distribution was measured; taking that of taesdxl" in caplog.text


def test_standardised_by_model_scale_pose_and_area():
    null = nulls.Nulls(
        (("l1",), ("l2",)),
        (1.0, 2.0),
        (((0.0, 0.0), (9.0, 9.0)), ((1.0, 0.0), (9.0, 9.0))),
        (((1.0, 4.0), (9.0, 9.0)), ((1.0, 1.0), (4.0, 9.0))),
        ((1.0, 0.0), (0.5, 0.0)),
    )
    blocks = torch.tensor([[4.0, 16.0]])
    z = null.standardise(torch.full((1, 2, 2), 5.0), blocks, 1.1)
    assert torch.allclose(z, torch.tensor([[[10.0, 5.0], [8.0, 10.0]]]))
    assert torch.allclose(null.standardise(torch.full((1, 2, 1), 5.0), blocks, 2.0), torch.tensor([[[-4 / 3], [-2.0]]]))
    assert torch.equal(null.of(1).standardise(torch.full((1, 1, 2), 5.0), blocks[:, 1:], 1.0), z[:, 1:])
