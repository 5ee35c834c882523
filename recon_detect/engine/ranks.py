"""Rank of this process among those that torchrun, srun or mpirun started together."""

from __future__ import annotations

import os
from dataclasses import dataclass

from recon_detect.errors import UsageError

# Rank, number of ranks, and rank on this machine. SLURM_STEP_NUM_TASKS is there under srun alone: a batch script has
# SLURM_NTASKS as well, and is not one of them.
_VARIABLES = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
)


@dataclass(frozen=True, slots=True)
class Rank:
    """Place of a process among several.

    Attributes:
        number: From 0.
        count: Number of processes.
        local: Place among those of the same machine, from 0: the number of its device.
    """

    number: int = 0
    count: int = 1
    local: int = 0


def current_rank() -> Rank:
    """The rank of this process by its environment; the only one where nothing started several.

    Raises:
        UsageError: Variables that are no ranks.
    """
    for names in _VARIABLES:
        values = [os.environ.get(name) for name in names]
        if values[0] is None or values[1] is None:
            continue
        try:
            rank = Rank(*(int(value or 0) for value in values))
        except ValueError:
            rank = Rank(count=0)
        if not 0 <= rank.number < rank.count:
            given = ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
            raise UsageError(f"{given}: expected a rank from 0, below the number of processes")
        return rank
    return Rank()


def device_of(rank: Rank, named: str | None) -> str | None:
    """The device of a process: where GPUs are wanted and there, the one of its place on its machine."""
    import torch

    if named in (None, "cuda") and torch.cuda.is_available():
        return f"cuda:{rank.local % torch.cuda.device_count()}"
    return named
