"""The GPU's checks on a CPU: that each step runs to its end, and what becomes of one that does not."""

import pytest
import torch

from benchmarks.common.data import read_table
from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import steps
from benchmarks.gpu.__main__ import Step

CPU = torch.device("cpu")


def test_a_step_that_fails_or_hangs_is_a_line_of_the_summary():
    assert gpu.run(Step("fine", 60, ("-c", "pass")), 1)["outcome"] == "ok"
    assert gpu.run(Step("wrong", 60, ("-c", "raise SystemExit(3)")), 1)["outcome"] == "failed with code 3"
    hanging = Step("hanging", 1, ("-c", "import time; time.sleep(600)"))
    assert gpu.run(hanging, 1)["outcome"] == "stopped after 1 s"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["loop", "pool", "search"])
def test_steps_measure_on_a_cpu_what_they_measure_on_a_gpu(name, shared_weights):
    lines = list(steps.MEASURES[name](CPU, steps.TINY))
    assert lines and all(line["images_per_s"] > 0 for line in lines)


@pytest.mark.slow
def test_steps_run_to_the_end_on_a_cpu_as_processes(shared_weights, tmp_path, monkeypatch):
    arguments = ["gpu", "--tiny", "--device", "cpu", "--output", str(tmp_path), "--patience", "5"]
    monkeypatch.setattr("sys.argv", [*arguments, "--steps", "tests,aeroblade"])
    assert gpu.main() == 0
    outcomes = {line["step"]: line["outcome"] for line in read_table(tmp_path / "gpu-check-cpu.csv")[1]}
    assert outcomes == {"tests": "ok", "aeroblade": "ok"}
    assert (tmp_path / "speed-aeroblade-full-cpu.csv").is_file()
