"""All calls of a worker in one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from msgspec.structs import fields

from media import wire
from media.figures import FAR_COUNTERS, NEAR_COUNTERS, Ledger
from media.stats import EDGES_MS, Histogram

ZERO_NEAR = dict.fromkeys(NEAR_COUNTERS, 0)
ZERO_FAR = dict.fromkeys(FAR_COUNTERS, 0)


class Call:
    """One with figures to be set; `then` happens when it has been looked at."""

    def __init__(self, *, lost: int = 0, sent_ms: int = 0, up_ms: tuple[float, ...] = ()) -> None:
        self.near, self.far = wire.NearReport(lost=lost, jitter_ms=3.0), wire.FarReport(sent_ms=sent_ms)
        self.up = Histogram()
        for value in up_ms:
            self.up.add(value / 1000)
        self.then: Callable[[], None] = lambda: None

    def counters(self) -> tuple[wire.NearReport, wire.FarReport]:
        return self.near, self.far

    def histograms(self) -> dict[str, Histogram]:
        self.then()
        return {"up_ms": self.up}


def counts(*values_ms: float) -> list[int]:
    """As the worker tells them."""
    return Call(up_ms=values_ms).up.counts()


def test_what_can_be_added_up_is() -> None:
    assert set(NEAR_COUNTERS) == {one.name for one in fields(wire.NearReport) if one.default == 0 and one.type is int}
    assert {"received", "lost", "send_errors"} < set(NEAR_COUNTERS)
    assert not {"jitter_ms", "mos_up", "max_gap_ms"} & set(NEAR_COUNTERS)
    assert {"sent_ms", "underruns"} < set(FAR_COUNTERS)


async def test_a_worker_without_calls() -> None:
    figures = await Ledger().survey(0, [])
    assert figures == wire.Figures(opened=0, near=ZERO_NEAR, far=ZERO_FAR, latencies={})


async def test_calls_that_are_over_and_calls_that_stand_are_one_sum() -> None:
    ledger = Ledger()
    ledger.close(Call(lost=1, sent_ms=40, up_ms=(1.0, 2.0)))
    ledger.close(Call(lost=2, sent_ms=60, up_ms=(1.0,)))
    standing = Call(lost=4, sent_ms=80, up_ms=(500.0,))
    figures = await ledger.survey(3, [standing])
    assert figures == wire.Figures(
        opened=3,
        near=ZERO_NEAR | {"lost": 7},
        far=ZERO_FAR | {"sent_ms": 180},
        latencies={"up_ms": counts(1.0, 1.0, 2.0, 500.0)},
    )
    assert await ledger.survey(3, [standing]) == figures  # looking changes nothing
    ledger.close(standing)
    assert await ledger.survey(3, []) == figures


async def test_a_counter_never_falls() -> None:
    ledger, call = Ledger(), Call(lost=5)
    assert (await ledger.survey(1, [call])).near["lost"] == 5
    call.near = wire.NearReport(lost=3)  # two of them came late
    assert (await ledger.survey(1, [call])).near["lost"] == 5
    call.near = wire.NearReport(lost=6)
    assert (await ledger.survey(1, [call])).near["lost"] == 6


async def test_calls_that_end_during_a_survey_are_counted_once() -> None:
    ledger = Ledger()
    first, second = Call(lost=1), Call(lost=10)

    def both_end() -> None:
        first.then = lambda: None
        ledger.close(first)
        ledger.close(second)

    first.then = both_end
    assert (await ledger.survey(2, [first, second])).near["lost"] == 11
    assert (await ledger.survey(2, [])).near["lost"] == 11


async def test_one_call_that_cannot_be_counted_does_not_hide_the_others(caplog: pytest.LogCaptureFixture) -> None:
    broken = Call(lost=1)
    broken.then = lambda: 1 / 0  # type: ignore[assignment]
    assert (await Ledger().survey(2, [broken, Call(sent_ms=20)])).far["sent_ms"] == 20
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_the_loop_gets_its_turn_after_every_call() -> None:
    """What is ready runs between any two calls, so packets wait for one of them at most."""
    loop, order = asyncio.get_running_loop(), list[str]()

    def looked_at(number: int) -> None:
        order.append(f"call {number}")
        loop.call_soon(order.append, f"packet {number}")

    calls = [Call() for _ in range(3)]
    for number, call in enumerate(calls):
        call.then = partial(looked_at, number)
    await Ledger().survey(3, calls)
    assert order == ["call 0", "packet 0", "call 1", "packet 1", "call 2", "packet 2"]


def test_buckets_end_where_the_values_do() -> None:
    assert Histogram().counts() == []
    assert counts(0.001) == [1]
    told = counts(1.0, 1.0, 20.0)
    assert sum(told) == 3
    assert told[-1] == 1
    for value in (1.0, 20.0):
        index = next(place for place, edge in enumerate(EDGES_MS) if edge >= value)
        assert told[index] > 0
    assert len(counts(1e9)) == len(EDGES_MS)
