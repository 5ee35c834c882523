"""A thread that runs the detector, and the line of requests before it."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

# Called in the thread with a function that says whether nobody waits for the result any more.
Work: TypeAlias = Callable[[Callable[[], bool]], Any]

# Seconds between two looks at whether a client has gone.
_TICK = 0.2
# Share of the last request in the mean of their seconds.
_SHARE = 0.2


class LineFull(Exception):
    """A line without a free place.

    Attributes:
        retry_after: Seconds after which a place is likely free.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the line is full; try again in {retry_after} s")
        self.retry_after = retry_after


class ClientGone(Exception):
    """A client that does not wait for its answer any more."""


@dataclass(frozen=True, slots=True)
class State:
    """State of a request: ``"queued"``, ``"scoring"`` or ``"done"``; with how many wait before it, or its result."""

    name: str
    ahead: int = 0
    result: Any = None


class Line:
    """A line of at most `places` waiting requests, each of which has `seconds` from its entry to its answer.

    Work runs in one thread, in the order in which it comes. Work that waits is dropped when its request ends; work that
    runs cannot be interrupted from outside, and is asked to end itself.
    """

    def __init__(self, places: int, seconds: float) -> None:
        self.places = places
        self.seconds = seconds
        self._members: set[Place] = set()
        self._numbers = itertools.count()
        self._mean = 0.0
        self._current: Place | None = None
        self._thread = ThreadPoolExecutor(1, "detector")

    @property
    def waiting(self) -> int:
        """Number of requests whose work has not begun, those that are being uploaded included."""
        return sum(not member.begun for member in self._members)

    @property
    def running(self) -> int:
        """Number of requests whose work has begun and whose answer is not sent."""
        return len(self._members) - self.waiting

    @property
    def abandoned(self) -> int:
        """1 while the thread works on a request that nobody waits for any more, else 0."""
        current = self._current
        return int(current is not None and current.abandoned)

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place in the line, until the answer is sent.

        Raises:
            LineFull: All places are taken, or those before would take longer than the time limit.
        """
        expected = self.waiting * self._mean
        if self.waiting >= self.places or expected > self.seconds:
            raise LineFull(max(1, math.ceil(min(expected, self.seconds) / 2)))
        place = Place(self)
        self._members.add(place)
        try:
            yield place
        finally:
            place.abandoned = True
            self._members.discard(place)

    def ahead(self, place: Place) -> int:
        """Number of requests whose turn comes before that of a place."""
        return sum(member.number < place.number for member in self._members)

    def submit(self, place: Place, work: Work) -> asyncio.Future[Any]:
        """Hands work to the thread, after all that was handed to it before."""
        place.number = next(self._numbers)
        return asyncio.wrap_future(self._thread.submit(self._run, place, work))

    def close(self) -> None:
        """Drops what waits; what runs ends by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _run(self, place: Place, work: Work) -> Any:
        if place.abandoned:  # before its cancellation has come to the thread
            return None
        place.begun = True
        self._current = place
        start = time.monotonic()
        try:
            result = work(lambda: place.abandoned)
        finally:
            self._current = None
        seconds = time.monotonic() - start
        self._mean = seconds if not self._mean else (1 - _SHARE) * self._mean + _SHARE * seconds
        return result


class Place:
    """The place of one request in a line.

    Attributes:
        deadline: Time of the event loop at which the answer is due.
        begun: Whether its work has begun.
        abandoned: Whether nobody waits for its answer any more.
        number: Order of its work; infinite while it has none yet.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self.deadline = asyncio.get_running_loop().time() + line.seconds
        self.begun = False
        self.abandoned = False
        self.number: float = math.inf

    async def states(self, work: Work, gone: Callable[[], Awaitable[bool]] | None = None) -> AsyncIterator[State]:
        """Runs work when its turn comes.

        Args:
            work: See `Work`.
            gone: Whether the client has gone.

        Yields:
            Each change of the state; the last one is ``"done"`` and has the result.

        Raises:
            TimeoutError: The time limit has passed.
            ClientGone: The client has gone.
        """
        clock = asyncio.get_running_loop().time
        future = self._line.submit(self, work)
        shown = None
        try:
            while not future.done():
                state = State("scoring") if self.begun else State("queued", self._line.ahead(self))
                if state != shown:
                    yield (shown := state)
                await asyncio.wait({future}, timeout=_TICK)
                if clock() > self.deadline:
                    raise TimeoutError
                if gone and await gone():
                    raise ClientGone
            yield State("done", result=future.result())
        finally:
            future.cancel()

    async def result(self, work: Work, gone: Callable[[], Awaitable[bool]]) -> Any:
        """The result of work when its turn has come; see `states`."""
        async for state in self.states(work, gone):
            result = state.result
        return result
