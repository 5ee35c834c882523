"""``recon-detect run`` and ``status``."""

import json
import os
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import read_jsonl
from PIL import Image

from recon_detect.cli import NO_SPACE, SOME_FAILED
from recon_detect.output.journal import Journal

IMAGES = 5


@pytest.fixture
def photos(tmp_path, picture):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(IMAGES):
        Image.fromarray(picture(16, 16, seed=number)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def run(cli, method_file, photos, tmp_path):
    def command(*arguments, source=photos, **others):
        options = ["--method", f"{method_file}:METHOD", "--device", "cpu", "--images-per-shard", 2]
        return cli("run", source, tmp_path / "out", *options, *arguments, **others)

    return command


def names(folder):
    return {path.name for path in folder.iterdir()}


def paths(folder):
    files = sorted(folder.glob("*.parquet"))
    return [[path.rpartition("/")[2] for path in pq.read_table(file)["path"].to_pylist()] for file in files]


def test_a_run_has_shards_a_log_and_a_manifest(run, cli, photos, tmp_path):
    done, folder = run(), tmp_path / "out"
    assert "3 of 3 shards complete: 5 images, 0 failed, 0 likely generated" in done.err
    assert paths(folder) == [["0.png", "1.png"], ["2.png", "3.png"], ["4.png"]]
    events = read_jsonl(folder / "log-0.jsonl")
    assert [event["event"] for event in events] == ["begin", "shard", "shard", "shard", "end"]
    assert [event["images"] for event in events[1:4]] == [2, 2, 1] and events[1]["source"] == f"{photos}/0.png"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["images"], manifest["failed"], manifest["shards"]) == (5, 0, 3)
    assert [file["file"] for file in manifest["files"]] == ["000000.parquet", "000001.parquet", "000002.parquet"]
    assert manifest["detector"]["methods"][0]["name"] == "roughness" and manifest["paths"] == [str(photos)]
    status = json.loads(cli("status", folder).out)
    assert status == {
        "shards": 3, "complete": 3, "images": 5, "failed": 0, "likely_generated": 0, "in_progress": {}
    }  # fmt: skip


def test_the_effort_is_that_of_score(cli, photos, tmp_path):
    nulls = {}
    for effort in ("quick", "thorough"):
        cli("run", photos, tmp_path / effort, "--method", "trace", "--effort", effort, "--device", "cpu")
        nulls[effort] = json.loads((tmp_path / effort / "manifest.json").read_text())["detector"]["methods"][0]["null"]
        score = cli("score", photos / "0.png", "--method", "trace", "--effort", effort, "--device", "cpu")
        assert json.loads(score.out)["run"] == pq.read_table(tmp_path / effort / "000000.parquet")["run"][0].as_py()
    assert nulls["quick"] != nulls["thorough"]
    assert "effort" in cli("run", photos, tmp_path / "x", "--method", "trace", "--effort", "much", code=2).err


