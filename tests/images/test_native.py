import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_detect.images.native import FAMILIES, SIZES, fits, native_sizes

NATIVE = sorted({size for sizes in SIZES for size in sizes.shares()})
SIDES = st.integers(16, 4096)


def resized(size, side, rounding):
    """A size brought to a longest side."""
    factor = side / max(size)
    return tuple(side if length == max(size) else max(rounding(length * factor), 1) for length in size)


@given(st.sampled_from(NATIVE), st.integers(320, 2048), st.sampled_from((round, int)))
def test_every_native_size_is_proposed_whatever_it_was_scaled_to(native, side, rounding):
    size = resized(native, side, rounding)
    scales = [proposal.scale for proposal in native_sizes(*size) if proposal.whole]
    assert min(abs(scale * side / max(native) - 1) for scale in scales) < 0.0025


@given(st.sampled_from(NATIVE), st.floats(0.3, 2))
def test_a_factor_that_rounds_both_sides_fits_too(native, factor):
    assert fits(np.array([native]), tuple(round(side * factor) for side in native)).all()


@given(st.sampled_from(NATIVE), st.floats(0.55, 0.95), st.sampled_from((0, 1)), st.integers(320, 1600))
def test_a_cropped_native_size_is_proposed(native, part, cut, side):
    crop = tuple(round(length * part) if axis == cut else length for axis, length in enumerate(native))
    width, height = resized(crop, side, round)
    scales = [proposal.scale for proposal in native_sizes(width, height)]
    # Half a pixel of the shorter side is what the scale can be wrong by.
    assert min(abs(scale * side / max(crop) - 1) for scale in scales) < 0.0025 + 0.5 / min(width, height)


@given(SIDES, SIDES, st.sets(st.sampled_from(FAMILIES), min_size=1))
def test_a_prior_over_sizes_and_families(width, height, families):
    proposals = native_sizes(width, height, families)
    weights = [proposal.weight for proposal in proposals]
    assert sum(weights) == pytest.approx(1) and min(weights) > 0 and weights == sorted(weights, reverse=True)
    assert set().union(*(proposal.families for proposal in proposals)) == families
    assert any((proposal.width, proposal.height, proposal.whole) == (width, height, True) for proposal in proposals)
    assert all(min(proposal.width, proposal.height) > 0 for proposal in proposals)


@given(SIDES, SIDES)
def test_a_turned_picture_has_the_same_scales(width, height):
    upright, turned = native_sizes(width, height), native_sizes(height, width)
    assert upright[0].scale == turned[0].scale and upright[0].weight == pytest.approx(turned[0].weight)
    assert sum(p.weight for p in upright if p.whole) == pytest.approx(sum(p.weight for p in turned if p.whole))


def test_the_buckets_of_sdxl():
    """Those of appendix I, and 1344 x 704, which is missing there."""
    (sdxl,) = (sizes.shares() for sizes in SIZES if "sdxl" in sizes.families)
    assert len(sdxl) == 41 and {(512, 2048), (704, 1344), (960, 1088), (1856, 512)} <= set(sdxl)
    assert not {(960, 960), (832, 1088), (640, 1472), (448, 2048)} & set(sdxl)


@pytest.mark.parametrize("family", FAMILIES)
def test_shares_of_a_family_sum_to_1(family):
    assert sum(sum(s.shares().values()) for s in SIZES if family in s.families) == pytest.approx(1)


@pytest.mark.parametrize(("size", "family", "native"), [
    ((800, 800), "sdxl", (1024, 1024)), ((1080, 720), "flux1", (1248, 832)), ((640, 427), "sd", (768, 512)),
    ((683, 1024), "gpt", (1024, 1536)), ((800, 600), "qwen", (1472, 1104)), ((1080, 617), "sd3", (1344, 768)),
])  # fmt: skip
def test_the_likeliest_size_of_a_scaled_picture(size, family, native):
    scaled = [p for p in native_sizes(*size, (family,)) if p.scale != 1]
    assert (scaled[0].width, scaled[0].height, scaled[0].whole) == (*native, True)
    assert scaled[0].scale == max(native) / max(size)


def test_a_native_size_is_likeliest_unchanged():
    first = native_sizes(1216, 832)[0]
    assert (first.scale, first.whole) == (1, True) and first.weight > 0.5
    assert first.families["sdxl"] > first.families["sd"] > 0


def test_a_family_without_sizes_has_the_picture_as_it_is():
    (alone,) = native_sizes(800, 600, ("owner/model",))
    assert (alone.width, alone.height, alone.scale, alone.families) == (800, 600, 1, {"owner/model": 1})
    both = [p for p in native_sizes(800, 600, ("owner/model", "sd")) if "owner/model" in p.families]
    assert [p.scale for p in both] == [1]
