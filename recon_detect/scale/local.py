"""Shards on one machine: one after the other in this process, or by several, which are replaced when they die."""

from __future__ import annotations

import copy
import logging
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import torch

from recon_detect.engine.ranks import Rank, device_of
from recon_detect.errors import OutputLocked, ReconDetectError, WorkerDied
from recon_detect.scale.shards import Shard, ShardResult, score_shard

if TYPE_CHECKING:
    from recon_detect.detector import Detector

log = logging.getLogger("recon_detect")

# Deaths of workers at one shard, without a row in between, until it is left.
_ATTEMPTS = 3
# Seconds until a shard that another process writes is tried again, and that a worker has to end in.
_AGAIN, _GRACE = 1.0, 20.0


class Queue:
    """Shards that wait, and those that another process writes, which are tried again when nothing else waits."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._waiting = deque(shards)
        self._locked: list[Shard] = []

    def take(self, *, idle: bool) -> Shard | None:
        """The next shard; None where there is none for now. Waits for locked ones only while `idle`."""
        if not self._waiting and self._locked and idle:
            log.warning("%d shards are written by other processes; waiting for them", len(self._locked))
            time.sleep(_AGAIN)
            self._waiting.extend(self._locked)
            self._locked.clear()
        return self._waiting.popleft() if self._waiting else None

    def put_back(self, shard: Shard) -> None:
        """Has a shard be the next one."""
        self._waiting.appendleft(shard)

    def put_off(self, shard: Shard) -> None:
        """Has a shard wait for the process that writes it."""
        self._locked.append(shard)


def score_shards(
    shards: Sequence[Shard], destination: Path, detector: Detector, workers: int = 1
) -> Generator[tuple[Shard, ShardResult], None, None]:
    """Scores shards into a folder, as they are done. Closing the generator, or an interrupt, ends the workers.

    Args:
        shards: The shards.
        destination: The folder.
        detector: What scores them; each worker loads it again, and those of a machine with several GPUs take one each.
        workers: Processes; of one, this process.

    Raises:
        WorkerDied: Workers died at the same shards again and again; all others are done.
        UsageError: See `score_shard`.
        OSError: The folder cannot be written any more.
    """
    queue = Queue(shards)
    if workers > 1:
        yield from _Pool(queue, destination, detector, workers).results()
        return
    while shard := queue.take(idle=True):
        try:
            yield shard, score_shard(shard.images, destination / shard.output, detector)
        except OutputLocked:
            queue.put_off(shard)


class _Worker:
    """A process that scores shards one by one."""

    def __init__(self, detector: bytes, destination: Path, threads: int) -> None:
        self.shard: Shard | None = None
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, detector, destination, threads), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, shard: Shard) -> None:
        """Hands over a shard; that the worker has died meanwhile is seen in its answer."""
        self.shard = shard
        with suppress(OSError):
            self.connection.send(shard)

    def answer(self) -> ShardResult | Exception | None:
        """The result of its shard, or the error; None where it has died."""
        try:
            answer: ShardResult | Exception = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            return None
        return answer

    def end(self) -> None:
        """Waits for a process that was told to end, and kills it if it does not."""
        self.process.join(_GRACE)
        self.process.kill()
        self.process.join()
        self.connection.close()


class _Pool:
    """Workers by number, which take shards from a queue."""

    def __init__(self, queue: Queue, destination: Path, detector: Detector, count: int) -> None:
        self._queue = queue
        self._destination = destination
        self._recipes = [_recipe(detector, number) for number in range(count)]
        self._threads = max(torch.get_num_threads() // count, 1)
        self._workers: dict[int, _Worker] = {}
        self._deaths: Counter[tuple[int, int]] = Counter()
        self._left: list[str] = []

    def results(self) -> Generator[tuple[Shard, ShardResult], None, None]:
        """Shards as they are done."""
        try:
            while self._hand_out():
                by_connection = {worker.connection: number for number, worker in self._busy().items()}
                for connection in wait(list(by_connection)):
                    if done := self._settle(by_connection[connection]):  # type: ignore[index]
                        yield done
        finally:
            for worker in self._workers.values():
                worker.process.terminate()
            for worker in self._workers.values():
                worker.end()
        if self._left:
            more = ", ..." if len(self._left) > 3 else ""
            raise WorkerDied(
                f"{len(self._left)} shards were left, at each of which {_ATTEMPTS} workers died, most often for want "
                f"of memory: {', '.join(self._left[:3])}{more}. Use fewer --workers; the same command resumes"
            )

    def _busy(self) -> dict[int, _Worker]:
        return {number: worker for number, worker in self._workers.items() if worker.shard}

    def _hand_out(self) -> bool:
        """Gives each worker that has none a shard, and starts those that lack; False where there is nothing to do."""
        for number, recipe in enumerate(self._recipes):
            worker = self._workers.get(number)
            if worker and worker.shard:
                continue
            shard = self._queue.take(idle=not self._busy())
            if shard is None:
                break
            if worker is None:
                worker = self._workers[number] = _Worker(recipe, self._destination, self._threads)
            worker.give(shard)
        return bool(self._busy())

    def _settle(self, number: int) -> tuple[Shard, ShardResult] | None:
        """Takes the answer of a worker.

        Raises:
            Exception: What its shard raised there.
        """
        worker = self._workers[number]
        shard, worker.shard = worker.shard, None
        assert shard is not None
        answer = worker.answer()
        if isinstance(answer, ShardResult):
            return shard, answer
        if isinstance(answer, OutputLocked):
            self._queue.put_off(shard)
        elif answer is not None:
            raise answer
        else:
            self._bury(self._workers.pop(number), shard)
        return None

    def _bury(self, worker: _Worker, shard: Shard) -> None:
        """Has another worker go on with the shard of one that has died, unless several died at the same image."""
        code = worker.process.exitcode or 0
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        log.warning("worker %d %s at %s", worker.process.pid, how, shard.title)
        partial = self._destination / f"{shard.output}.partial"
        place = (shard.number, partial.stat().st_size if partial.exists() else 0)
        self._deaths[place] += 1
        if self._deaths[place] < _ATTEMPTS:
            self._queue.put_back(shard)
        else:
            self._left.append(f"{shard.output} ({shard.title})")


def _recipe(detector: Detector, number: int) -> bytes:
    """A detector as bytes, for the worker of this number: on a machine with several GPUs each takes its own."""
    theirs = copy.copy(detector)
    theirs.settings = replace(detector.settings, device=device_of(Rank(local=number), detector.settings.device))
    return pickle.dumps(theirs)


def _work(connection: Connection, recipe: bytes, destination: Path, threads: int) -> None:
    """The life of a worker: it ends with the process that started it, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent ends its workers
    signal.signal(signal.SIGTERM, _exit)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    detector: Detector | None = None
    with connection, suppress(EOFError, BrokenPipeError):
        while True:
            shard: Shard = connection.recv()
            try:
                detector = detector or pickle.loads(recipe)
                connection.send(score_shard(shard.images, destination / shard.output, detector))
            except (OSError, ReconDetectError) as error:
                connection.send(error)
            except Exception as error:
                log.debug("%s failed", shard.title, exc_info=error)
                connection.send(RuntimeError(f"{shard.title}: {type(error).__name__}: {error}"))


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
