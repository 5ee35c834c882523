"""Overviews across result files, and the times of the methods."""

import numpy as np
import pytest

from benchmarks import methods_speed
from benchmarks.common.data import read_table
from benchmarks.report import overview
from recon_detect.methods import METHODS


@pytest.mark.parametrize(
    ("paper", "expected"),
    [("arXiv:2401.17879", "2024"), ("after arXiv:2510.25141", "2025"), ("Choi et al., CVPR 2026", "2026"), ("", "")],
)
def test_year_of_a_paper(paper, expected):
    assert overview.year(paper) == expected


def test_papers_are_linked():
    link = "[arXiv:2401.17879](https://arxiv.org/abs/2401.17879)"
    assert overview.linked("after arXiv:2401.17879") == f"after {link}" and overview.linked("CVPR 2026") == "CVPR 2026"


def test_every_method_has_a_row_and_unmeasured_ones_no_number():
    rows = {row[0].strip("`"): row for row in overview.methods().rows}
    assert rows.keys() == METHODS.keys()
    assert rows["rigid"][-1] == "not measured" and rows["rigid"][3] == "2024"
    line = overview.lookup(overview.CLEAN, method="hfi", group="all")
    assert rows["hfi"][-1] == f"{float(line['auroc']):.2f} ({line['real']} + {line['generated']})"
    # What earlier versions called so is another method.
    assert rows["grain"][-1] == rows["glance"][-1] == "as `trace`"


@pytest.mark.slow
def test_methods_are_timed_on_a_picture_of_the_size_asked_for(tmp_path, monkeypatch):
    assert (
        np.asarray(methods_speed.photograph(64)).shape == (64, 64, 3) and methods_speed.photograph(512).size[0] == 512
    )
    assert "(" in methods_speed.cpu()
    output = tmp_path / "speed.csv"
    monkeypatch.setattr(methods_speed, "SIZES", (64,))
    monkeypatch.setattr("sys.argv", ["methods_speed", "--methods", "grid", "--rounds", "1", "--output", str(output)])
    methods_speed.main()
    conditions, lines = read_table(output)
    assert "float32, one thread" in conditions and lines[0]["method"] == "grid" and float(lines[0]["seconds"]) > 0
