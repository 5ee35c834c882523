"""Maps lie where the evidence is, whatever the picture was scaled, turned or cropped by."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pages.pictures import row

from recon_detect.methods.grid.statistic import AFTER, BEFORE
from recon_detect.methods.trace.frames import Frame
from recon_detect.pages.evidence import EvidenceMap, _over_picture, grid_of, tiles_of
from recon_detect.results import Score


def scored(details):
    return row(0, 3.0, scores={"trace": Score(3.0, {"sd": 1.0, "sdxl": 3.0}, details)})


def test_tiles_are_drawn_where_they_are_and_nothing_elsewhere():
    evidence = tiles_of(scored({"tiles": [[0, 16, 40, 56, 3.5], [80, 0, 120, 40, -1.0]]}), (64, 120))
    assert evidence.values.shape == (8, 15)
    assert (evidence.values[2:7, :5] == 3.5).all() and (evidence.values[:5, 10:] == -1).all()
    assert np.isnan(evidence.values).sum() == 8 * 15 - 50
    assert tiles_of(scored({"tiles": []}), (64, 120)) is None


@pytest.mark.parametrize(("symmetry", "bright"), [
    ("identity", (0, 0)), ("hflip", (0, 1)), ("rot180", (1, 1)), ("rot90", (0, 1)), ("rot270", (1, 0)),
])  # fmt: skip
def test_cells_of_a_turned_frame_come_back_to_where_they_were(symmetry, bright):
    """The first cell of the turned picture: its corner in the picture."""
    side = BEFORE + 128 + AFTER
    frame = Frame(side, side, 1.0, True, {}, symmetry)
    values = _over_picture(np.array([[9.0, 0], [0, 0]]), (0, 0, side, side), (side, side), frame, (0, 0), (side, side))
    corners = {(y, x): values[-y, -x] for y in (0, 1) for x in (0, 1)}
    assert [place for place, value in corners.items() if value == 9] == [bright]


def test_cells_of_a_scaled_and_cut_frame_lie_over_their_pixels():
    frame = Frame(400, 400, 2.0, True, {})
    cells = np.array([[1.0, 2.0], [3.0, 4.0]])
    box = (96, 0, 96 + 168, 168)  # of the frame: 48 to 132 across and 0 to 84 down in the picture
    values = _over_picture(cells, box, (400, 400), frame, (0, 0), (200, 200))
    seen = np.isfinite(values)
    assert set(np.flatnonzero(seen.any(0))) == set(range(6, 16)) or set(np.flatnonzero(seen.any(0))) == set(
        range(6, 17)
    )
    assert values[0, 6] == 1 and values[0, 15] == 2 and values[9, 6] == 3
    assert not seen[:, :6].any() and not seen[11:].any()


def test_the_family_and_size_are_those_that_the_row_names():
    x = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (3, 120, 120)).astype(np.float32))
    x = F.interpolate(x[None], size=(120, 128), mode="bicubic")[0].clamp(-1, 1)
    details = {"decoder": "flux1", "native_size": [256, 240], "scale": 2.0, "offset": [3, 0], "symmetry": "identity"}
    named = grid_of(x, scored(details))
    assert (named.family, named.size, named.phase) == ("flux1", (256, 240), (0, 5))
    unnamed = grid_of(x, scored({}))
    assert (unnamed.family, unnamed.size) == ("sdxl", (128, 120))
    assert unnamed.cosines[unnamed.phase] == unnamed.cosines.max()
    assert named.map.values.shape == unnamed.map.values.shape == (15, 16)


def test_a_picture_smaller_than_a_cell_and_its_margins_has_no_grid():
    assert grid_of(torch.zeros(3, 100, 300), scored({})) is None


def test_colours_are_on_one_scale_for_all_pictures():
    values = np.array([[0.0, 3.0], [6.0, np.nan]], np.float32)
    pixels = np.asarray(EvidenceMap("a", values, 6.0, "").picture((2, 2)))
    again = np.asarray(EvidenceMap("a", values / 2, 6.0, "").picture((2, 2)))
    assert (pixels[0, 1] == again[1, 0]).all() and pixels[1, 1, 3] == 0 and pixels[0, 0, 3] == 255
    assert pixels[1, 0, :3].sum() > pixels[0, 1, :3].sum() > pixels[0, 0, :3].sum()
