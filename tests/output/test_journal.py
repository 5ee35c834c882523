import csv
import json

import pyarrow.parquet as pq
import pytest
from conftest import read_jsonl

from recon_detect.errors import UsageError
from recon_detect.output import Journal

RUN = {"run": "abc", "methods": [{"name": "hfi", "models": ["taesd", "owner/model"]}, {"name": "rdd", "models": []}]}


def row(path, score=-0.5, **changes):
    models = {"taesd": score, "owner/model": -1.0} if score is not None else {}
    empty = dict.fromkeys(
        ("label", "error", "format", "mode", "sha256", "file_bytes", "jpeg_quality", "exif_orientation")
    )
    size = {"width": 3, "height": 4, "texture": 0.5}
    return {
        "schema": 3,
        "path": path,
        "score": score,
        "scores": {"hfi": score, "rdd": 2.0} if models else {},
        "per_model": {"hfi": models, "rdd": {}} if models else {},
        "details": {"rdd": {"scale": 0.5}} if models else {},
        **empty,
        **size,
        "notes": ["a", "b"],
        "run": "abc",
    } | changes


def write(path, *rows):
    with Journal(path, RUN) as journal:
        for entry in rows:
            journal.add(entry)
        journal.finish()


def test_json_lines_hold_the_rows_as_they_are(tmp_path):
    rows = [row("ä.png"), row("b.png", None, error="UnreadableImage: x")]
    write(tmp_path / "out.jsonl", *rows)
    assert read_jsonl(tmp_path / "out.jsonl") == rows
    assert json.loads((tmp_path / "out.jsonl.run.json").read_text()) == RUN
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.jsonl", "out.jsonl.run.json"]


def test_csv_has_a_column_per_method_and_model(tmp_path):
    write(tmp_path / "out.csv", row('odd,"name".png'), row("b.png", None, error="E: x"))
    with (tmp_path / "out.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["path"], first["score"], first["notes"]) == ('odd,"name".png', "-0.5", "a; b")
    assert (first["hfi"], first["hfi.taesd"], first["rdd"], first["details"]) == (
        "-0.5",
        "-0.5",
        "2.0",
        '{"rdd": {"scale": 0.5}}',
    )
    assert (second["score"], second["hfi.owner/model"], second["error"]) == ("", "", "E: x")


def test_parquet_is_typed_and_carries_the_run(tmp_path):
    write(tmp_path / "out.parquet", row("a.png"), row("b.png", None))
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.field("score").type == "double" and table.schema.field("width").type == "int64"
    assert table["score"].to_pylist() == [-0.5, None]
    assert json.loads(table.schema.metadata[b"recon_detect"]) == RUN


def test_an_interrupted_run_goes_on_after_its_last_whole_line(tmp_path):
    path = tmp_path / "out.jsonl"
    with Journal(path, RUN) as journal:
        journal.add(row("a.png"))
        journal.add(row("b.png"))
    partial = tmp_path / "out.jsonl.partial"
    partial.write_bytes(partial.read_bytes()[:-10])
    assert not path.exists()
    with Journal(path, RUN) as journal:
        assert journal.done == {"a.png"}
        journal.add(row("b.png"))
        journal.finish()
    assert [entry["path"] for entry in read_jsonl(path)] == ["a.png", "b.png"]
    assert not partial.exists()


def test_a_run_that_cannot_be_resumed_starts_over(tmp_path):
    with Journal(tmp_path / "out.jsonl", RUN) as journal:
        journal.add(row("a.png"))
    with Journal(tmp_path / "out.jsonl", RUN, resume=False) as journal:
        assert journal.done == set()
        journal.add(row("b.png"))
        journal.finish()
    assert [entry["path"] for entry in read_jsonl(tmp_path / "out.jsonl")] == ["b.png"]


def test_a_journal_killed_in_its_first_line_starts_anew(tmp_path):
    (tmp_path / "out.csv.partial").write_text('{"run": "ab')
    with Journal(tmp_path / "out.csv", RUN) as journal:
        assert journal.done == set()
        journal.finish()
    assert (tmp_path / "out.csv").read_text().startswith("path,score,hfi,hfi.taesd")


def test_partial_results_of_another_configuration_are_not_mixed(tmp_path):
    with Journal(tmp_path / "out.csv", RUN) as journal:
        journal.add(row("a.png"))
    with (
        pytest.raises(UsageError, match=r"run abc, now xyz\); finish that run, or delete"),
        Journal(tmp_path / "out.csv", RUN | {"run": "xyz"}),
    ):
        pass


def test_finished_results_stay_until_new_ones_are_complete(tmp_path):
    path = tmp_path / "out.jsonl"
    write(path, row("a.png"))
    with Journal(path, RUN) as journal:
        journal.add(row("b.png"))
    assert [entry["path"] for entry in read_jsonl(path)] == ["a.png"]


def test_unknown_suffix(tmp_path):
    with pytest.raises(UsageError, match=r"expected a name that ends in .jsonl, .csv, .parquet"):
        Journal(tmp_path / "out.xlsx", RUN)
