import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from recon_detect.engine.memory import BatchSizer
from recon_detect.engine.run import run
from recon_detect.errors import OutOfMemory
from recon_detect.images import Source
from recon_detect.settings import DEFAULTS

CPU = torch.device("cpu")


def sources(*sizes, broken=()):
    for number, (height, width) in enumerate(sizes):
        image = b"broken" if number in broken else np.full((height, width, 3), number, np.uint8)
        yield Source(image, str(number))


def outcomes(images, compute, *, batch_size=4, window=8, **options):
    settings = replace(DEFAULTS, window=window, workers=2, **options)
    return run(images, compute, settings, CPU, BatchSizer(CPU, [], batch_size))


class Recorder:
    """Returns the value of each image's first pixel and remembers the batches."""

    def __init__(self):
        self.batches = []

    def __call__(self, x, items):
        self.batches.append([item.index for item in items])
        return [round(float(v)) for v in (x[:, 0, 0, 0] + 1) * 127.5]


def test_results_come_in_order_from_batches_of_one_size():
    recorder = Recorder()
    sizes = [(8, 8), (8, 16), (8, 8), (8, 16), (8, 8), (8, 8), (8, 8)]
    results = list(outcomes(sources(*sizes), recorder, batch_size=3))
    assert [outcome.result for outcome in results] == list(range(7))
    assert [outcome.item.index for outcome in results] == list(range(7))
    assert recorder.batches == [[0, 2, 4], [1, 3], [5, 6]]


def test_batches_of_one_keep_the_input_order():
    recorder = Recorder()
    list(outcomes(sources(*[(8, 8), (8, 16)] * 3), recorder, batch_size=1))
    assert recorder.batches == [[0], [1], [2], [3], [4], [5]]


def test_a_broken_image_is_one_outcome():
    results = list(outcomes(sources(*[(8, 8)] * 5, broken=(0, 3)), Recorder()))
    assert [outcome.error is None for outcome in results] == [False, True, True, False, True]


def test_an_image_that_fails_in_computation_does_not_take_others_along():
    def compute(x, items):
        if any(item.index == 2 for item in items):
            raise ValueError("poison")
        return [item.index for item in items]

    results = list(outcomes(sources(*[(8, 8)] * 5), compute))
    assert [outcome.result for outcome in results] == [0, 1, None, 3, 4]
    assert str(results[2].error) == "poison"


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_batches_shrink_when_memory_runs_out_and_stay_small(error):
    tried = []

    def compute(x, items):
        tried.append(len(items))
        if len(items) > 2:
            raise error
        return [item.index for item in items]

    results = list(outcomes(sources(*[(8, 8)] * 12), compute, batch_size=8, window=12))
    assert [outcome.result for outcome in results] == list(range(12))
    assert tried == [8, 4, 2, 2, 4, 2, 2, 2, 2]


def test_one_image_too_large_for_memory_is_an_error_row():
    def compute(x, items):
        if x.shape[-1] > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return [item.index for item in items]

    results = list(outcomes(sources((8, 8), (8, 16), (8, 8)), compute))
    assert [outcome.result for outcome in results] == [0, None, 2]
    assert isinstance(results[1].error, OutOfMemory) and "16x8" in str(results[1].error)


def test_an_image_that_cannot_fit_is_refused_before_the_system_ends_the_process(monkeypatch):
    import psutil

    free = type("Memory", (), {"available": 1_000_000})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    recorder = Recorder()
    results = list(outcomes(sources((8, 8), (64, 64), *[(28, 28)] * 2), recorder))
    assert results[0].error is None
    assert isinstance(results[1].error, OutOfMemory) and "crop the image" in str(results[1].error)
    assert recorder.batches == [[0], [2], [3]]  # two at once would not fit


def test_the_input_is_read_lazily_and_memory_is_bounded():
    read = []

    def endless():
        number = 0
        while True:
            read.append(number)
            yield Source(np.zeros((8, 8 + number % 5, 3), np.uint8), str(number))
            number += 1

    stream = outcomes(endless(), lambda x, items: list(items), window=8)
    for _ in range(30):
        next(stream)
    # The window, what the decoding threads are ahead, and what was asked for.
    assert len(read) <= 30 + 8 + 2 * 2 + 4
    stream.close()


def test_closing_stops_the_threads():
    def slow():
        for number in range(1000):
            yield Source(np.zeros((8, 8, 3), np.uint8), str(number))

    stream = outcomes(slow(), Recorder())
    next(stream)
    stream.close()
    deadline = time.monotonic() + 60
    while any(t.name.startswith("recon_detect") for t in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("recon_detect")]


def test_no_images_no_results():
    assert list(outcomes(sources(), Recorder())) == []


def test_automatic_batches_on_the_cpu_hold_about_one_large_image():
    sizer = BatchSizer(CPU, [])
    assert sizer.size(512, 512) == 1
    assert sizer.size(1024, 1024) == 1
    assert sizer.size(320, 320) == 1
    assert sizer.size(128, 128) == 6
    assert sizer.size(8, 8) == 256
