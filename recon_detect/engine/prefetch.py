"""Work that is done ahead of whoever waits for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(work: Callable[[T], R], items: Iterable[T], workers: int) -> Generator[R, None, None]:
    """Does work in threads; yields results in input order, at most ``2 * workers`` ahead of the consumer."""
    waiting_items = iter(items)
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="recon_detect-decode")
    waiting: deque[Future[R]] = deque()
    try:
        while True:
            for item in islice(waiting_items, 2 * workers - len(waiting)):
                waiting.append(pool.submit(work, item))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
