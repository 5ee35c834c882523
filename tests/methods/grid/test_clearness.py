"""Clearness of a grid by phase and cell."""

import numpy as np
import pytest
import torch
from methods.grid.pictures import generated, photograph

from recon_detect.methods.grid.clearness import CELL, cells_of_photographs, clearness
from recon_detect.methods.grid.families import read_families, read_whitening
from recon_detect.methods.grid.fit import template
from recon_detect.methods.grid.statistic import AFTER, BEFORE, cell_tables, tables

SIDE = BEFORE + 2 * CELL + AFTER


def test_tables_of_cells_average_to_that_of_the_picture():
    x = photograph(0, SIDE)
    by_cell = cell_tables(x, CELL)
    assert by_cell.shape[:2] == (2, 2)
    torch.testing.assert_close(by_cell.mean((0, 1)), tables(x), atol=1e-6, rtol=1e-4)


def test_a_cell_is_what_lies_there():
    first = BEFORE + CELL + AFTER  # columns that the first cell is made of
    x = torch.cat([photograph(0, SIDE)[:, :, :first], photograph(1, SIDE)[:, :, first:]], dim=2)
    one, other = cell_tables(photograph(0, SIDE), CELL), cell_tables(x, CELL)
    torch.testing.assert_close(one[:, 0], other[:, 0], atol=1e-6, rtol=1e-4)
    assert not torch.allclose(one[:, 1], other[:, 1], atol=1e-3)


def test_cells_that_overlap_are_the_tables_of_their_parts():
    x, side, step = photograph(0, 200)[:, :168], 88, 24
    by_cell = cell_tables(x, side, step)
    assert by_cell.shape[:2] == ((168 - 40 - 88) // 24 + 1, (200 - 40 - 88) // 24 + 1)
    for row in range(by_cell.shape[0]):
        for column in range(by_cell.shape[1]):
            part = x[:, row * step :, column * step :][:, : side + BEFORE + AFTER, : side + BEFORE + AFTER]
            torch.testing.assert_close(by_cell[row, column], tables(part), atol=1e-6, rtol=1e-4)


def test_cells_with_the_grid_are_clear_at_its_phase_and_those_of_a_photograph_are_not():
    from dataclasses import replace

    whitening = read_whitening()
    ours = replace(
        read_families()[0], template=template(torch.stack([whitening(tables(generated(s))) for s in range(6)]))
    )
    offset = (3, 5)
    grids = [clearness(x, [ours], whitening) for x in (generated(9, SIDE, offset), photograph(9, SIDE))]
    down, across = np.unravel_index(grids[0].cosines[0].argmax(), (8, 8))
    assert (down, across) == (-offset[0] % 8, -offset[1] % 8)
    with_grid, without = (grid.deviates(0, ours.name, (down, across)) for grid in grids)
    assert with_grid.shape == (2, 2) and with_grid.min() > 2 > np.abs(without).max() / 2
    assert with_grid.min() > without.max()


def test_the_scale_is_of_all_families_of_the_package():
    content = cells_of_photographs()
    assert set(content["deviation"]) == {family.name for family in read_families()}
    assert content["photographs"] > 50 and content["cells"] > 1000
    grid = clearness(photograph(0, SIDE), read_families()[:1], read_whitening())
    unknown, widest = grid.deviates(0, "of my own", (0, 0)), max(content["deviation"].values())
    np.testing.assert_allclose(unknown, grid.cells[:, :, 0, 0, 0] / widest)
    assert unknown.shape == (2, 2) and pytest.approx(0, abs=1e-5) == grid.cells.mean((-2, -1)).max()
