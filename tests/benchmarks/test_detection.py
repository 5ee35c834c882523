import csv
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks import detection
from benchmarks.common import sampling
from benchmarks.common.data import read_table
from benchmarks.common.scores import read_journal
from benchmarks.report.report import accompany


@pytest.fixture
def data(tmp_path, picture):
    """Five photographs and four generated images; one is too small."""
    folder = tmp_path / "set"
    folder.mkdir()
    rows = []
    for number in range(9):
        Image.fromarray(picture(40, 40, seed=number)).save(folder / f"{number}.png")
        label = "generated" if number % 2 else "real"
        rows.append({"path": f"{number}.png", "label": label, "generator": f"g{number % 4}", "autoencoder": "A"})
    write_manifest(folder, [*rows, rows[0] | {"path": "small.png", "width": 16}])
    return folder


def write_manifest(folder, rows):
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "generator", "autoencoder", "width", "height"])
        writer.writeheader()
        writer.writerows({"width": 40, "height": 40} | row for row in rows)


@pytest.fixture
def run(data, tiny_model, monkeypatch, tmp_path):
    """Runs the benchmark; gives the bytes of the table, and how many images were computed for it."""
    computed = []
    stream = detection.load_detector.__globals__["Detector"].stream

    def counted(self, images, **options):
        images = list(images)
        computed.append(len(images))
        return stream(self, images, **options)

    monkeypatch.setattr("recon_detect.detector.Detector.stream", counted)
    # Drawing the page takes longer than everything else; one test does.
    monkeypatch.setattr(detection, "accompany", lambda table, data: None)

    def benchmark(*arguments, output=tmp_path / "out.csv", methods="aeroblade,contrast"):
        fixed = ["--data", str(data), "--models", str(tiny_model), "--distance", "l2", "--crop", "32"]
        fixed += ["--methods", methods, "--device", "cpu", *(["--output", str(output)] if output else [])]
        monkeypatch.setattr(sys, "argv", ["detection", *fixed, *arguments])
        computed.clear()
        detection.main()
        return read_table(output) if output else None, sum(computed)

    return benchmark


def test_a_run_to_the_end(run, tmp_path, monkeypatch):
    monkeypatch.setattr(detection, "accompany", accompany)
    content, computed = run("--encoding", "jpeg-75")
    conditions, lines = content
    assert computed == 9
    assert "set, centre crop of 32 px" in conditions and "1 smaller images left out, 0 failed" in conditions
    assert "jpeg-75" in conditions and "5% false positives with 95% confidence" in conditions
    found = {line["group"]: line for line in lines if line["method"] == "contrast"}
    assert list(found) == ["all", "autoencoder: A", "generator: g1", "generator: g3"]
    assert found["all"]["real"] == "5" and found["all"]["generated"] == "4"
    assert found["all"]["balanced_accuracy_at_threshold"] == ""  # of five photographs
    assert len(lines) == 2 * len(found)
    page = (tmp_path / "out.html").read_bytes()
    assert run("--encoding", "jpeg-75") == (content, 0) and (tmp_path / "out.html").read_bytes() == page


@pytest.mark.parametrize("batch", ["1", "4"])
def test_a_journal_cut_anywhere_gives_the_same_table(run, tmp_path, batch):
    """A killed process leaves the journal as it was at some byte."""
    whole, _ = run("--batch-size", batch)
    journal = tmp_path / "out.scores.jsonl.partial"
    content = journal.read_bytes()
    for cut in np.random.default_rng(0).integers(0, len(content), 4):
        journal.write_bytes(content[:cut])
        again, computed = run("--batch-size", batch)
        assert again == whole and 0 < computed <= 9
        assert sorted(r["path"] for r in read_journal(journal)[1]) == sorted(f"{n}.png" for n in range(9))


