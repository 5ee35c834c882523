"""Runs whose process is killed at random moments and started again end as an undisturbed run does."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import kill
from benchmarks.common.data import write_manifest

ROOT = Path(__file__).parents[1]
IMAGES, KILLS = 16, 2


@pytest.fixture
def data(tmp_path, picture):
    folder = tmp_path / "set"
    folder.mkdir()
    rows = []
    for number in range(IMAGES):
        Image.fromarray(picture(48, 48, seed=number)).save(folder / f"{number}.png")
        label, family = ("generated", "SD kl-f8") if number % 2 else ("real", "")
        rows.append({"path": f"{number}.png", "label": label, "generator": family, "autoencoder": family,
                     "width": 48, "height": 48})  # fmt: skip
    write_manifest(folder, rows)
    return folder


def start(data, model, output, *arguments):
    command = [sys.executable, "-m", "benchmarks.robustness", "--data", data, "--models", model, "--crop", "32"]
    command += ["--methods", "aedr,aedr-homogeneity,did", "--device", "cpu", "--output", output, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(list(map(str, command)), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)  # fmt: skip


def finish(process):
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors


def kill_at(process, journal, size, wait):
    """As soon as the journal has this size, or a little later."""
    while process.poll() is None and not (journal.exists() and journal.stat().st_size >= size):
        time.sleep(0.001)
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def scores_in(journal):
    lines = journal.read_text(encoding="utf-8", errors="replace").splitlines() if journal.exists() else []
    return len(lines) - 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_random_and_restarted(data, tiny_model, tmp_path):
    arguments, count = ("--conditions", "png,jpeg-75,noise-2,crop-0.75", "--batch-size", "5"), 4 * IMAGES
    whole, broken = tmp_path / "whole" / "out.csv", tmp_path / "broken" / "out.csv"
    finish(start(data, tiny_model, whole, *arguments))
    journals = [output.with_suffix(".scores.jsonl.partial") for output in (whole, broken)]
    assert scores_in(journals[0]) == count
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    size, before = journals[0].stat().st_size, []
    for part in range(KILLS):
        process = start(data, tiny_model, broken, *arguments)
        kill_at(process, journals[1], (part + chance.random()) / (KILLS + 1) * size, chance.uniform(0, 0.02))
        assert process.returncode == -signal.SIGKILL and not broken.exists()
        before.append(scores_in(journals[1]))
    assert before == sorted(before) and before[0] < count
    finish(start(data, tiny_model, broken, *arguments))
    names = {path.name for path in whole.parent.iterdir()}
    assert names == {path.name for path in broken.parent.iterdir()} and {"out.csv"} < names
    for name in names - {journals[0].name}:
        assert (broken.parent / name).read_bytes() == (whole.parent / name).read_bytes(), name
    rows = [{json.loads(line)["path"] for line in path.read_text().splitlines()[1:]} for path in journals]
    assert rows[0] == rows[1]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("suffix", kill.FORMATS)
def test_scores_killed_at_random_have_every_image_once(suffix, tmp_path):
    """RECON_DETECT_KILLS asks for more."""
    kills, seed = int(os.environ.get("RECON_DETECT_KILLS", "4")), random.randrange(2**32)
    print(f"seed {seed}")
    tally = kill.run(kills, (suffix,), seed, tmp_path)[suffix]
    assert tally.kills == kills and tally.completed >= 1 and max(tally.in_journal) > 0


def test_a_comparison_finds_what_a_kill_would_cost(tmp_path):
    rows = [{"path": f"{number}.png", "score": float(number)} for number in range(3)]
    others = {
        "other images": [*rows, rows[2]],
        "in another order": rows[::-1],
        "scores differ": [rows[0], rows[1], rows[2] | {"score": 2.00001}],
    }
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole, broken = tmp_path / "whole" / "out.jsonl", tmp_path / "broken" / "out.jsonl"
    whole.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for what, got in others.items():
        broken.write_text("".join(json.dumps(row) + "\n" for row in got))
        with pytest.raises(AssertionError, match=what):
            kill.compare(whole, broken, kill.Tally())
    broken.write_bytes(whole.read_bytes())
    kill.compare(whole, broken, kill.Tally())
    (tmp_path / "broken" / ".out.jsonl.lock").touch()
    with pytest.raises(AssertionError, match="left behind"):
        kill.compare(whole, broken, kill.Tally())
