"""How commands end: exit codes, signals, pipes, outputs that cannot be written, names that nobody expects."""

import csv
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import read_jsonl
from PIL import Image

from recon_detect.cli import CLOSED_PIPE, INTERNAL, NO_SPACE, main
from recon_detect.detector import Detector
from recon_detect.names import path_of
from recon_detect.output import Journal
from recon_detect.rows import rows_of

COMMAND = [sys.executable, "-m", "recon_detect"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def options(tiny_model):
    return ["--method", "aeroblade", "--models", tiny_model, "--distance", "l2", "--device", "cpu"]


@pytest.fixture
def score(cli, options):
    """Runs `score` with a small random model."""

    def run(*arguments, **others):
        return cli("score", *arguments, *options, **others)

    return run


@pytest.fixture
def photos(folder_of):
    return folder_of(3)


def test_an_internal_error_names_the_image_and_has_a_code_of_its_own(score, cli, photos, monkeypatch, options):
    def broken(self, row, kind, show):
        if row.path.endswith("1.png"):
            raise KeyError("\x1b[2Jno such thing")

    monkeypatch.setattr("recon_detect.cli.tables.Tally.add", broken)
    done = score(photos, code=INTERNAL)
    (line,) = [line for line in done.err.splitlines() if line.startswith("recon-detect:")]
    assert f"internal error in score at {photos}/1.png: KeyError: " in line and "please report it" in line
    assert "Traceback" not in done.err and "\x1b" not in done.err
    assert "Traceback" in cli("--debug", "score", photos, *options, code=INTERNAL).err
    monkeypatch.setenv("RECON_DETECT_DEBUG", "1")
    assert "Traceback" in score(photos, code=INTERNAL).err
    assert logging.getLogger("recon_detect").level == logging.NOTSET


def test_a_closed_pipe_ends_quietly(tmp_path):
    """`| head` closes it after a line; here it is closed before the first."""
    reader, writer = os.pipe()
    os.close(reader)
    for arguments in (["--version"], ["models", "list"], ["--help"]):
        done = subprocess.run([*COMMAND, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stderr) == (CLOSED_PIPE, "")
    os.close(writer)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_disk_behind_the_pipe_is_told_in_a_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, "--version"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (NO_SPACE, "recon-detect: No space left on device\n")


def test_a_disk_that_fills_up_keeps_the_journal_and_the_same_command_resumes(score, photos, tmp_path, monkeypatch):
    output = tmp_path / "out.csv"
    add = Journal.add

    def at_most(self, row):
        if row.path.endswith("1.png"):
            raise OSError(28, "No space left on device")
        add(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", at_most)
        done = score(photos, "-o", output, "-q", code=NO_SPACE)
    assert done.err == f"recon-detect: No space left on device; the same command resumes {output}\n"
    assert not output.exists()
    assert "1 of 3 images are done already" in score(photos, "-o", output).err
    assert len(output.read_text().splitlines()) == 4


@pytest.mark.parametrize("name", ["SIGTERM", pytest.param("SIGHUP", marks=pytest.mark.slow)])
def test_signals_end_like_an_interrupt(name, photos, options, tmp_path):
    number = getattr(signal, name)
    for copy in range(300):
        Image.open(photos / "0.png").save(photos / f"more{copy}.png")
    output = tmp_path / "out.jsonl"
    command = [*COMMAND, "score", photos, *options, "--batch-size", "1", "-o", output]
    heeding = {"preexec_fn": lambda: [signal.signal(s, signal.SIG_DFL) for s in (signal.SIGTERM, signal.SIGHUP)]}
    partial = tmp_path / "out.jsonl.partial"
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True, cwd=ROOT, **heeding) as process:
        deadline = time.monotonic() + 300
        while not partial.exists() or partial.read_bytes().count(b"\n") < 4:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.002)
        process.send_signal(number)
        _, stderr = process.communicate()
    assert process.returncode == 128 + number, stderr
    assert f"interrupted; the same command resumes {output}" in stderr and "Traceback" not in stderr
    assert all(json.loads(line) for line in partial.read_text().splitlines())
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_names_that_are_not_utf8_and_would_move_the_cursor_are_one_row_each(score, tmp_path, picture):
    folder = tmp_path / "odd"
    folder.mkdir()
    names = ["\udce9.png", "b\x1b]0;title\x07\u202e\x9b.png", "c\udcff_broken.png", "絵" * 80 + ".png"]
    for name in names[:2] + names[3:]:
        Image.fromarray(picture(16, 16)).save(folder / "x.png")
        (folder / "x.png").rename(folder / name)
    (folder / names[2]).write_bytes(b"no image")
    for suffix in ("jsonl", "csv", "parquet"):
        output = tmp_path / f"out.{suffix}"
        done = score(folder, "-o", output, "--maps", tmp_path / "maps", code=3)
        assert "4 images, 1 failed" in done.err
        if suffix == "jsonl":
            paths = [row["path"] for row in read_jsonl(output)]
        elif suffix == "csv":
            with output.open(newline="", encoding="utf-8") as file:
                paths = [row["path"] for row in csv.DictReader(file)]
        else:
            paths = pq.read_table(output)["path"].to_pylist()
        assert sorted(map(path_of, paths)) == sorted(str(folder / name) for name in names)
        assert all(Path(path_of(path)).is_file() for path in paths)
    assert len(list((tmp_path / "maps").iterdir())) == 3
    lines = score(folder, code=3).out.splitlines()
    assert len(lines) == 4 and all(line.isprintable() and json.loads(line)["path"] for line in lines)
    # What an output says can be scored again: it is a manifest.
    again = score(tmp_path / "out.csv", code=3)
    assert "4 images, 1 failed" in again.err and len(again.out.splitlines()) == 4


def test_json_lines_are_utf8_whatever_the_locale_says(options, tmp_path, picture, monkeypatch):
    Image.fromarray(picture(16, 16)).save(tmp_path / "ä絵.png")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["recon-detect", "score", *map(str, (tmp_path / "ä絵.png", *options))])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert json.loads(stream.buffer.getvalue().decode("utf-8"))["path"] == str(tmp_path / "ä絵.png")


