from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
import uvloop

from media.clock import (
    FIRST_WINDOW,
    HELD_WINDOWS,
    MAX_CATCH_UP,
    MAX_SLEW_S,
    PHASE_MARGIN_S,
    PHASE_WINDOW,
    WORTH_WAITING_S,
    Alarm,
    Pacer,
)

# --- pacer ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
def test_no_drift_over_an_hour(ptime_ms: int) -> None:
    """Every tick is late by a different bit; none of it may add up."""
    dice = random.Random(1)
    pacer, sent = Pacer(1000.0, ptime_ms), 0
    while pacer.due_at < 4600.0 - 1e-6:
        frames, skipped = pacer.due(pacer.due_at + dice.uniform(0, 0.004))
        assert (frames, skipped) == (1, 0)
        sent += frames
    assert sent == 3600 * 1000 // ptime_ms
    assert pacer.due_at == pytest.approx(4600.0, abs=1e-6)


def test_nothing_is_due_before_its_time() -> None:
    pacer = Pacer(10.0, 20)
    assert [pacer.due(at) for at in (9.0, 9.999, 10.0, 10.01, 10.0199)] == [(0, 0), (0, 0), (1, 0), (0, 0), (0, 0)]
    assert pacer.due_at == pytest.approx(10.02)


@pytest.mark.parametrize(
    ("slept_ms", "due"),
    [(0, (1, 0)), (19, (1, 0)), (21, (2, 0)), (81, (5, 0)), (101, (5, 1)), (501, (5, 21)), (60_001, (5, 2996))],
)
def test_catching_up_is_capped_and_the_rest_is_counted(slept_ms: int, due: tuple[int, int]) -> None:
    pacer = Pacer(10.0, 20)
    now = 10.0 + slept_ms / 1000
    assert pacer.due(now) == due
    assert due[0] <= MAX_CATCH_UP
    assert pacer.skipped == due[1]
    # and the beat is the old one: the next frame is due on the grid of the origin
    assert now < pacer.due_at <= now + 0.02
    assert (pacer.due_at - 10.0) / 0.02 == pytest.approx(round((pacer.due_at - 10.0) / 0.02), abs=1e-6)


def follow(
    pacer: Pacer, seconds: float, *, phase_s: float, ppm: float = 0.0, jitter_s: float = 0.0
) -> Iterator[tuple[float, float]]:
    """A platform that sends a frame every 20 ms of its own clock. Yields (wait of its frame, step of our clock)."""
    dice = random.Random(2)
    every = 0.02 * (1 - ppm / 1e6)
    first = pacer.due_at + phase_s
    arrivals = [first + n * every + dice.uniform(0, jitter_s) for n in range(int(seconds / every))]
    at = 0
    while at < len(arrivals):
        due_at = pacer.due_at
        assert pacer.due(due_at) == (1, 0)
        if arrivals[at] <= due_at:
            wait = due_at - arrivals[at]
            at += 1
            pacer.align(wait)
            yield wait, pacer.due_at - due_at


@pytest.mark.parametrize("phase_s", [0.0001, 0.003, 0.01, 0.017, 0.0199])
def test_the_phase_settles_just_after_the_arrival(phase_s: float) -> None:
    waits = [wait for wait, _ in follow(Pacer(10.0, 20), 6.0, phase_s=phase_s)]
    assert waits[-50:] == pytest.approx([PHASE_MARGIN_S] * 50, abs=1e-5)


@pytest.mark.parametrize("phase_s", [0.002, 0.012])
def test_with_jitter_it_is_the_latest_arrival_that_settles(phase_s: float) -> None:
    waits = [wait for wait, _ in follow(Pacer(10.0, 20), 20.0, phase_s=phase_s, jitter_s=0.006)][-500:]
    assert 0.0005 < min(waits) <= PHASE_MARGIN_S + 0.0005
    assert max(waits) <= PHASE_MARGIN_S + 0.006 + 0.0005


@pytest.mark.parametrize("ppm", [-200, 200])
def test_the_phase_follows_the_platforms_clock(ppm: float) -> None:
    """In two minutes 200 ppm are 24 ms, more than a whole frame."""
    waits = [wait for wait, _ in follow(Pacer(10.0, 20), 120.0, phase_s=0.01, ppm=ppm)]
    settled = waits[500:]
    per_window_s = PHASE_WINDOW * 0.02 * 200e-6
    assert min(settled) >= PHASE_MARGIN_S - 2.5 * per_window_s
    assert max(settled) <= PHASE_MARGIN_S + (HELD_WINDOWS + 1.5) * per_window_s


@pytest.mark.parametrize("phase_s", [0.0001, 0.01, 0.0199])
def test_after_the_first_setting_no_frame_is_moved_by_more_than_the_bound(phase_s: float) -> None:
    steps = [step for _, step in follow(Pacer(10.0, 20), 6.0, phase_s=phase_s, jitter_s=0.003)]
    first = next(number for number, step in enumerate(steps) if abs(step - 0.02) > 1e-9)
    assert first == FIRST_WINDOW
    assert abs(steps[first] - 0.02) < 0.02
    assert max(abs(step - 0.02) for step in steps[first + 1 :]) <= MAX_SLEW_S + 1e-9
    assert max(abs(step - 0.02) for step in steps[first + 1 :]) > 1e-5  # it did move


