"""The page of a run: its rows, filters and thumbnails, and that names and errors are inert."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from pages.pictures import HOSTILE, RUN, failed, row
from PIL import Image

from recon_detect.answers import answer_of
from recon_detect.errors import UsageError
from recon_detect.output.writers import write_csv, write_jsonl
from recon_detect.pages import write_report
from recon_detect.pages.report import COLUMNS, histogram, report_html


def page_of(rows, run=RUN):
    return report_html([(each, answer_of(each, run)) for each in rows], run, "rows.jsonl")


def data_of(html):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    content = json.loads(text)
    return [dict(zip(content["columns"], values, strict=True)) for values in content["rows"]], content["texts"]


def test_rows_have_their_answers_in_words():
    rows = [row(0, 3.5), row(1, -0.5), row(2, 2.0), failed(3)]
    values, texts = data_of(page_of(rows))
    assert [each["kind"] for each in values] == [0, 1, 2, 3]
    for each, of_page in zip(rows, values, strict=True):
        answer = answer_of(each, RUN)
        assert texts[of_page["headline"]] == answer.headline
        assert texts[of_page["family"]] == (answer.family or "")
        assert of_page["one_in"] == answer.one_in
        assert answer.meaning in [texts[number] for number in of_page["details"]]
    assert [each["score"] for each in values] == [3.5, -0.5, 2.0, None]
    assert values[0]["size"] == "640 x 480" and values[0]["format"] == "JPEG q90" and tuple(values[0]) == COLUMNS


@pytest.mark.parametrize(("changes", "words"), [
    ({}, "mode medium: by the method&#39;s estimate, at most 1 photograph in 100 by mistake"),
    ({"calibration": "500be081eeb4"}, "the calibration 500be081eeb4"), ({"threshold": 3.0}, "the threshold 3"),
])  # fmt: skip
def test_the_page_names_what_decided(changes, words):
    assert f">{words}</td>" in page_of([row(0, 3.5)], replace(RUN, **changes))


def test_names_and_errors_are_inert():
    hostile = f"photos/{HOSTILE}</script><script>alert(1)</script>\u202e.png"
    html = page_of([row(0, 3.5, path=hostile), failed(1, hostile)])
    assert html.count("<script") == 2 and html.count("</script>") == 2
    assert HOSTILE not in html and "\u202e" not in html
    values, texts = data_of(html)
    assert values[0]["path"].startswith(f"photos/{HOSTILE}</script>") and "<b>file</b>" in texts[values[1]["headline"]]


def test_counts_and_families_are_those_of_the_rows():
    html = page_of([row(0, 3.5), row(1, 4.5), row(2, -0.5), failed(3)])
    assert re.findall(r"(\d+) (found|nothing found|not scored)</span>", html) == [
        ("2", "found"), ("1", "nothing found"), ("1", "not scored"),
    ]  # fmt: skip
    assert "<option>SDXL</option>" in html and "4 images of rows.jsonl" in html
    assert "1 image of rows.jsonl" in page_of([row(0, 3.5)])


def test_the_histogram_counts_every_score_once():
    scores = [*np.random.default_rng(0).normal(size=500), 7.0, float("nan")]
    drawn = histogram(scores, is_deviate=True)
    assert sum(count for *_, count, _ in drawn["bars"]) == 501
    assert [name for _, name in drawn["levels"]] == ["5 %", "1 %"]
    assert not histogram(scores, is_deviate=False)["levels"]
    assert histogram([float("nan")], is_deviate=True) is None


def test_thumbnails_are_of_the_highest_scores_and_files_that_cannot_be_read_have_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(np.full((300, 200, 3), 90, np.uint8)).save(f"photos/{name}.png")
    (tmp_path / "photos" / "text.png").write_text("no image")
    names = ("photos/a.png", "photos/b.png", "photos/text.png", "photos/gone.png", "photos/c.png")
    write_jsonl(tmp_path / "rows.jsonl", [row(i, float(i), path=name) for i, name in enumerate(names)], RUN)
    assert write_report("rows.jsonl", "report.html", thumbnails=2) == 5
    values, _ = data_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert [bool(each["thumbnail"]) for each in values] == [False, True, False, False, True]
    write_report("rows.jsonl", "none.html", thumbnails=0)
    assert "data:image/jpeg" not in (tmp_path / "none.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_stricter_mode_finds_less(tmp_path):
    write_csv(tmp_path / "rows.csv", [row(0, 2.5), row(1, 4.0)], RUN)
    kinds = []
    for mode in (None, "best-guess", "high"):
        write_report(tmp_path / "rows.csv", tmp_path / "report.html", mode=mode, thumbnails=0)
        values, _ = data_of((tmp_path / "report.html").read_text(encoding="utf-8"))
        kinds.append([each["kind"] for each in values])
    assert kinds == [[0, 0], [0, 0], [2, 0]]


def test_a_file_of_something_else_leaves_no_page(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="not a row of"):
        write_report(tmp_path / "rows.csv", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
