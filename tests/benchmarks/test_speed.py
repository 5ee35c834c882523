import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.common.data import read_table
from benchmarks.speed import __main__ as speed
from benchmarks.speed import aeroblade as speed_aeroblade
from benchmarks.speed import dire as speed_dire
from benchmarks.speed import timing
from benchmarks.speed.timing import Clock, peak, rounds_of
from recon_detect import load_detector

CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path, picture):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        Image.fromarray(picture(32, 48, seed=number)).save(path)
    return paths


@pytest.fixture
def run(tmp_path, monkeypatch):
    # Ten products of large matrices take longer than everything that is timed here.
    monkeypatch.setattr(speed, "peak", lambda device, dtype: 1e15)

    def benchmark(*arguments):
        output = tmp_path / "speed.csv"
        monkeypatch.setattr(sys, "argv", ["speed", *map(str, arguments), "--rounds", "1", "--output", str(output)])
        speed.main()
        conditions, lines = read_table(output)
        return conditions, {line["way"]: line for line in lines}

    return benchmark


def test_bfloat16_is_timed_where_there_are_instructions_for_it(monkeypatch):
    for has, found in (True, ["float32", "auto", "bfloat16"]), (False, ["float32", "auto"]):
        monkeypatch.setattr(speed, "has_bfloat16", lambda device, has=has: has)
        assert speed.dtypes_of(None, CPU) == found
        assert speed.dtypes_of("bfloat16,float32", CPU) == ["bfloat16", "float32"]


@pytest.fixture
def advance(monkeypatch):
    """Moves a clock that stands still otherwise, so that no test depends on how busy the machine is."""
    now = [0.0]
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: now[0]))

    def move(seconds):
        now[0] += seconds

    return move


def test_clock_adds_up_stages_and_keeps_what_was_raised(advance):
    clock = Clock(CPU)
    for _ in range(2):
        with clock("sleep"):
            advance(0.25)
    with pytest.raises(ValueError), clock("failing"):
        raise ValueError
    assert clock.timed(lambda a, b=1: a + b, "sum")(1, b=2) == 3
    assert clock.stages["sleep"] == 0.5 and {"failing", "sum"} <= set(clock.stages)


def test_rounds_are_taken_in_turn(advance):
    order = []

    def way(name):
        def once(clock):
            order.append(name)
            advance((3, 1, 2)[order.count(name) - 1])
            with clock(f"{name} {order.count(name)}"):
                pass

        return once

    rounds = rounds_of(3, {"a": way("a"), "b": way("b")}, CPU)
    assert order == ["a", "b"] * 3
    for name, taken in rounds.items():
        assert [seconds for seconds, _ in taken] == [3, 1, 2]
        assert [set(clock.stages) for _, clock in taken] == [{f"{name} {number}"} for number in (1, 2, 3)]


def test_peak_is_that_of_a_product(monkeypatch):
    monkeypatch.setitem(speed.peak.__globals__["SIDES"], "cpu", 256)
    assert 1e8 < peak(CPU, torch.float32) < 1e15


