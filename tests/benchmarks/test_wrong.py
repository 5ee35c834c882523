import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks import wrong
from benchmarks.common.data import read_table, write_manifest
from benchmarks.common.scores import Input
from benchmarks.report import today as report


@pytest.fixture
def data(tmp_path, picture):
    """Six pictures of two kinds."""
    rows = []
    for number in range(6):
        Image.fromarray(picture(328, 352, seed=number)).save(tmp_path / f"{number}.png")
        rows.append({"path": f"{number}.png", "label": "real", "kind": "night" if number < 4 else "drawing",
                     "fold": number % 2, "width": 352, "height": 328})  # fmt: skip
    write_manifest(tmp_path, rows)
    return tmp_path


def run(monkeypatch, data, *more):
    output = data / "wrong.csv"
    arguments = ["wrong", "--data", data, "--methods", "grid", "--device", "cpu", "--output", output, *more]
    monkeypatch.setattr(sys, "argv", list(map(str, arguments)))
    wrong.main()
    return read_table(output)


def test_each_kind_has_its_answers_and_rates(data, monkeypatch):
    conditions, table = run(monkeypatch, data)
    assert "templates as shipped" in conditions and "grid:" in conditions
    assert {line["kind"]: int(line["real"]) for line in table} == {"night": 4, "drawing": 2}
    for line in table:
        assert sum(int(line[kind]) for kind in report.COUNTS) == int(line["real"])
        assert 0 <= float(line["fpr_at_nominal_0.05"]) <= float(line["fpr_at_nominal_0.05_high"]) <= 1
        assert line["threshold_0.05"] == line["threshold_0.01"] == ""


def test_fewer_pictures_are_taken_of_every_kind_and_more_go_on_from_there(data, monkeypatch):
    _, few = run(monkeypatch, data, "--number", 1)
    assert [line["real"] for line in few] == ["1", "1"]
    _, every = run(monkeypatch, data)
    again = run(monkeypatch, data, "--report")[1]
    assert again == every and [line["real"] for line in every] == ["4", "2"]


@pytest.mark.parametrize(("n", "rate", "rank"), [(98, 0.01, None), (99, 0.01, 1), (18, 0.05, None), (19, 0.05, 1),
                                                 (199, 0.01, 2)])  # fmt: skip
def test_threshold_is_exceeded_with_at_most_the_rate(n, rate, rank):
    scores = np.random.default_rng(0).permutation(n).astype(float)
    threshold = wrong.conformal_threshold(scores, rate)
    assert threshold == (None if rank is None else n - rank)
    if rank:
        # Of n + 1 pictures in any order, the last is above the threshold of the others in this share of the orders.
        assert rank / (n + 1) <= rate < (rank + 1) / (n + 1)


def test_table_says_where_pictures_are_too_few():
    counts = {"real": "5", "found": "1", "undecided": "0", "nothing": "4", "decoders": "sdxl 1"}
    rates = {f"fpr_at_nominal_{rate}{end}": "0.2" for rate in report.RATES for end in ("", "_high")}
    line = counts | rates | {"kind": "night", "method": "trace", "effort": "quick", "score_highest": "2.5",
                             "threshold_0.05": "1.25", "threshold_0.01": ""}  # fmt: skip
    table = report.wrong("n photographs", [line])
    assert list(table.rows) == [["night", "5", "1", "0", "4", "0.200 [0.200]", "0.200 [0.200]", "1.25", "too few",
                                 "2.50", "sdxl 1"]]  # fmt: skip
    assert len(table.head) == len(table.rows[0]) and "`trace-quick`" in table.note


def test_a_picture_that_is_too_large_is_a_source_with_an_error(tmp_path):
    Image.new("1", (9000, 8000)).save(tmp_path / "large.png")
    source, digest = Input(tmp_path / "large.png", "large.png", "real", None, "file").source()
    assert (source.image, digest) == (tmp_path / "large.png", "")