def settled(now: float = 10.0) -> Pacer:
    """A pacer that has its first setting behind it, and needed none."""
    pacer = Pacer(now - 0.02, 20)
    for _ in range(FIRST_WINDOW):
        pacer.align(PHASE_MARGIN_S + 1e-12)
    pacer.due(now - 0.02)
    return pacer


def test_a_frame_that_stands_is_slewed_away_within_the_bound() -> None:
    pacer = settled()
    for _ in range(PHASE_WINDOW):
        pacer.align(0.021)
    pacer.due(10.0)
    assert pacer.due_at == pytest.approx(10.02 - MAX_SLEW_S)


def test_what_was_seen_before_a_cut_decides_nothing_after_it() -> None:
    pacer = settled()
    for _ in range(PHASE_WINDOW - 1):
        pacer.align(0.001)
    pacer.forget()
    pacer.align(0.019)
    pacer.due(10.0)
    assert pacer.due_at == pytest.approx(10.02, abs=1e-9)


def test_an_accident_moves_nothing() -> None:
    pacer = settled()
    pacer.missed(WORTH_WAITING_S + 0.001)
    pacer.due(10.0)
    assert pacer.due_at == pytest.approx(10.02, abs=1e-9)


def test_a_frame_that_missed_its_tick_moves_the_ticks_behind_it_and_keeps_them_there() -> None:
    """All frames come the margin before their tick, but one, 4.5 ms late: it misses it by 3 ms."""
    pacer, waits = settled(), []
    for number in range(PHASE_WINDOW * (HELD_WINDOWS + 5)):
        tick = pacer.due_at
        pacer.due(tick)
        if number == 5:
            pacer.missed(0.003)
            continue
        waits.append(tick - (10.0 - PHASE_MARGIN_S + number * 0.02))
        pacer.align(waits[-1])
    held = waits[40 : PHASE_WINDOW * (HELD_WINDOWS - 1)]
    assert held == pytest.approx([PHASE_MARGIN_S + 0.0045] * len(held), abs=1e-6)
    assert waits[-1] == pytest.approx(PHASE_MARGIN_S, abs=1e-6)


def test_a_window_that_is_not_full_decides_nothing() -> None:
    pacer = settled()
    for _ in range(PHASE_WINDOW - 1):
        pacer.align(0.015)
    pacer.due(10.0)
    assert pacer.due_at == pytest.approx(10.02, abs=1e-9)
    pacer.align(0.015)
    pacer.due(pacer.due_at)
    assert pacer.due_at == pytest.approx(10.04 - MAX_SLEW_S)


# --- alarm ------------------------------------------------------------------------------------------------------------

Act = Callable[[Alarm], Awaitable[None]]


def open_timers() -> int:
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return sum(os.readlink(link) == "anon_inode:[timerfd]" for link in links if os.path.islink(link))


def on_uvloop(act: Act) -> None:
    """Run `act` with an alarm on the loop that workers run on, and let no descriptor behind."""

    async def main() -> None:
        alarm = Alarm(asyncio.get_running_loop())
        try:
            async with asyncio.timeout(5):
                await act(alarm)
        finally:
            alarm.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    assert open_timers() == 0


class Bells:
    """Functions for an alarm that write down their calls."""

    def __init__(self, enough: int) -> None:
        self.rung: list[str] = []
        self.done = asyncio.Event()
        self._enough = enough

    def bell(
        self, name: str, again: Callable[[float], float | None] = lambda now: None
    ) -> Callable[[float], float | None]:
        def ring(now: float) -> float | None:
            self.rung.append(name)
            if len(self.rung) >= self._enough:
                self.done.set()
            return again(now)

        return ring


def test_the_earliest_rings_first_and_never_too_early() -> None:
    async def act(alarm: Alarm) -> None:
        bells, start = Bells(4), time.monotonic()
        early: list[str] = []

        def watched(name: str, at: float) -> Callable[[float], float | None]:
            def check(now: float) -> None:
                if now < at:
                    early.append(name)

            return bells.bell(name, check)

        for name, after_s in (("c", 0.006), ("a", 0.002), ("d", 0.008), ("b", 0.004)):
            alarm.add(start + after_s, watched(name, start + after_s))
        await bells.done.wait()
        assert (bells.rung, early) == (["a", "b", "c", "d"], [])

    on_uvloop(act)


def test_of_the_same_moment_the_first_added_rings_first() -> None:
    async def act(alarm: Alarm) -> None:
        bells, at = Bells(3), time.monotonic() + 0.003
        for name in "abc":
            alarm.add(at, bells.bell(name))
        await bells.done.wait()
        assert bells.rung == ["a", "b", "c"]

    on_uvloop(act)


