"""The line: places, order, time, and clients that go."""

import asyncio
import threading

import pytest

from recon_detect.web.line import ClientGone, Line, LineFull


async def states_of(place, work, gone=None):
    return [state async for state in place.states(work, gone)]


async def until(condition):
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never")


def test_work_runs_in_order_and_says_how_many_are_before_it():
    async def main():
        line, gate, order = Line(8, 60), threading.Event(), []

        def work(number):
            return lambda abandoned: (gate.wait(30), order.append(number), number)[-1]

        async def request(number):
            with line.place() as place:
                return await states_of(place, work(number))

        first = asyncio.create_task(request(0))
        await until(lambda: line.running == 1)
        others = [asyncio.create_task(request(number)) for number in (1, 2)]
        await until(lambda: line.waiting == 2)
        await asyncio.sleep(0.5)  # longer than a look at the state
        gate.set()
        results = await asyncio.gather(first, *others)
        line.close()
        assert [states[-1].result for states in results] == order == [0, 1, 2]
        assert (results[2][0].name, results[2][0].ahead) == ("queued", 2)
        assert [state.name for state in results[0]][-2:] == ["scoring", "done"]
        assert line.waiting == line.running == 0

    asyncio.run(main())


def test_a_full_line_refuses_and_a_place_that_is_left_is_free_again():
    async def main():
        line = Line(2, 60)
        with line.place(), line.place():
            with pytest.raises(LineFull) as refused, line.place():
                pass
            assert refused.value.retry_after >= 1
        with line.place():
            assert line.waiting == 1
        line.close()

    asyncio.run(main())


def test_who_would_wait_longer_than_the_time_limit_is_refused_at_once():
    async def main():
        line = Line(100, 0.5)
        with line.place() as place:
            await states_of(place, lambda abandoned: threading.Event().wait(0.3))
        with line.place(), line.place(), pytest.raises(LineFull), line.place():
            pass
        line.close()

    asyncio.run(main())


def test_time_is_limited_and_work_that_waits_is_dropped():
    async def main():
        line, gate, ran = Line(8, 0.3), threading.Event(), []
        with line.place() as running, line.place() as queued:
            first = asyncio.create_task(states_of(running, lambda abandoned: gate.wait(30)))
            await until(lambda: running.begun)
            with pytest.raises(TimeoutError):
                await states_of(queued, lambda abandoned: ran.append(1))
            with pytest.raises(TimeoutError):
                await first
        gate.set()
        with line.place() as place:
            await states_of(place, lambda abandoned: None)
        line.close()
        assert not ran

    asyncio.run(main())


def test_work_of_a_client_that_has_gone_is_dropped_and_asked_to_end():
    async def main():
        line, seen, started = Line(8, 60), [], threading.Event()

        def work(abandoned):
            started.set()
            for _ in range(3000):
                if abandoned():
                    return seen.append("ended")
                threading.Event().wait(0.01)

        async def gone():
            return started.is_set()

        with pytest.raises(ClientGone), line.place() as place:
            await states_of(place, work, gone)
        await until(lambda: seen)
        line.close()

    asyncio.run(main())


def test_an_error_of_the_work_is_that_of_the_request():
    async def main():
        line = Line(8, 60)
        with line.place() as place, pytest.raises(ZeroDivisionError):
            await states_of(place, lambda abandoned: 1 / 0)
        line.close()

    asyncio.run(main())
