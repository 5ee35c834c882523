import csv
import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import read_jsonl

from recon_detect import Provenance, Row, RunInfo, Source, find_sources
from recon_detect.answers import answer_of
from recon_detect.errors import UsageError
from recon_detect.names import path_of
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
    assert read_jsonl(tmp_path / "out.jsonl") == [
        entry.to_dict(RUN.fingerprint) | {"answer": json.loads(json.dumps(answer_of(entry, RUN).to_dict()))}
        for entry in rows
    ]
    counts = {"images": 2, "failed": 1, "likely_generated": 0}
    description = json.loads((tmp_path / "out.jsonl.run.json").read_text())
    assert (tmp_path / description.pop("folder")).resolve() == Path.cwd()
    assert description == json.loads(json.dumps(RUN.to_dict() | counts))
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
    (tmp_path / "out.csv.partial").write_text(json.dumps(RUN.to_dict())[:40])
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
        "path", "score", "hfi", "hfi.taesd", "hfi.owner/model", "rdd", "answer", "headline", "one_in", "label",
        "error", "schema", "width", "height", "file_bytes", "jpeg_quality", "exif_orientation", "format", "mode",
        "sha256", "phash", "texture", "details",
        "notes", "run",
    ]  # fmt: skip
    judged = list(columns_of(dataclasses.replace(RUN, calibration="0f")))
    assert judged[9:17] == [
        "verdict", "combined", "p_value", "probability", "stratum", "threshold", "family", "decoder"
    ]  # fmt: skip
    assert judged[:9] + judged[17:] == plain


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


def sources(folder, *names):
    for name in names:
        if not (folder / name).exists():
            (folder / name).write_text(name)
    return [Source(folder / name, str(folder / name)) for name in names]


def filled(path, images, **options):
    """A journal that was left with a row for each image."""
    with Journal(path, RUN, **options) as journal:
        for image in images:
            assert journal.lacks(image)
            journal.add(row(image.id))


def test_only_rows_of_the_present_images_are_used(tmp_path):
    path = tmp_path / "out.jsonl"
    first, changed, gone = sources(tmp_path, "a.png", "b.png", "c.png")
    filled(path, (first, changed, gone))
    os.utime(changed.image, ns=(0, 5))
    with Journal(path, RUN) as journal:
        new = sources(tmp_path, "0.png")[0]
        assert [journal.lacks(image) for image in (new, first, changed)] == [True, False, True]
        assert (journal.changed, journal.left_out) == (1, 1)
        journal.add(row(changed.id, 7.0))
        journal.add(row(new.id))
        journal.finish()
    # In the order of the input.
    assert [(entry["path"], entry["score"]) for entry in read_jsonl(path)] == [
        (new.id, -0.5), (first.id, -0.5), (changed.id, 7.0)
    ]  # fmt: skip
    assert "file" not in read_jsonl(path)[0]


def test_a_missing_file_is_tried_again_when_it_is_there(tmp_path):
    image = Source(tmp_path / "a.png", str(tmp_path / "a.png"))
    filled(tmp_path / "out.csv", [image])
    with Journal(tmp_path / "out.csv", RUN) as journal:
        assert not journal.lacks(image)
        image.image.write_text("now")
        assert journal.lacks(image)


def test_rows_of_earlier_versions_know_no_files(tmp_path):
    path = tmp_path / "out.jsonl"
    image = sources(tmp_path, "a.png")[0]
    with Journal(path, RUN) as journal:
        journal.add(row(image.id))
    with Journal(path, RUN, limits={"max_pixels": 5}) as journal:
        assert not journal.lacks(image)


def test_other_limits_are_not_mixed(tmp_path):
    path, images = tmp_path / "out.jsonl", sources(tmp_path, "a.png")
    filled(path, images, limits={"max_pixels": 5})
    with pytest.raises(UsageError, match="with other limits"), Journal(path, RUN, limits={"max_pixels": 6}):
        pass
    with Journal(path, RUN, limits={"max_pixels": 5}) as journal:
        assert not journal.lacks(images[0])


def test_complete_results_are_known_and_others_refused(tmp_path):
    path, images = tmp_path / "out.csv", sources(tmp_path, "a.png", "b.png")
    filled(path, images)
    with Journal(path, RUN) as journal:
        assert journal.finished(images) is None and not any(map(journal.lacks, images))
        journal.finish()
    with Journal(path, RUN) as journal:
        assert journal.finished(images)["images"] == 2
        with pytest.raises(UsageError, match=r"results of other images.*--overwrite"):
            journal.finished(images[:1])
        os.utime(images[0].image, ns=(0, 5))
        with pytest.raises(UsageError, match="files that have changed"):
            journal.finished(images)
    others = {
        "another configuration": Journal(path, OTHER),
        "limits": Journal(path, RUN, limits={"a": 1}),
        "other cells": Journal(path, RUN, csv_safe=True),
    }
    for what, other in others.items():
        with other as journal, pytest.raises(UsageError, match=what):
            journal.finished(images)
    (tmp_path / "out.csv.run.json").unlink()
    with Journal(path, RUN) as journal, pytest.raises(UsageError, match="another file"):
        journal.finished(images)
    assert not (tmp_path / "out.csv.partial").exists()


def test_a_run_that_was_killed_while_it_moved_its_results_into_place_ends(tmp_path):
    path, images = tmp_path / "out.jsonl", sources(tmp_path, "a.png")
    filled(path, images)
    path.write_text("complete, but without a description")
    with Journal(path, RUN) as journal:
        assert journal.finished(images) is None and not journal.lacks(images[0])
        journal.finish()
    assert len(read_jsonl(path)) == 1


