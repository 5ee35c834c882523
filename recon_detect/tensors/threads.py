"""Threads that share work which leaves Python, each computing alone what it was given."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_threads(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterable[_Result]:
    """Results of a function in order, by as many threads as torch has."""
    threads = min(torch.get_num_threads(), len(items))
    return map(function, items) if threads < 2 else _pool(threads).map(function, items)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads in which torch starts no further ones."""
    before = torch.get_num_threads()
    pool, barrier = ThreadPoolExecutor(threads), Barrier(threads)

    def alone(_: int) -> None:
        torch.get_num_threads()  # a thread takes over the number of all others when it first asks
        torch.set_num_threads(1)
        barrier.wait()

    list(pool.map(alone, range(threads)))
    torch.set_num_threads(before)
    return pool


os.register_at_fork(after_in_child=_pool.cache_clear)
