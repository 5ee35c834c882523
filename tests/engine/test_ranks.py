import pytest
import torch

from recon_detect.engine.ranks import Rank, current_rank, device_of
from recon_detect.errors import UsageError

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
SRUN = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "3", "SLURM_NTASKS": "4"}


@pytest.fixture
def environment(monkeypatch):
    def put(**values):
        for name in (*TORCHRUN, *SRUN, "OMPI_COMM_WORLD_RANK"):
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return put


@pytest.mark.parametrize(("values", "rank"), [
    ({}, Rank(0, 1, 0)),
    (TORCHRUN, Rank(5, 8, 1)),
    (SRUN, Rank(3, 4, 3)),
    (SRUN | TORCHRUN, Rank(5, 8, 1)),  # torchrun in a task of srun
    ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, Rank(0, 1, 0)),  # a batch script, which is no task
])  # fmt: skip
def test_the_rank_is_that_of_the_starter(environment, values, rank):
    environment(**values)
    assert current_rank() == rank


@pytest.mark.parametrize("values", [{"RANK": "8"}, {"RANK": "-1"}, {"RANK": "x"}, {"WORLD_SIZE": "0"}])
def test_what_is_no_rank_is_refused(environment, values):
    environment(**TORCHRUN | values)
    with pytest.raises(UsageError, match="expected a rank from 0"):
        current_rank()


@pytest.mark.parametrize(
    ("named", "device"), [(None, "cuda:1"), ("cuda", "cuda:1"), ("cuda:0", "cuda:0"), ("cpu", "cpu")]
)
def test_processes_of_a_machine_take_its_gpus_in_turn(named, device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_of(Rank(5, 8, 3), named) == device
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of(Rank(5, 8, 3), named) == named
