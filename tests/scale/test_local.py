"""Workers: shards that are locked wait, and workers that die are replaced."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from PIL import Image

from recon_detect import load_detector
from recon_detect.output.lock import Lock
from recon_detect.scale import local, plan
from recon_detect.scale.local import Queue, score_shards

ROOT = Path(__file__).parents[2]


@pytest.fixture
def photos(folder_of):
    return folder_of(40)


def test_locked_shards_are_tried_again_when_nothing_else_waits(photos, monkeypatch):
    monkeypatch.setattr(local, "_AGAIN", 0)
    first, second = plan([photos], 20)
    queue = Queue([first, second])
    assert queue.take(idle=True) == first
    queue.put_off(first)
    assert queue.take(idle=True) == second and queue.take(idle=False) is None
    assert queue.take(idle=True) == first and queue.take(idle=True) is None


def test_a_shard_that_another_process_writes_is_waited_for(photos, tmp_path, method_file, monkeypatch):
    monkeypatch.setattr(local, "_AGAIN", 0.01)
    detector = load_detector(f"{method_file}:METHOD", device="cpu")
    shards = list(plan([photos], 20))
    lock = Lock(tmp_path / "out" / shards[0].output)
    (tmp_path / "out").mkdir()
    results = score_shards(shards, tmp_path / "out", detector)
    with lock:
        assert next(results)[0] == shards[1]
        threading.Timer(0.1, lock.__exit__).start()
        assert next(results)[0] == shards[0]
        lock.__enter__()


def start(photos, destination, method_file, *arguments):
    command = [sys.executable, "-m", "recon_detect", "run", photos, destination, "--method", f"{method_file}:METHOD"]
    command += ["--device", "cpu", "--images-per-shard", 5, "--workers", 2, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(list(map(str, command)), env=environment, stderr=subprocess.PIPE, text=True)


def wait_for(condition, process):
    while not (value := condition()):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    return value


def names(destination):
    tables = [pq.read_table(file) for file in sorted(destination.glob("*.parquet"))]
    return [Path(path).name for table in tables for path in table["path"].to_pylist()]


def workers_of(process):
    children = psutil.Process(process.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def changed(method_file, path, line):
    """The method with another line before its first."""
    path.write_text(method_file.read_text().replace("    x = e.image()\n", f"    x = e.image()\n    {line}\n"))
    return path


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_an_interrupt_leaves_what_is_done(photos, tmp_path, method_file):
    method, destination = changed(method_file, tmp_path / "late.py", "__import__('time').sleep(0.05)"), tmp_path / "out"
    process = start(photos, destination, method)
    wait_for(lambda: list(destination.glob("*.parquet")), process)
    workers = workers_of(process)
    workers[0].kill()
    wait_for(lambda: len(list(destination.glob("*.parquet"))) >= 4, process)
    process.send_signal(signal.SIGTERM)
    errors = process.communicate(timeout=500)[1]
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert "was ended by signal 9" in errors and "interrupted; the same command resumes" in errors
    assert not any(worker.is_running() for worker in workers) and not (destination / "manifest.json").exists()
    process = start(photos, destination, method)
    assert "8 of 8 shards complete: 40 images" in process.communicate(timeout=500)[1] and process.returncode == 0
    assert names(destination) == [f"{number:02}.png" for number in range(40)]
    assert json.loads((destination / "manifest.json").read_text())["images"] == 40
    assert not [path for path in destination.iterdir() if path.name.endswith((".partial", ".lock"))]


@pytest.mark.slow
def test_an_image_that_kills_each_worker_leaves_its_shard_alone(photos, tmp_path, method_file):
    line = "(x == -1).all() and __import__('os').kill(__import__('os').getpid(), 9)"
    Image.new("RGB", (16, 16)).save(photos / "07.png")
    process = start(photos, tmp_path / "out", changed(method_file, tmp_path / "deadly.py", line), "--batch-size", 1)
    errors = process.communicate(timeout=500)[1]
    assert process.returncode == 5 and "1 shards were left" in errors and "000001.parquet" in errors
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 7


@pytest.mark.slow
def test_workers_end_with_a_run_that_is_killed(photos, tmp_path, method_file):
    process = start(photos, tmp_path / "out", method_file)
    workers = wait_for(lambda: workers_of(process), process)
    process.kill()
    process.communicate()
    psutil.wait_procs(workers, timeout=500)
    assert not any(worker.is_running() for worker in workers)