def test_a_complete_run_is_left_as_it_is(run, tmp_path):
    run()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.parquet*")}
    assert "0 of 3 shards are left" in run().err
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_run_goes_on_after_the_rows_that_are_there(run, cli, tmp_path, monkeypatch):
    add, rows = Journal.add, []

    def full_after_three(self, row):
        if len(rows) == 3:
            raise OSError(28, "No space left on device")
        rows.append(row)
        add(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", full_after_three)
        done = run(code=NO_SPACE)
    assert "No space left on device; the same command resumes" in done.err
    status = json.loads(cli("status", tmp_path / "out").out)
    assert (status["complete"], status["images"], status["in_progress"]) == (1, 2, {"000001.parquet": 1})
    assert not (tmp_path / "out" / "manifest.json").exists()
    monkeypatch.setattr(Journal, "add", lambda self, row: (rows.append(row), add(self, row)))
    run()
    assert [row.path.rpartition("/")[2] for row in rows] == [f"{number}.png" for number in range(IMAGES)]
    assert paths(tmp_path / "out") == [["0.png", "1.png"], ["2.png", "3.png"], ["4.png"]]
    assert "stop" in [event["event"] for event in read_jsonl(tmp_path / "out" / "log-0.jsonl")]


def test_what_a_process_leaves_that_is_killed_at_its_last_step_is_tidied_up(run, tmp_path, monkeypatch):
    """The first shard is in its place, and its journal and its lock are there still."""
    unlink, folder = Path.unlink, tmp_path / "out"

    def killed(self, missing_ok=False):
        if self.suffix == ".partial":
            raise KeyboardInterrupt
        unlink(self, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        run(code=130)
    (folder / ".000000.parquet.lock").touch()
    assert {"000000.parquet", "000000.parquet.run.json", "000000.parquet.partial"} <= names(folder)
    run()
    assert not [name for name in names(folder) if name.endswith((".partial", ".lock"))]
    assert paths(folder) == [["0.png", "1.png"], ["2.png", "3.png"], ["4.png"]]


def test_other_settings_or_images_are_refused(run, photos, tmp_path):
    run()
    assert "a run of other limits" in run("--max-pixels", 1000, code=2).err
    assert "a run of another configuration" in run("--exif-orientation", code=2).err
    assert "a run of other images or --images-per-shard" in run("--images-per-shard", 3, code=2).err
    os.utime(photos / "0.png", (1, 1))
    assert "files that have changed" in run(code=2).err


def test_images_that_fail_are_counted(run, photos):
    (photos / "9.png").write_bytes(b"broken")
    assert "6 images, 1 failed" in run(code=SOME_FAILED).err


def test_a_destination_among_the_images_is_refused(cli, photos):
    assert "inside of" in cli("run", photos, photos / "out", code=2).err


def test_a_destination_that_cannot_be_written_is_refused(run, tmp_path):
    (tmp_path / "out").write_text("a file")
    assert "expected a folder" in run(code=2).err


def test_status_of_something_else(cli, tmp_path):
    assert "expected the destination of a run" in cli("status", tmp_path, code=2).err


@pytest.mark.parametrize("content", ["{}", "[]", '{"shards": "x"}'])
def test_status_of_a_file_of_another_program(content, cli, tmp_path):
    (tmp_path / "run.json").write_text(content)
    assert "expected the destination of a run" in cli("status", tmp_path, code=2).err
    assert "expected the destination of a run" in cli("status", tmp_path / "run.json", code=2).err


def test_a_shard_whose_description_is_of_something_else_is_not_complete(run, cli, tmp_path):
    run()
    (tmp_path / "out" / "000001.parquet.run.json").write_text('{"run": "x"}')
    assert json.loads(cli("status", tmp_path / "out").out)["complete"] == 2


def test_a_destination_with_parquet_files_of_something_else_is_refused(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train.parquet").write_bytes(b"data")
    assert "train.parquet is not of a run; choose another destination" in run(code=2).err
    assert names(tmp_path / "out") == {"train.parquet"}


def test_an_empty_path_is_refused(run):
    assert "expected a path; got an empty one" in run(source="", code=2).err


def test_each_rank_takes_its_share(run, cli, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, complete in ((0, 2), (1, 3)):
        monkeypatch.setenv("RANK", str(rank))
        run()
        assert json.loads(cli("status", tmp_path / "out").out)["complete"] == complete
        assert (tmp_path / "out" / "manifest.json").exists() == (rank == 1)
    logs = [[event.get("file") for event in read_jsonl(tmp_path / "out" / f"log-{rank}.jsonl")] for rank in (0, 1)]
    assert logs == [[None, "000000.parquet", "000002.parquet", None], [None, "000001.parquet", None]]


def test_score_takes_an_archive_like_a_folder(cli, photos, method_file, tmp_path):
    archive, output = tmp_path / "photos.tar", tmp_path / "out.jsonl"
    with tarfile.open(archive, "w") as file:
        file.add(photos, ".")
    command = ["score", archive, "--method", f"{method_file}:METHOD", "--device", "cpu", "-o", output]
    cli(*command)
    rows = read_jsonl(output)
    assert sorted(row["path"] for row in rows) == [f"{archive}/{number}.png" for number in range(IMAGES)]
    assert "already complete" in cli(*command).err
    os.utime(archive, (1, 1))
    assert "files that have changed" in cli(*command, code=2).err
