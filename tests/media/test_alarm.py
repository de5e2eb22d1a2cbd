"""The worker's one timer on a real loop: order, removal, and functions that raise."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

import uvloop

from media.clock import (
    Alarm,
    Bell,
    Pacer,
)

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
        await bells.done.wait()
        assert bells.rung == ["a", "b"]

    on_uvloop(act)


def test_removal_from_inside_a_callback() -> None:
    """Itself, one that is due at the same moment, and one that has rung already."""

    async def act(alarm: Alarm) -> None:
        bells, at = Bells(4), time.monotonic() + 0.002
        handles: dict[str, Bell] = {}

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


def test_what_was_put_off_rings_at_its_new_time_only() -> None:
    async def act(alarm: Alarm) -> None:
        bells, at = Bells(2), time.monotonic() + 0.002
        put_off = alarm.add(at, bells.bell("put off"))
        alarm.add(at + 0.002, bells.bell("b"))
        put_off.at = at + 0.004
        await bells.done.wait()
        assert bells.rung == ["b", "put off"]
        assert time.monotonic() >= at + 0.004

    on_uvloop(act)


def test_what_is_called_sooner_rings_once() -> None:
    async def act(alarm: Alarm) -> None:
        bells, at = Bells(3), time.monotonic() + 0.002
        hurried = alarm.add(at + 0.004, bells.bell("hurried"))
        gone = alarm.add(at + 0.004, bells.bell("gone"))
        alarm.add(at + 0.002, bells.bell("b"))
        alarm.add(at + 0.006, bells.bell("last"))
        alarm.sooner(hurried, at)
        alarm.remove(gone)
        alarm.sooner(gone, at)
        await bells.done.wait()
        assert bells.rung == ["hurried", "b", "last"]

    on_uvloop(act)


def test_an_alarm_without_bells_sleeps() -> None:
    """A timer that has rung and is not set anew would wake the loop for ever."""

    async def act(alarm: Alarm) -> None:
        bells = Bells(1)
        alarm.add(time.monotonic(), bells.bell("only"))
        await bells.done.wait()
        used = time.process_time()
        await asyncio.sleep(0.1)
        assert time.process_time() - used < 0.05

    on_uvloop(act)
