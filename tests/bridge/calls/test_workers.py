"""The pool: shares of the port range, places for calls, and what happens when a worker dies."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from bridge.calls.words import WorkerLost
from bridge.calls.workers import WorkerPool, split_ports
from bridge.children import Care, ChildFailed
from bridge.errors import MediaError
from media import wire


@pytest.mark.parametrize(
    ("first", "last", "count", "shares"),
    [
        (20000, 20999, 1, [(20000, 20999)]),
        (20000, 20999, 2, [(20000, 20499), (20500, 20999)]),
        (20000, 20009, 3, [(20000, 20001), (20002, 20005), (20006, 20009)]),
        (20001, 20006, 2, [(20002, 20003), (20004, 20006)]),
        (20000, 20002, 2, [(20000, 20001), (20002, 20002)]),
        (20000, 20000, 1, [(20000, 20000)]),
    ],
)
def test_shares(first: int, last: int, count: int, shares: list[tuple[int, int]]) -> None:
    assert split_ports(first, last, count) == shares
    assert all(low % 2 == 0 and low <= high for low, high in shares)


def test_shares_of_too_small_a_range() -> None:
    with pytest.raises(MediaError, match="RTP ports 20000-20003 are not enough for 3 workers"):
        split_ports(20000, 20003, 3)


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[str, wire.AnyEvent | WorkerLost]] = []
        self.came = asyncio.Event()

    def __call__(self, call: str, event: wire.AnyEvent | WorkerLost) -> None:
        self.events.append((call, event))
        self.came.set()

    async def until(self, count: int) -> list[tuple[str, str]]:
        async with asyncio.timeout(20):
            while len(self.events) < count:
                self.came.clear()
                await self.came.wait()
        return [(call, type(event).__name__) for call, event in self.events]


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def pool(heard: Heard) -> AsyncIterator[WorkerPool]:
    """Two real workers."""
    options = wire.WorkerOptions(first_port=31000, last_port=31099, figures_ms=50)
    two = WorkerPool(2, options, dialects="", care=Care(ping_s=0.1, stop_s=5.0))
    await two.start(heard)
    yield two
    await two.stop()


async def test_calls_spread_and_stay(pool: WorkerPool, heard: Heard) -> None:
    assert [pool.place(call) for call in ("a", "b", "c")] == [0, 1, 0]
    for call in ("a", "b", "c"):
        assert pool.send(call, wire.OpenCall(call=call))
    assert sorted(await heard.until(3)) == [("a", "CallOpened"), ("b", "CallOpened"), ("c", "CallOpened")]
    ports = {call: event.port for call, event in heard.events if isinstance(event, wire.CallOpened)}
    assert 31000 <= ports["a"] < 31050 <= ports["b"] < 31100
    pool.release("a")
    pool.release("c")
    pool.release("c")
    assert not pool.send("a", wire.CloseCall(call="a"))
    assert pool.place("d") == 0
    assert len(pool) == 2


async def test_a_worker_dies_and_is_replaced_and_the_other_notices_nothing(pool: WorkerPool, heard: Heard) -> None:
    for call in ("a", "b"):
        pool.place(call)
    victim = pool.workers[0].child
    os.kill(victim.pid, 9)
    assert await heard.until(1) == [("a", "WorkerLost")]
    assert heard.events[0][1] == WorkerLost("media worker 0 killed by SIGKILL")
    assert not pool.send("a", wire.OpenCall(call="a"))
    assert pool.place("c") == 1  # the only one that is up, although it has a call already
    assert pool.send("b", wire.OpenCall(call="b"))
    assert await heard.until(2) == [("a", "WorkerLost"), ("b", "CallOpened")]
    async with asyncio.timeout(20):
        while not victim.is_ready:  # noqa: ASYNC110 - nothing is told when a worker is back
            await asyncio.sleep(0.01)
    assert pool.place("d") == 0


async def test_beside_another_call(pool: WorkerPool) -> None:
    """At its worker, however full that is; nowhere when that call is gone."""
    for call in ("a", "b", "c"):
        pool.place(call)
    assert [pool.place(call, "a") for call in ("d", "e")] == [0, 0]
    with pytest.raises(MediaError):
        pool.place("f", "gone")


async def test_no_worker() -> None:
    with pytest.raises(MediaError, match="no media worker is up"):
        WorkerPool(1, wire.WorkerOptions(), dialects="").place("a")


async def test_a_pool_that_cannot_start_leaves_nothing_behind(heard: Heard) -> None:
    pool = WorkerPool(2, wire.WorkerOptions(), dialects="no.such:TABLE", care=Care(ping_s=0.1))
    with pytest.raises(ChildFailed, match=r"media\d did not start: exited with 1"):
        await pool.start(heard)
    for worker in pool.workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker.child.pid, 0)


async def test_figures_are_kept_and_a_report_is_fetched(pool: WorkerPool, heard: Heard) -> None:
    pool.place("a")
    pool.send("a", wire.OpenCall(call="a"))
    await heard.until(1)
    async with asyncio.timeout(20):
        while not ((figures := pool.workers[0].figures) and figures.opened):  # noqa: ASYNC110 - it comes by itself
            await asyncio.sleep(0.01)
    assert (figures.opened, figures.near["received"], figures.far["sent_ms"]) == (1, 0, 0)
    one, other = await asyncio.gather(pool.report("a"), pool.report("a"))
    assert one is not None
    assert one == other
    assert one.near == wire.NearReport()
    assert [name for _, name in await heard.until(1)] == ["CallOpened"]  # the desk hears of none of it
    os.kill(pool.workers[0].child.pid, 9)
    await heard.until(2)
    assert pool.workers[0].figures is None


async def test_no_report_of_a_call_that_is_nowhere_or_whose_worker_is_silent(pool: WorkerPool, heard: Heard) -> None:
    assert await pool.report("x") is None
    pool.place("a")  # never opened: the worker does not know it and says nothing
    assert [*await asyncio.gather(pool.report("a", 0.05), pool.report("a", 0.05))] == [None, None]
    pool.send("a", wire.OpenCall(call="a"))
    await heard.until(1)
    assert await pool.report("a") is not None