def test_what_a_terminal_would_obey_is_escaped_in_tables_and_messages(score, tmp_path, picture, monkeypatch):
    evil = "b\x1b]0;title\x07\u202e\x9b"
    folder = tmp_path / evil
    folder.mkdir()
    Image.fromarray(picture(16, 16)).save(folder / f"{evil}.png")
    (folder / f"broken{evil}.png").write_bytes(b"no image")
    (folder / f"a.{evil}").write_bytes(b"left out, with a warning")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "1000")
    for done in (score(folder, "-o", folder / "out.csv", code=3), score(folder / "empty\x1b]*.png", code=2)):
        # The table itself has ESC [ for its style.
        assert not set(done.out + done.err) & set("\x07\x9b\u202e") and "\x1b]" not in done.out + done.err
    assert r"b\x1b]0;title\x07\u202e\x9b.png" in score(folder, code=3).out


@pytest.mark.parametrize("make", [
    lambda folder: folder,  # a folder
    lambda folder: folder / "0.png" / "out.csv",  # a file above it
    lambda folder: folder / "0.png" / "below" / "out.csv",
    lambda folder: folder / ("x" * 250 + ".csv"),
    lambda folder: folder / ("x" * 252 + ".csv"),
    lambda folder: Path("/proc/self/out.csv"),  # where nobody may write, root included
])  # fmt: skip
def test_outputs_that_cannot_be_written_are_refused_before_anything_is_scored(cli, photos, make, monkeypatch, options):
    monkeypatch.setattr(Detector, "__init__", lambda *_: pytest.fail("loaded"))
    output = make(photos)
    if not output.suffix:
        output = output.rename(output.with_suffix(".csv"))
    is_folder = os.path.isdir(output)  # noqa: PTH112 - Path raises on over-long names
    paths = output if is_folder else photos
    before = sorted(paths.rglob("*"))
    errors = [cli("score", paths, *options, "-o", output, code=2).err]
    errors += [cli("calibrate", "--real", paths, *options, "-o", output.with_suffix(".csv"), code=2).err]
    errors += [cli("audit", "--real", paths, "--generated", paths, "-o", output, code=2).err]
    if not is_folder and "x" not in output.name:
        errors += [cli("score", paths, *options, "--maps", output, code=2).err]
        errors += [cli("reconstruct", paths, "--models", "mini-ddpm", "-o", output, code=2).err]
    for error in errors:
        assert error.startswith(f"recon-detect: {output.parent if output.suffix else output}"[:30]), error
        assert error.count("\n") == 1 and "Traceback" not in error
    assert sorted(paths.rglob("*")) == before


def test_a_folder_in_the_place_of_the_description_is_found_before_anything_is_scored(cli, photos, monkeypatch, options):
    monkeypatch.setattr(Detector, "__init__", lambda *_: pytest.fail("loaded"))
    (photos / "out.csv.run.json").mkdir()
    assert "out.csv.run.json: a folder" in cli("score", photos, *options, "-o", photos / "out.csv", code=2).err
    (photos / "out.csv-metadata.json").mkdir()
    done = cli("audit", "--real", photos, "--generated", photos, "-o", photos / "out.csv", code=2)
    assert "out.csv-metadata.json: a folder" in done.err


