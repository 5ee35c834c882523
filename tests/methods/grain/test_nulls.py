import json

import numpy as np
import pytest
import torch
from scipy import stats

from assets.searches import SEARCHES
from recon_detect.errors import UsageError
from recon_detect.evidence.distances import DISTANCES
from recon_detect.methods.grain import nulls
from recon_detect.methods.grain.crops import SCALES
from recon_detect.models.registry import MODEL_SETS


def test_the_shipped_nulls_cover_the_default_pool_at_every_scale():
    table = json.loads(nulls.file_of("grain").read_text())
    assert table["source"] and table["photographs"] >= 20
    found = nulls.find_nulls("grain", MODEL_SETS["tiny"])
    assert found.scales == pytest.approx(SCALES, abs=1e-4) and len(found.rows) == 4
    assert all(set(names) <= set(DISTANCES) and names for names in found.distances)
    rows = [row for model in found.rows for row in model]
    assert len(rows) == 4 * len(SCALES)
    assert all(deviation > 0 for model in found.searches for _, deviation in model.values())
    assert all(set(model) == set(SEARCHES) for model in found.searches)
    for row in rows:
        assert len(row.mean) == 2 and all(abs(value) < 0.05 for value in row.mean)
        assert min(row.variance + row.spread) > 0 and 0 < row.area < 1.5 and row.freedom >= 1


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


@pytest.fixture
def null():
    rows = (
        (
            nulls.Null((0.0, 0.0), (1.0, 4.0), (1.0, 1.0), 1.0, 100),
            nulls.Null((9.0, 9.0), (9.0, 9.0), (1.0, 2.0), 0, 4),
        ),
        (
            nulls.Null((1.0, 0.0), (1.0, 1.0), (1.0, 1.0), 0.5, 100),
            nulls.Null((9.0, 9.0), (4.0, 9.0), (1.0, 2.0), 0, 4),
        ),
    )
    return nulls.Nulls((("l1",), ("l2",)), (1.0, 2.0), rows, ({}, {"scales": (1.0, 0.5)}))


BLOCKS = torch.tensor([[4.0, 16.0]])


def contrasts(value, variance, freedom, poses=2):
    return nulls.Contrasts(torch.full((1, 2, poses), value), torch.full((1, 2, poses), variance), freedom)


def test_standardised_by_model_scale_pose_and_area(null):
    z = null.standardise(contrasts(5.0, 0.0, 0), BLOCKS, 1.1)
    t = np.array([[[10.0, 5.0], [8.0, 10.0]]])
    assert np.allclose(stats.norm.sf(z), stats.t(100).sf(t))
    other = null.standardise(contrasts(5.0, 0.0, 0, poses=1), BLOCKS, 2.0)
    assert np.allclose(stats.norm.sf(other), stats.t(4).sf([[[-4 / 3], [-2.0]]]))
    first = nulls.Contrasts(torch.full((1, 1, 2), 5.0), torch.zeros(1, 1, 2), 0)
    assert np.array_equal(null.of(1).standardise(first, BLOCKS[:, 1:], 1.0), z[:, 1:])
    assert np.isfinite(null.standardise(contrasts(300.0, 0.0, 0), BLOCKS, 1.0)).all()


def test_the_best_of_a_search_is_held_against_searches_in_photographs(null):
    assert null.searched(1, "scales", 2.0) == 2.0 == null.of(1).searched(0, "scales", 2.0)
    assert null.searched(1, "scales", 3.0) == 4.0 and null.searched(0, "scales", 3.0) == 3.0


def test_an_image_whose_other_poses_differ_is_believed_less(null):
    """Both variances, weighted by their degrees of freedom."""
    calm, restless = (null.standardise(contrasts(5.0, variance, 3), BLOCKS, 2.0) for variance in (9.0, 90.0))
    assert np.allclose(stats.norm.sf(calm[0, 0, 0]), stats.t(7).sf(-4 / 3))
    joined = (4 * 9 + 3 * 90 / 2) / 7
    assert np.allclose(stats.norm.sf(restless[0, 0, 1]), stats.t(7).sf(-4 / np.sqrt(joined)))
    assert (np.abs(restless) < np.abs(calm)).all()
