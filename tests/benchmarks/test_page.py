"""The page of results: its tables are the lines of the files, and nothing is claimed of few pictures."""

import shutil

import pytest

pytest.importorskip("matplotlib")

from benchmarks.common.data import RESULTS, read_table, write_table
from benchmarks.report import page, report
from benchmarks.report.overview import after, area, lookup


def test_claims_are_lines_of_the_files_with_n_and_interval():
    table = page.summary()
    assert 0 < len(table.rows) <= 6 and len({row[0] for row in table.rows}) == len(table.rows)
    files = {what: (file, values) for what, file, values in page.CLAIMS}
    for what, effort, counts, spread, recall, _ in table.rows:
        file, values = files[what]
        line = lookup(file, method="trace", **values)
        assert (effort, counts) == (f"`{line['effort']}`", f"{line['real']} + {line['generated']}")
        assert spread.startswith(f"{float(line['auroc']):.2f} [") and float(recall) == pytest.approx(
            float(line["tpr_at_5_fpr"]), abs=0.0051
        )
    photographs = lookup("today.csv", group="photographs, all")
    assert f"{photographs['found']} of {photographs['real']} photographs" in table.note


def test_nothing_is_claimed_of_fewer_than_five_pictures(monkeypatch):
    line = lookup("today.csv", group=page.KNOWN)
    monkeypatch.setattr(page, "lookup", lambda *file, **values: line | {"generated": "4", "found": "0"})
    assert not page.summary().rows
    assert all(int(row[1]) >= 5 and not row[0].startswith("others") for row in page.generators().rows)


def test_generators_come_by_the_share_that_is_found_and_photographs_last():
    rows = page.generators().rows
    assert rows[0][0] == page.KNOWN and [row[0] for row in rows[-2:]] == [
        "photographs, camera",
        "photographs, lossless",
    ]
    shares = [int(row[4]) / int(row[1]) for row in rows[1:-2]]
    assert shares == sorted(shares, reverse=True) and len(shares) > 5
    assert all(sum(map(int, row[4:])) == int(row[1]) for row in rows)


def test_methods_stand_under_their_own_number_of_pictures():
    table = page.methods()
    cells = {row[0]: dict(zip(table.head, row, strict=True)) for row in table.rows}
    assert cells.keys() == page.CONDITIONS.keys()
    assert cells["resized to 3/4"]["`hfi`"] == area(after("hfi", "resize-0.75"))
    assert cells["JPEG 75"]["`trace`"] == area(lookup("web-crop320.csv", recipe="centre-320+jpeg-75", group="all"))


def test_thresholds_say_what_was_promised_and_on_how_many_photographs():
    rows = page.thresholds().rows
    assert {"5 %", "1 %", "10 %"} == {row[2] for row in rows}
    assert all(int(row[3]) > 50 and 0 <= float(row[4].split()[0]) <= 1 for row in rows)


def test_mistakes_are_shown_once_they_are_counted(tmp_path, monkeypatch):
    for file in RESULTS.glob("*.csv*"):
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    (tmp_path / page.WRONG).unlink(missing_ok=True)
    assert [list(row) for row in page.wrong().rows] == [["not measured yet"]]
    line = {"method": "trace", "effort": "quick", "kind": "night", "real": 20, "found": 1, "undecided": 0,
            "nothing": 19, "fpr_at_nominal_0.05": 0.05, "fpr_at_nominal_0.05_high": 0.24, "fpr_at_nominal_0.01": 0.05,
            "fpr_at_nominal_0.01_high": 0.24, "threshold_0.05": 2.5, "threshold_0.01": "", "score_highest": 2.5,
            "decoders": "sdxl 1"}  # fmt: skip
    write_table(tmp_path / page.WRONG, "files as they are", [line])
    assert page.wrong().rows[0][0] == "night" and "too few" in page.wrong().rows[0]


def test_published_figures_warn_and_stand_beside_ours_with_n():
    table = page.published()
    assert "cannot be subtracted" in table.note
    ours = {row[0]: row[-1] for row in table.rows}
    line = lookup("detection-all-tiny-bfloat16-crop320-png-cpu.csv", method="hfi", group="all")
    assert ours["`hfi`"].startswith(f"{float(line['auroc']):.3f}") and f"({line['real']} + " in ours["`hfi`"]
    assert ours["`warpad`"] == "not measured"
    assert all(row[5] for row in table.rows)  # each has a source


def test_the_html_begins_with_the_page():
    section = report.in_short()
    assert [part.title for part in section.parts] == [table().title for table in page.PAGE.values()]
    text = report.page([section], [], [])
    assert "What the default detects" in text and "https://" not in text
    assert all(part.markdown().count("\n| ") > 1 for part in section.parts)
    assert {line["method"] for line in read_table(RESULTS / page.TODAY)[1]} >= {"trace"}