def test_images_are_known_by_content(run, data, tmp_path, picture):
    whole, _ = run()
    manifest = data / "manifest.csv"
    shutil.move(data / "3.png", data / "moved.png")
    manifest.write_text(manifest.read_text().replace("3.png", "moved.png"))
    assert run() == (whole, 0)
    Image.open(data / "5.png").save(data / "other.bmp")
    manifest.write_text(manifest.read_text().replace("5.png", "other.bmp"))
    assert run() == (whole, 0)
    before = (data / "7.png").read_bytes()
    Image.fromarray(picture(40, 40, seed=99)).save(data / "7.png")
    changed, computed = run()
    assert changed != whole and computed == 1
    (data / "7.png").write_bytes(before)
    assert run() == (whole, 0)
    last = {row["path"]: row for row in read_journal(tmp_path / "out.scores.jsonl.partial")[1]}
    assert {"moved.png", "other.bmp"} < set(last)
    assert last["moved.png"]["scores"] == last["3.png"]["scores"]
    assert last["7.png"]["sha256"] not in {row["sha256"] for name, row in last.items() if name != "7.png"}


def test_larger_batches_are_computed_again_as_a_whole(run, data, picture):
    whole, computed = run("--batch-size", "4")
    assert computed == 9 and run("--batch-size", "4") == (whole, 0)
    Image.fromarray(picture(40, 40, seed=99)).save(data / "1.png")
    changed, computed = run("--batch-size", "4")
    assert changed != whole and computed == 4


def test_a_published_run_that_was_cut_starts_over(run, tmp_path, data, tiny_model):
    arguments = {"methods": "aeroblade"}
    whole, computed = run("--compat", "published", **arguments)
    assert computed == 9 and run("--compat", "published", **arguments) == (whole, 0)
    assert whole[1][0]["method"] == "aeroblade, as published"
    journal = tmp_path / "out.scores.jsonl.partial"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    assert run("--compat", "published", **arguments) == (whole, 9)


def test_a_broken_file_is_left_out_and_counted(run, data, tmp_path):
    (data / "3.png").write_bytes(b"not an image")
    content, _ = run()
    conditions, lines = content
    assert "1 failed" in conditions and lines[0]["generated"] == "3"
    (row,) = [row for row in read_journal(tmp_path / "out.scores.jsonl.partial")[1] if row["error"]]
    assert row["path"] == "3.png" and "UnreadableImage" in row["error"]


def test_a_sample_is_named_as_one_and_grows(run, tmp_path, monkeypatch):
    few, computed = run("--images", "4")
    conditions, lines = few
    assert computed == 4 and conditions.startswith("set (a sample of 4 of 9 images), centre crop")
    assert (lines[0]["real"], lines[0]["generated"]) == ("2", "2")
    grown, computed = run("--images", "all")
    assert computed == 5
    undisturbed, computed = run(output=tmp_path / "whole.csv")
    assert computed == 9 and grown == undisturbed and "a sample" not in grown[0]
    monkeypatch.setattr(detection, "SEARCHING", ("contrast",))
    monkeypatch.setattr(sampling, "SAMPLE", 6)
    assert "a sample of 6 of 9 images" in run()[0][0]


def test_results_of_a_sample_have_a_name_of_their_own(run, tmp_path, monkeypatch):
    monkeypatch.setattr(detection, "RESULTS", tmp_path / "results")
    written = []
    monkeypatch.setattr(detection, "accompany", lambda table, data: written.append(table.stem))
    for arguments in (), ("--images", "4"), ("--images", "9"):
        run(*arguments, output=None)
    assert written[1] == f"{written[0]}-4" and written[2] == written[0]
    assert written[0].startswith("detection-aeroblade+contrast-") and written[0].endswith("crop32-png-cpu")


def test_one_class_alone_is_an_error(run, data):
    manifest = data / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("generated", "real"))
    with pytest.raises(SystemExit, match="photographs and of generated"):
        run()


def test_a_folder_without_a_manifest_is_told_how_to_get_one(run, data):
    (data / "manifest.csv").unlink()
    with pytest.raises(SystemExit, match=r"benchmarks.datasets .*/set --output"):
        run()


def test_all_methods_are_those_of_autoencoders_each_by_one_name():
    every = set(detection.find_methods("all"))
    assert {"trace", "aeroblade"} <= every and not every & {"glance", "grain", "dire", "rigid", "rdd-latent"}
    assert detection.find_methods("dire,grain") == ["dire", "grain"]
