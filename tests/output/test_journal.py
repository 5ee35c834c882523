import csv
import dataclasses
import json

import pyarrow.parquet as pq
import pytest
from conftest import read_jsonl

from recon_detect import Provenance, Row, RunInfo
from recon_detect.errors import UsageError
from recon_detect.output import Journal, PartialFile
from recon_detect.output.writers import columns_of
from recon_detect.results import MethodInfo, Score

METHODS = (MethodInfo("hfi", "l2", ("taesd", "owner/model")), MethodInfo("rdd", "l2", ()))
RUN = RunInfo(METHODS, None, (), "cpu", False, "white", None, {"torch": "2"})
OTHER = dataclasses.replace(RUN, alpha="black")


def row(path, score=-0.5, error=None):
    scores = {"hfi": Score(score, {"taesd": score, "owner/model": -1.0}), "rdd": Score(2.0, {}, {"scale": 0.5})}
    return Row(
        0, path, {} if error else scores, provenance=Provenance(3, 4, "PNG", "RGB", "0f"), texture=0.5, error=error,
        notes=("a", "b"),
    )  # fmt: skip


def write(path, *rows):
    with Journal(path, RUN) as journal:
        for entry in rows:
            journal.add(entry)
        journal.finish()


def test_json_lines_hold_the_rows_as_they_are(tmp_path):
    rows = [row("ä.png"), row("b.png", error="UnreadableImage: x")]
    write(tmp_path / "out.jsonl", *rows)
    assert read_jsonl(tmp_path / "out.jsonl") == [entry.to_dict(RUN.fingerprint) for entry in rows]
    assert json.loads((tmp_path / "out.jsonl.run.json").read_text()) == json.loads(json.dumps(RUN.to_dict()))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.jsonl", "out.jsonl.run.json"]


def test_csv_has_a_column_per_method_and_model(tmp_path):
    write(tmp_path / "out.csv", row('odd,"name".png'), row("b.png", error="E: x"))
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
    write(tmp_path / "out.parquet", row("a.png"), row("b.png", error="E: x"))
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.field("score").type == "double" and table.schema.field("width").type == "int64"
    assert table["score"].to_pylist() == [-0.5, None]
    assert json.loads(table.schema.metadata[b"recon_detect"]) == json.loads(json.dumps(RUN.to_dict()))


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
        pytest.raises(
            UsageError, match=rf"run {RUN.fingerprint}, now {OTHER.fingerprint}\); finish that run, or delete"
        ),
        Journal(tmp_path / "out.csv", OTHER),
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


def test_rows_are_read_back_as_they_were(tmp_path):
    with Journal(tmp_path / "out.csv", RUN) as journal:
        journal.add(row("a.png"))
        journal.add(row("b.png", error="E: x"))
        rows = list(journal.rows())
    assert rows == [row("a.png"), dataclasses.replace(row("b.png", error="E: x"), index=1)]


def test_columns_are_those_that_files_have_had():
    """Readers go by these names and this order; a new field of a row comes where its kind stands."""
    plain = list(columns_of(RUN))
    assert plain == [
        "path", "score", "hfi", "hfi.taesd", "hfi.owner/model", "rdd", "label", "error", "schema", "width", "height",
        "file_bytes", "jpeg_quality", "exif_orientation", "format", "mode", "sha256", "texture", "details", "notes",
        "run",
    ]  # fmt: skip
    judged = list(columns_of(dataclasses.replace(RUN, calibration="0f")))
    assert judged[6:14] == [
        "verdict", "combined", "p_value", "probability", "stratum", "threshold", "family", "decoder"
    ]  # fmt: skip
    assert judged[:6] + judged[14:] == plain


def test_complete_rows_of_the_same_run_are_reused(tmp_path):
    path = tmp_path / "out.jsonl"
    write(path, row("a.png"), row("b.png"), row("c.png", error="E: x"))
    with Journal(path, RUN) as journal:
        journal.reuse(lambda row: row.path != "b.png")
        assert journal.done == {"a.png"} and [row.path for row in journal.rows()] == ["a.png"]
    (tmp_path / "out.jsonl.partial").unlink()
    with Journal(path, OTHER) as journal:
        journal.reuse(lambda row: True)
        assert journal.done == set()


def test_entries_of_other_kinds_are_lines_too(tmp_path):
    path = tmp_path / "measured.jsonl"
    with PartialFile(path, {"run": "abc"}) as journal:
        journal.write({"path": "a.png", "width": 3})
    with PartialFile(path, {"run": "abc"}) as journal:
        assert journal.done == {"a.png"}
        journal.finish()
    assert read_jsonl(path) == [{"path": "a.png", "width": 3}]