@pytest.mark.parametrize("damage", [b"\xff\xfe\n", b"{}\n", b"[" * 100_000 + b"\n", b'{"path": "b.png"}\n', b"\0\0\n"])
def test_a_damaged_line_costs_one_image_and_is_reported(tmp_path, caplog, damage):
    path = tmp_path / "out.jsonl"
    with Journal(path, RUN) as journal:
        for name in "abc":
            journal.add(row(name))
    partial = tmp_path / "out.jsonl.partial"
    lines = partial.read_bytes().splitlines(keepends=True)
    partial.write_bytes(b"".join((*lines[:2], damage, *lines[3:])))
    with Journal(path, RUN) as journal:
        assert journal.done == {"a", "c"}
        assert [entry["path"] for entry in journal.entries()] == ["a", "c"]
        journal.add(row("b"))
        journal.finish()
    assert caplog.messages == [f"{partial}: 1 damaged lines (the first is line 3); their images are scored again"]
    assert [entry["path"] for entry in read_jsonl(path)] == ["a", "c", "b"]


@pytest.mark.parametrize(
    "content", [b"my notes\n", b"my notes", b"\x89PNG\r\n\xff", b'["a"]\n', b"\n", b'{"path": 1}\n']
)
@pytest.mark.parametrize("resume", [True, False])
def test_a_file_of_something_else_is_left_alone(tmp_path, content, resume):
    partial = tmp_path / "out.jsonl.partial"
    partial.write_bytes(content)
    with pytest.raises(UsageError, match="got another file"), Journal(tmp_path / "out.jsonl", RUN, resume=resume):
        pass
    assert partial.read_bytes() == content and [*tmp_path.iterdir()] == [partial]


def test_of_two_writers_the_second_is_refused_and_a_killed_one_blocks_nobody(tmp_path):
    path = tmp_path / "out.csv"
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom recon_detect.output.lock import Lock\n"
        "with Lock(Path(sys.argv[1])):\n print('locked', flush=True)\n time.sleep(600)"
    )
    other = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(UsageError, match=f"process {other.pid} is writing it"), Journal(path, RUN):
            pass
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate()
    assert (tmp_path / ".out.csv.lock").exists()
    with Journal(path, RUN) as journal:
        with pytest.raises(UsageError, match=f"process {os.getpid()} is writing it"), Journal(path, RUN):
            pass
        journal.finish()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.csv", "out.csv.run.json"]


def test_a_full_disk_costs_no_row(tmp_path):
    """A limit on the size of files stands for it: the write fails in the same way."""
    path, images = tmp_path / "out.jsonl", sources(tmp_path, *(f"{number}.png" for number in range(9)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    written = []
    try:
        with pytest.raises(OSError, match="large"), Journal(path, RUN) as journal:
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
            for image in images:
                journal.lacks(image)
                journal.add(row(image.id))
                written.append(image.id)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert 1 < len(written) < 9
    with Journal(path, RUN) as journal:
        assert [*journal.done] == written
        for image in images:
            if journal.lacks(image):
                journal.add(row(image.id))
        journal.finish()
    assert [entry["path"] for entry in read_jsonl(path)] == [image.id for image in images]


def test_names_that_are_not_utf8_go_into_every_format_and_come_back(tmp_path):
    names = ["\udce9\udcff.png", r"C:\xab.png", "a\x1b]0;t\x07\u202e\x9b.png"]
    for suffix in ("jsonl", "csv", "parquet"):
        write(tmp_path / f"out.{suffix}", *map(row, names))
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        columns = [[entry["path"] for entry in csv.DictReader(file)]]
    columns += [[entry["path"] for entry in read_jsonl(tmp_path / "out.jsonl")]]
    columns += [pq.read_table(tmp_path / "out.parquet")["path"].to_pylist()]
    assert columns[0] == columns[1] == columns[2] and columns[0][0] == r"\xe9\xff.png"
    assert [path_of(path) for path in columns[0]] == names
    assert (tmp_path / "out.jsonl").read_text().replace("\n", "").isprintable()


def test_what_a_method_says_in_odd_characters_is_written(tmp_path):
    odd = dataclasses.replace(row("a.png"), notes=("\udcff",), error="\udcff", label="\udcff")
    odd.scores["rdd"].details["text"] = "\udcff"
    for suffix in ("jsonl", "csv", "parquet"):
        write(tmp_path / f"out.{suffix}", odd)
    assert pq.read_table(tmp_path / "out.parquet")["notes"].to_pylist() == [r"\udcff"]
    assert read_jsonl(tmp_path / "out.jsonl")[0]["notes"] == ["\udcff"]


def test_cells_that_a_spreadsheet_would_run_are_text_where_that_is_asked_for(tmp_path):
    names = ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "a=1"]
    for safe in (False, True):
        with Journal(tmp_path / "out.csv", RUN, csv_safe=safe) as journal:
            for name in names:
                journal.add(row(name))
            journal.finish()
        with (tmp_path / "out.csv").open(newline="") as file:
            entries = list(csv.DictReader(file))
        expected = [f"'{name}" for name in names[:-1]] + names[-1:] if safe else names
        assert [entry["path"] for entry in entries] == expected
        assert {entry["score"] for entry in entries} == {"-0.5"}


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_paths_of_an_output_are_read_back_from_where_it_lies(tmp_path, monkeypatch, name):
    images = tmp_path / "set" / "a.png", tmp_path / "set" / "b.png"
    images[0].parent.mkdir()
    for image in images:
        image.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    sources = [Source(Path(path), path) for path in ("set/a.png", "set/b.png")]
    with Journal(Path("results", name), RUN) as journal:
        for index, source in enumerate(sources):
            assert journal.lacks(source)
            journal.add(Row(index, source.id))
        journal.finish()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = [Path(source.id).resolve() for source in find_sources([Path("..", "results", name)])]
    assert again == [image.resolve() for image in images]
