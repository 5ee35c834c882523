"""Figures in README and docs come from the tables of results."""

import sys

import pytest

from benchmarks import tables
from benchmarks.common.data import read_table, write_table
from benchmarks.report import layouts


@pytest.fixture
def folder(tmp_path, monkeypatch):
    lines = [
        {"method": method, "condition": "png", "real": 9, "generated": 8, "auroc": area, "SD 3 n": n,
         "auroc_low": area - 0.1, "auroc_high": area + 0.04}
        for method, area, n in (("a", 0.91, 5), ("b", 0.5, 6))
    ]  # fmt: skip
    write_table(tmp_path / "benchmarks" / "results" / "robustness-x.csv", "set, n = 5", lines)
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "RESULTS", tmp_path / "benchmarks" / "results")
    return tmp_path


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["tables", *arguments])
    return tables.main()


def test_numbers_and_tables_are_filled_and_checked(folder, monkeypatch, capsys):
    page = folder / "README.md"
    page.write_text(
        "It has <!-- figure: robustness-x.csv; auroc; method=a -->?<!-- / --> of\n"
        "<!-- figure: robustness-x.csv; SD 3 n; method=b; condition=png -->?<!-- / --> images, or "
        "<!-- figure: robustness-x.csv; auroc:.0%; method=b -->?<!-- / -->.\n\n"
        "<!-- table: robustness-x.csv -->\n<!-- /table -->\n"
    )
    assert run(monkeypatch, "--check") == 1 and "README.md" in capsys.readouterr().err
    assert "?" in page.read_text() and run(monkeypatch) == 0
    text = page.read_text()
    assert "-->0.910<!--" in text and "-->6<!--" in text and "-->50%<!--" in text
    assert "| `a` | 0.910 |" in text and "Conditions: set, n = 5." in text
    assert run(monkeypatch, "--check") == 0
    page.write_text(text.replace("0.910", "0.990"))
    assert run(monkeypatch, "--check") == 1


def test_a_figure_that_is_not_there_is_an_error(folder, monkeypatch):
    (folder / "README.md").write_text("<!-- figure: robustness-x.csv; auroc; method=c -->0.9<!-- / -->")
    with pytest.raises(ValueError, match="no line with"):
        run(monkeypatch, "--check")


def test_markdown_of_a_table(folder):
    _, lines = read_table(folder / "benchmarks" / "results" / "robustness-x.csv")
    assert layouts.spread(lines[0]) == "0.910 [0.81, 0.95]" and layouts.figure(lines[0], "ap") == ""
    text = layouts.Table(["a|b", "c"], [["1|2", "3"]], "Note.").markdown()
    assert text == "| a/b | c |\n| --- | --- |\n| 1/2 | 3 |\n\nNote.\n"


def test_a_set_of_models_has_its_name():
    assert layouts.models_of({"models": "taesd+taesdxl+taesd3+taef1"}) == "tiny"
    assert layouts.models_of({"models": "taesd+x"}) == "taesd, x"