def test_pictures_are_the_same_each_time(tmp_path):
    first, second = (speed.pictures(None, tmp_path / name, 64, 3) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert Image.fromarray(np.asarray(Image.open(first[0]))).size == (64, 64)


@pytest.mark.parametrize("model", ["kl_model", "tiny_model"])
def test_published_schedule_gives_published_scores(files, model, request, shared_weights, tmp_path):
    folder = str(request.getfixturevalue(model))
    recons = tmp_path / "recons"
    recons.mkdir()
    clock = Clock(CPU)
    scores = speed_aeroblade.published([files], [folder, folder], CPU, torch.float32, recons, clock)
    detector = load_detector("aeroblade", models=folder, compat="published", device="cpu")
    expected = detector.score(files, progress=False).raise_for_errors().scores
    assert np.abs(scores / expected - 1).max() < 2e-3  # two steps of float16
    assert set(clock.stages) == set(speed_aeroblade.STAGES) and len(list(recons.iterdir())) == 3


def test_all_layers_and_their_sum_are_computed_as_published(files, shared_weights):
    lpips = speed_aeroblade.load_lpips(speed_aeroblade.vgg16(), CPU)
    x, y = (speed_aeroblade.read(path, CPU) for path in files[:2])
    maps = speed_aeroblade.distance(lpips, x, y)
    assert {layer: tuple(m.shape[2:]) for layer, m in maps.items()} == {
        0: (32, 48), 1: (32, 48), 2: (16, 24), 3: (8, 12), 4: (4, 6), 5: (2, 3)
    }  # fmt: skip
    assert all(m.dtype == torch.float16 for m in maps.values())
    assert float(speed_aeroblade.distance(lpips, x, x)[0].abs().max()) == 0


def test_stages_of_this_package_are_timed_and_its_scores_unchanged(files, tiny_model, shared_weights):
    clock, way = Clock(CPU), (files, (str(tiny_model),), CPU, "float32")
    with speed_aeroblade.stages_of(clock):
        timed = speed_aeroblade.ours(*way, clock, batch=None)
    assert set(clock.stages) == {"load", "read", "encode", "decode", "distance"}
    assert np.array_equal(timed, speed_aeroblade.ours(*way, Clock(CPU), batch=None))


@pytest.mark.slow
def test_aeroblade_is_measured_to_the_end(run, tiny_model, shared_weights, monkeypatch):
    monkeypatch.setattr(speed, "resident", lambda name: 123_000_000)
    head, table = run("--method", "aeroblade", "--models", tiny_model, "--size", "32", "--images", "2",
                      "--dtypes", "float32", "--device", "cpu")  # fmt: skip
    assert set(table) == {"as published, file by file", "as published, a folder", "recon_detect, float32"}
    assert (
        "2 PNG files of 32 px" in head
        and "TFLOP/s in float32" in head
        and "within 0.0%" not in head.partition("within")[0]
    )
    ours, theirs = table["recon_detect, float32"], table["as published, file by file"]
    assert float(ours["teraflop_an_image"]) <= float(theirs["teraflop_an_image"])
    assert float(theirs["ratio"]) == 1 and ours["peak_memory_gb"] == "0.12"
    assert float(theirs["write_s"]) > 0 == float(ours["write_s"])


@pytest.mark.slow
def test_the_default_is_measured_beside_full_size_shapes(run, shared_weights, monkeypatch):
    random = speed_aeroblade.random_autoencoders
    monkeypatch.setattr(speed_aeroblade, "random_autoencoders", lambda folder: random(folder, tiny=True))
    head, table = run("--method", "aeroblade", "--models", "random", "--efforts", "quick", "--size", "64",
                      "--images", "1", "--dtypes", "float32", "--device", "cpu", "--no-memory")  # fmt: skip
    assert "random-sd1+random-sdxl+random-kandinsky21" in head
    # Its scores are of another kind: they are not compared with those of the others.
    assert float(head.partition("within ")[2].partition("%")[0]) < 50
    assert list(table)[-1] == "the default, quick" and float(table["the default, quick"]["images_per_s"]) > 0


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(tiny_model, shared_weights, monkeypatch):
    arguments = [
        "--method",
        "aeroblade",
        "--models",
        str(tiny_model),
        "--size",
        "32",
        "--images",
        "1",
        "--device",
        "cpu",
    ]
    monkeypatch.setattr(sys, "argv", ["speed", *arguments])
    assert 1e8 < speed.resident("recon_detect, float32") < 4e9


@pytest.mark.slow
def test_dire_is_measured_to_the_end(run, monkeypatch):
    monkeypatch.setattr(speed, "resident", lambda name: 123_000_000)
    monkeypatch.setitem(speed_dire.SIZES, 64, (32, (1, 1, 2), (False, False, True), 1))
    head, table = run("--method", "dire", "--images", "1", "--dtypes", "float32,auto", "--device", "cpu")
    assert list(table) == ["as published", "recon_detect, float32", "recon_detect, auto"]
    assert "40 evaluations an image" in head and "within 0.0% of the published" in head
    for line in table.values():
        assert float(line["invert_s"]) > 0 < float(line["sample_s"]) and line["peak_memory_gb"] == "0.12"
        assert line["teraflop_an_image"] == table["as published"]["teraflop_an_image"]
    assert all(0 <= float(line["share_of_peak"]) < 1 for line in table.values())
