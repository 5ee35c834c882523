"""``recon-detect audit`` as a user's shell runs it."""

import json
import signal
import subprocess
import sys
import time

import pytest

from benchmarks.common.data import read_table
from recon_detect.audit import FEATURES, separation
from recon_detect.audit.matching import read_transform
from recon_detect.images.transform import Transform
from tests.audit.sets import jpeg, plant, png


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(separation, "_TREES", 10)


@pytest.fixture
def audit(cli):
    """Runs the command; returns what it printed as JSON, and its remarks."""

    def run(*arguments, **options):
        done = cli("audit", *arguments, **options)
        return (json.loads(done.out) if done.out else None), done.err

    return run


@pytest.mark.slow
def test_a_verdict_on_stderr_and_json_in_a_pipe(audit, tmp_path):
    found, said = audit(plant(tmp_path, jpeg, png))
    assert found["verdict"].startswith("This set can be solved by ") and found["verdict"] in said
    assert "24 photographs, 24 generated images, 0 failed" in said and "--match FOLDER writes" in said
    assert found["matched"] is None and found["findings"][0]["auroc"] == 1
    assert audit(tmp_path, "--quiet")[1] == ""


@pytest.mark.slow
def test_a_table_on_a_terminal(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    done = cli("audit", plant(tmp_path, jpeg, png))
    assert "measurement" in done.out and "solves the set" in done.out
    assert "the same in all images: " in done.out and "in too few of a class: JPEG quality" in done.out


@pytest.mark.slow
def test_tables_in_files(audit, tmp_path):
    folder = plant(tmp_path / "data", jpeg, png)
    for suffix in ("csv", "json"):
        audit(folder, "--output", tmp_path / f"out.{suffix}")
    conditions, lines = read_table(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().startswith("measurement,group,auroc")
    assert (
        conditions.startswith("data: This set can be solved") and "24 photographs and 24 generated images" in conditions
    )
    table = {line["measurement"]: line for line in lines}
    assert table["file format"]["shortcut"] == "solves the set" and table["file format"]["photographs"] == "JPEG 100%"
    assert json.loads((tmp_path / "out.json").read_text())["findings"] == [
        pytest.approx(finding) for finding in audit(folder)[0]["findings"]
    ]


def test_photographs_and_generated_images_from_two_places(audit, tmp_path):
    plant(tmp_path, jpeg, png)
    (tmp_path / "real").rename(tmp_path / "holidays")
    found, _ = audit("--real", tmp_path / "holidays", "--generated", tmp_path / "generated")
    assert found["findings"][0]["n"] == "24 + 24"


@pytest.mark.slow
def test_a_folder_with_a_manifest_is_read_by_it(audit, tmp_path):
    plant(tmp_path, jpeg, png)
    kept = sorted(tmp_path.glob("*/*"))[4:-4]
    lines = [json.dumps({"path": str(path.relative_to(tmp_path)), "label": path.parent.name}) for path in kept]
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    assert audit(tmp_path / "list.jsonl")[0]["findings"][0]["n"] == "20 + 20"
    (tmp_path / "manifest.csv").write_text("path,label\n" + "".join(f"{p},{p.parent.name}\n" for p in kept[2:-2]))
    assert audit(tmp_path)[0]["findings"][0]["n"] == "18 + 18"


def test_broken_images_are_rows_with_errors(audit, tmp_path):
    (plant(tmp_path / "data", png, png, count=6) / "real" / "broken.png").write_bytes(b"no image")
    measurements = tmp_path / "measured.jsonl"
    found, said = audit(tmp_path / "data", "--measurements", measurements, code=3)
    assert "1 failed" in said and "broken.png: UnreadableImage: not an image" in said
    assert list(found["errors"]) == [str(tmp_path / "data" / "real" / "broken.png")]
    rows = [json.loads(line) for line in measurements.read_text().splitlines()]
    assert len(rows) == 13 and sum(row["error"] is not None for row in rows) == 1
    assert {feature.name for feature in FEATURES} <= set(rows[0])


@pytest.mark.slow
def test_matching_removes_what_was_planted(audit, tmp_path):
    folder, out = plant(tmp_path / "data", jpeg, png), tmp_path / "matched"
    found, said = audit(folder, "--match", out, "--fail-on", "shortcut")
    assert found["verdict"].startswith("This set can be solved by")
    assert found["matched"]["verdict"].startswith("No shortcut found among") and found["matched"]["verdict"] in said
    assert f"benchmarks read it with --data {out} --crop 160 --encoding jpeg-90" in said
    assert read_transform(out / "transform.json") == Transform(160, "jpeg-90")
    assert read_table(out / "audit.csv")[0].startswith("data, matched: No shortcut found")
    assert not (out / "images").exists()


@pytest.mark.slow
def test_matched_images_are_written_and_can_be_audited(audit, tmp_path):
    folder, out = plant(tmp_path / "data", jpeg, png), tmp_path / "matched"
    arguments = ("--crop", 128, "--encoding", "jpeg-90", "--balance", "--write-images")
    found, said = audit(folder, "--match", out, *arguments)
    assert "--crop 0" in said and len(list((out / "images").glob("*/*.jpg"))) == 48
    again, _ = audit(out, "--fail-on", "shortcut")
    single = [{f["measurement"]: f["auroc"] for f in of["findings"] if f["group"] != "together"}
              for of in (found["matched"], again)]  # fmt: skip
    assert single[0] == single[1] and len(single[0]) > 5


@pytest.mark.slow
def test_a_shortcut_can_fail_a_pipeline(audit, tmp_path):
    folder = plant(tmp_path / "data", jpeg, png)
    audit(folder, "--fail-on", "shortcut", code=1)
    audit(folder, "--match", tmp_path / "png", "--encoding", "png", "--fail-on", "shortcut", code=1)
    audit(plant(tmp_path / "fair", png, png), "--fail-on", "shortcut")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected either a data set, or --real and --generated"),
        (("data", "--real", "data"), "expected either a data set, or --real and --generated"),
        (("--real", "data"), "expected either a data set, or --real and --generated"),
        (("--real", "data", "--generated", "gan=nowhere"), "nowhere: no such file or folder"),
        (("data", "--output", "a.txt"), "a.txt: expected a name that ends in .csv or .json"),
        (("data", "--measurements", "a.csv"), "a.csv: expected a name that ends in .jsonl"),
        (("data", "--write-images"), "belong to --match FOLDER"),
        (("data", "--crop", "64"), "belong to --match FOLDER"),
        (("data", "--match", "out", "--encoding", "gif"), "encoding 'gif': expected png, or jpeg or webp"),
        (("data", "--fail-on", "generated"), "expected 'shortcut'"),
        (("data/real",), "expected 5 or more readable images of each class; got 0 real and 0 generated"),
        (("nowhere",), "got 0 real and 0 generated"),
    ],
)
def test_wrong_usage(audit, tmp_path, monkeypatch, arguments, message):
    plant(tmp_path / "data", png, png, count=6)
    monkeypatch.chdir(tmp_path)
    assert message in audit(*arguments, code=2)[1]


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(audit, tmp_path):
    folder, output = plant(tmp_path / "data", jpeg, png, count=60), tmp_path / "measured.jsonl"
    partial = tmp_path / "measured.jsonl.partial"
    command = [sys.executable, "-m", "recon_detect", "audit", folder, "--measurements", output, "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        while process.poll() is None and not (partial.exists() and partial.read_text().count("\n") > 5):
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
    done = partial.read_text().count("\n") - 1
    assert 5 <= done < 120
    before = [json.loads(line) for line in partial.read_text().splitlines()[1 : done + 1]]
    assert all(entry.pop("file") for entry in before)
    found, _ = audit(folder, "--measurements", output)
    by_path = {entry["path"]: entry for entry in map(json.loads, output.read_text().splitlines())}
    assert [by_path[entry["path"]] for entry in before] == before and len(by_path) == 120
    assert not partial.exists() and found == audit(folder)[0]
