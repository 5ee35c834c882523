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


def detection_lines(method, models, generated):
    return [
        {"method": method, "distance": "l2", "models": models, "dtype": "float32", "group": group, "real": 9,
         "generated": n, "auroc": 0.9, "auroc_low": 0.8, "auroc_high": 0.95}
        for group, n in (("all", generated), ("autoencoder: SD kl-f8", 2))
    ]  # fmt: skip


@pytest.fixture
def two_files(folder, monkeypatch):
    """Results of two runs that share the images but not the models."""
    results = folder / "benchmarks" / "results"
    monkeypatch.setattr(layouts, "RESULTS", results)
    for name, models, text in (("a", "mini-sd", "mini-sd in bfloat16"), ("b", "taesd", "taesd in float32")):
        write_table(results / f"detection-{name}.csv", f"set, crop; {text}; torch 1", detection_lines("m", models, 7))
    return results


def test_rows_of_several_files_stand_under_their_own_conditions(two_files):
    table = layouts.comparison("detection-*.csv")
    assert table.head[-1] == "conditions" and [(row[2], row[-1]) for row in table.rows] == [
        ("mini-sd", "a"),
        ("taesd", "b"),
    ]
    shared, *explained = table.note.split(". (")
    assert shared.endswith("Conditions: against 9 photographs; set, crop; torch 1") and "float" not in shared
    assert explained == ["a) mini-sd in bfloat16", "b) taesd in float32."]
    assert table.head[4:6] == ["SD kl-f8 (n = 2)", "all (n = 7)"]


def test_what_files_count_differently_is_said_in_each_row(two_files):
    write_table(two_files / "detection-b.csv", "set, crop; torch 1", detection_lines("m", "taesd", 5))
    table = layouts.comparison("detection-*.csv")
    assert table.head[5] == "all (n)" and [row[5] for row in table.rows] == [
        f"0.900 [0.80, 0.95] ({n})" for n in (7, 5)
    ]
    assert [row[-1] for row in table.rows] == ["a", ""]


def test_one_condition_needs_no_letters(two_files):
    table = layouts.comparison("detection-a.csv")
    assert table.head[-1] == "all (n = 7)" and "(a)" not in table.note


def test_pages_below_docs_are_filled(folder, monkeypatch):
    page = folder / "docs" / "results" / "detection.md"
    page.parent.mkdir()
    page.write_text("<!-- figure: robustness-x.csv; auroc; method=a -->?<!-- / -->")
    assert run(monkeypatch) == 0 and "0.910" in page.read_text()


def test_an_audit_shows_its_shortcuts_and_names_the_rest():
    line = {"group": "file", "low": "0.5", "high": "0.9", "photographs": "65%", "generated_images": "0%"}
    areas = (("EXIF", "0.82", "strong"), ("XMP", "0.51", ""), ("all", "0.6", ""))
    lines = [line | {"measurement": of, "auroc": area, "shortcut": grade} for of, area, grade in areas]
    table = layouts.audit("set, n = 5", [*lines[:2], lines[2] | {"group": "together"}])
    assert [(row[0], row[2], row[-1]) for row in table.rows] == [
        ("EXIF", "0.82 [0.50, 0.90]", "strong"),
        ("all", "0.60 [0.50, 0.90]", "none"),
    ]
    assert table.note == "No shortcut: XMP 0.51. Conditions: set, n = 5."