def test_what_is_overdue_rings_at_once() -> None:
    async def act(alarm: Alarm) -> None:
        bells = Bells(2)
        alarm.add(time.monotonic() - 5, bells.bell("late"))
        alarm.add(0.0, bells.bell("very late"))
        await bells.done.wait()
        assert sorted(bells.rung) == ["late", "very late"]

    on_uvloop(act)


def test_a_function_says_itself_when_it_is_called_again() -> None:
    async def act(alarm: Alarm) -> None:
        bells, times = Bells(5), []

        def again(now: float) -> float | None:
            times.append(now)
            return now + 0.001 if len(times) < 5 else None

        alarm.add(time.monotonic(), bells.bell("x", again))
        await bells.done.wait()
        assert bells.rung == ["x"] * 5
        assert times == sorted(times)

    on_uvloop(act)


def test_what_was_removed_does_not_ring() -> None:
    async def act(alarm: Alarm) -> None:
        bells, at = Bells(2), time.monotonic() + 0.002
        alarm.add(at, bells.bell("a"))
        unwanted = alarm.add(at, bells.bell("unwanted"))
        alarm.add(at + 0.002, bells.bell("b"))
        alarm.remove(unwanted)
        alarm.remove(unwanted)
        alarm.remove(4711)
        await bells.done.wait()
        assert bells.rung == ["a", "b"]

    on_uvloop(act)


def test_removal_from_inside_a_callback() -> None:
    """Itself, one that is due at the same moment, and one that has rung already."""

    async def act(alarm: Alarm) -> None:
        bells, at = Bells(4), time.monotonic() + 0.002
        handles: dict[str, int] = {}

        def remove(*names: str) -> Callable[[float], float]:
            def removing(now: float) -> float:
                for name in names:
                    alarm.remove(handles[name])
                return now + 0.001

            return removing

        handles["once"] = alarm.add(at, bells.bell("once"))
        handles["self"] = alarm.add(at, bells.bell("self", remove("self", "next", "once")))
        handles["next"] = alarm.add(at, bells.bell("next"))
        handles["other"] = alarm.add(at, bells.bell("other"))
        handles["last"] = alarm.add(at + 0.005, bells.bell("last"))
        await bells.done.wait()
        assert bells.rung == ["once", "self", "other", "last"]

    on_uvloop(act)


def test_adding_from_inside_a_callback() -> None:
    async def act(alarm: Alarm) -> None:
        bells, start = Bells(3), time.monotonic()

        def add(now: float) -> None:
            alarm.add(start, bells.bell("overdue"))
            alarm.add(now + 0.001, bells.bell("soon"))

        alarm.add(start + 0.001, bells.bell("adds", add))
        await bells.done.wait()
        assert bells.rung == ["adds", "overdue", "soon"]

    on_uvloop(act)


def test_an_earlier_one_is_not_kept_waiting_by_a_later_one() -> None:
    async def act(alarm: Alarm) -> None:
        bells, start = Bells(1), time.monotonic()
        alarm.add(start + 3600, bells.bell("in an hour"))
        alarm.add(start + 0.001, bells.bell("now"))
        await bells.done.wait()
        assert bells.rung == ["now"]

    on_uvloop(act)


def test_one_that_raises_takes_no_other_with_it() -> None:
    async def act(alarm: Alarm) -> None:
        told: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["exception"])))
        bells, at = Bells(2), time.monotonic() + 0.001

        def breaks(now: float) -> float | None:
            raise RuntimeError("broken bell")

        alarm.add(at, breaks)
        alarm.add(at, bells.bell("same moment"))
        alarm.add(at + 0.002, bells.bell("later"))
        await bells.done.wait()
        assert (bells.rung, told) == (["same moment", "later"], ["broken bell"])

    on_uvloop(act)


def test_a_hundred_calls_keep_their_beat() -> None:
    """Each pacer gets all its frames, whatever the machine is doing: ticks that came late are caught up."""

    async def act(alarm: Alarm) -> None:
        start, bells = time.monotonic(), Bells(100)
        frames = [0] * 100

        def call(number: int) -> Callable[[float], float | None]:
            pacer = Pacer(start + number * 0.0001, 10)

            def tick(now: float) -> float | None:
                due, skipped = pacer.due(now)
                frames[number] += due + skipped
                if frames[number] >= 10:
                    bells.bell("done")(now)
                    return None
                return pacer.due_at

            return tick

        for number in range(100):
            alarm.add(start + number * 0.0001, call(number))
        await bells.done.wait()
        assert min(frames) >= 10

    on_uvloop(act)


def test_closing_twice_and_closing_inside_a_callback() -> None:
    async def act(alarm: Alarm) -> None:
        bells = Bells(1)

        def close(now: float) -> float:
            alarm.close()
            return now + 0.001

        alarm.add(time.monotonic(), bells.bell("closes", close))
        await bells.done.wait()
        alarm.close()
        alarm.add(time.monotonic(), bells.bell("after the end"))
        await asyncio.sleep(0.005)
        assert bells.rung == ["closes"]

    on_uvloop(act)
