"""`score` by several processes under torchrun: the rows of one process, whatever was killed before."""

import socket
import subprocess
import sys
from dataclasses import replace

import pytest
from conftest import read_jsonl

from recon_detect import load_detector
from recon_detect.cli.sources import Sources
from recon_detect.cli.team import Team
from recon_detect.engine.ranks import Rank
from recon_detect.output import Journal

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")


def test_processes_without_a_file_or_a_place_to_meet_are_refused(cli, image_folder, monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    assert "add --output FILE" in cli("score", image_folder, code=2).err
    assert "start 'score' with torchrun" in cli("score", image_folder, "--output", "x.jsonl", code=2).err
    assert "with one process" in cli("score", image_folder, "--compat", "published", code=2).err


@pytest.fixture
def meeting_place(monkeypatch):
    """That of a team of one process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, str(value))


def test_rows_that_killed_processes_left_are_not_scored_again(meeting_place, image_folder, tiny_model, tmp_path):
    (image_folder / "copy.png").write_bytes((image_folder / "6.png").read_bytes())
    detector = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu")
    sources, output = Sources([str(image_folder)]), tmp_path / "out.jsonl"
    limits = detector.settings.limits
    # Each scored one of two equal pictures, and neither knew of the other. The marked score shows what was taken over.
    for number, names in (3, ("0.png", "6.png")), (7, ("copy.png",)):
        part = tmp_path / f"out.jsonl.rank{number}.jsonl"
        with Journal(part, detector.run_info, limits=limits) as journal:
            for row in detector.score([str(image_folder / name) for name in names], progress=False):
                journal.lacks(next(source for source in sources if source.id == row.path))
                journal.add(replace(row, scores={"aeroblade": replace(row.scores["aeroblade"], value=123.0)}))
    with Journal(output, detector.run_info, limits=limits) as journal, Team(Rank(), output, None) as team:
        team.lead(detector, sources, journal)
        rows = list(detector.run(sources, journal))
        journal.finish()
    assert [row.path for row in rows] == [source.id for source in sources] and len(rows) == 9
    marked = {row.path.rpartition("/")[2] for row in rows if row.score == 123}
    assert marked == {"0.png", "6.png", "copy.png"}
    copies = [row["path"] for row in read_jsonl(output) if "same pixels as" in str(row["notes"])]
    assert len(copies) == 1
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl", "out.jsonl.run.json"]


@pytest.mark.slow
def test_two_processes_give_the_rows_of_one(image_folder, tiny_model, tmp_path):
    output = tmp_path / "together.jsonl"
    options = ["--method", "aeroblade", "--models", tiny_model, "--distance", "l2", "--device", "cpu"]
    command = [*TORCHRUN, "recon_detect", "score", image_folder, *options, "--output", output]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.stderr.count("8 images, 1 failed") == 1, done.stderr
    assert "destroy_process_group" not in done.stderr  # torch warns where a group is left
    detector = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu")
    alone = detector.score(image_folder, progress=False)
    together = read_jsonl(output)
    assert [row["path"] for row in together] == [row.path for row in alone]
    for row, expected in zip(together, alone, strict=True):
        assert (row["error"] is None) == (expected.error is None)
        assert row["score"] is None or row["score"] == pytest.approx(expected.score, rel=1e-5)
    assert sorted(path.name for path in tmp_path.glob("together*")) == ["together.jsonl", "together.jsonl.run.json"]
