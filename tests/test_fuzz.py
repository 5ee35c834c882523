"""Damaged files through `open_picture`; benchmarks.fuzz runs many more, in processes that can be killed."""

from benchmarks.fuzz import SIDE, Worker, mutants, outcome, seeds
from recon_detect.errors import InputError
from recon_detect.images import open_picture
from recon_detect.settings import Settings

# Small, so that a header that claims much costs little here.
SETTINGS = Settings(max_pixels=400 * SIDE * SIDE)


def test_damaged_files_of_every_format_give_a_picture_or_an_input_error_and_the_same_again(capfd):
    read = 0
    for name, data in mutants(300, seed=5):
        results = []
        for _ in range(2):
            try:
                results.append(open_picture(data, SETTINGS).provenance)
            except InputError as error:
                results.append(str(error))
        assert results[0] == results[1], name
        read += not isinstance(results[0], str)
    assert 60 < read < 240  # neither all harmless nor all hopeless
    assert capfd.readouterr() == ("", "")


def test_seeds_are_whole():
    files = seeds()
    assert len(files) >= 15
    assert {outcome(data) for datas in files.values() for data in datas} <= {"read", "UnreadableImage"}


def test_a_worker_that_hangs_or_crashes_is_noticed_and_replaced(monkeypatch):
    worker = Worker(seconds=0.5, address_space=2 * 10**9)
    assert worker(next(iter(seeds()["PNG"]))).result == "read"
    worker._process.kill()
    worker._process.join()
    assert worker(b"").result in ("HANG", "CRASH -9")
    assert worker(b"").result == "UnreadableImage"
    worker._process.kill()