def test_paths_and_models_that_cannot_be(score, cli, photos):
    assert "got an empty one" in score("", code=2).err
    done = cli("score", photos, "--method", "hfi", "--models", "../no-such-folder", code=2)
    assert "unknown model '../no-such-folder'" in done.err and done.err.count("\n") == 1


def test_complete_results_are_not_scored_again_nor_replaced(score, photos, tmp_path, monkeypatch):
    (photos / "broken.png").write_bytes(b"")
    output = tmp_path / "out.csv"
    score(photos, "-o", output, code=3)
    content = output.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("recon_detect.detector.rows_of", lambda *_, **__: pytest.fail("scored again"))
        assert "already complete: 4 images, 1 failed" in score(photos, "-o", output, code=3).err
        assert "results of other images" in score(photos / "0.png", "-o", output, code=2).err
        assert "with other limits" in score(photos, "-o", output, "--max-pixels", 9, code=2).err
        assert "3 maps are missing" in score(photos, "-o", output, "--maps", tmp_path / "maps", code=2).err
        assert "only .jsonl can be added to" in score(photos, "-o", output, "--retry-failed", code=2).err
    assert output.read_bytes() == content and sorted(tmp_path.glob("out*")) == [output, tmp_path / "out.csv.run.json"]
    score(photos, "-o", output, "--overwrite", "--max-pixels", 9, code=3)
    with output.open(newline="") as file:
        assert all("limit" in row["error"] or "broken" in row["path"] for row in csv.DictReader(file))
    assert "belong to --output" in score(photos, "--overwrite", code=2).err
    assert "belongs to --output NAME.csv" in score(photos, "--csv-safe", "-o", tmp_path / "a.jsonl", code=2).err


def test_what_failed_is_tried_again_where_that_is_asked_for(score, photos, tmp_path, monkeypatch):
    broken, output = photos / "1.png", tmp_path / "out.jsonl"
    scored = []

    def out_of_memory(methods, evidence, items, *, maps):
        if str(broken) in [item.source.id for item in items]:
            raise MemoryError
        return rows_of(methods, evidence, items, maps=maps)

    def noting(methods, evidence, items, *, maps):
        scored.extend(item.source.id for item in items)
        return rows_of(methods, evidence, items, maps=maps)

    with monkeypatch.context() as patch:
        patch.setattr("recon_detect.detector.rows_of", out_of_memory)
        score(photos, "-o", output, code=3)
    assert "1 failed" in score(photos, "-o", output, code=3).err
    monkeypatch.setattr("recon_detect.detector.rows_of", noting)
    assert "2 of 3 images are done already" in score(photos, "-o", output, "--retry-failed").err
    assert scored == [str(broken)]
    assert [(row["path"][-5:], row["error"]) for row in read_jsonl(output)] == [(f"{n}.png", None) for n in range(3)]


def test_rows_of_other_folders_and_changed_files_are_not_mixed_in(score, photos, picture, tmp_path, monkeypatch):
    output, other = tmp_path / "out.csv", tmp_path / "other"
    other.mkdir()
    for number in range(2):
        Image.fromarray(picture(16, 16, seed=9)).save(other / f"{number}.png")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "finish", lambda self, **_: (_ for _ in ()).throw(KeyboardInterrupt))
        score(other, photos, "-o", output, "--batch-size", 1, code=130)
    Image.fromarray(picture(16, 16, seed=77)).save(photos / "1.png")
    done = score(photos, "-o", output, "--batch-size", 1)
    assert "2 of 3 images are done already" in done.err
    assert "1 images are scored again: their files have changed" in done.err and "2 rows are left out" in done.err
    score(photos, "-o", tmp_path / "whole.csv", "--batch-size", 1)
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_map_that_a_kill_has_cost_is_made(score, photos, tmp_path, monkeypatch):
    output, maps = tmp_path / "out.csv", tmp_path / "maps"
    with monkeypatch.context() as patch:
        patch.setattr("recon_detect.output.save_heatmap", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        score(photos, "-o", output, "--maps", maps, code=130)
    assert "have no map" in score(photos, "-o", output, "--maps", maps).err
    assert len(list(maps.iterdir())) == 3 and len(output.read_text().splitlines()) == 4


def test_files_that_broke_earlier_versions_have_a_row_each(cli, shared, tiny_model, tmp_path, options):
    cases = shared / "cases"
    if not cases.is_dir():
        pytest.skip("no folder of cases")
    names = sorted(path for path in cases.iterdir() if path.suffix != ".md")
    done = cli("score", cases, *options, "-o", tmp_path / "out.jsonl", code=3)
    rows = read_jsonl(tmp_path / "out.jsonl")
    assert [row["path"] for row in rows] == list(map(str, names)) and "Traceback" not in done.err
    assert [Path(row["path"]).name for row in rows if row["error"]] == ["truncated.png"]
