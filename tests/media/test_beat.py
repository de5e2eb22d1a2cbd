"""When frames leave: with the timer, or with the frame itself. The alarm is played by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import cast

import pytest

from media.beat import Beat
from media.clock import PATIENCE_S, WORTH_WAITING_S, Alarm, Bell
from media.codecs import CODECS
from media.playout import Playout

PCMU = CODECS["PCMU"]
FRAME = bytes(range(0x80, 0x80 + 40)) * 4
START = 10.0


class HandAlarm:
    """Rings when the test says so."""

    def __init__(self) -> None:
        self.bells: list[Bell] = []

    def add(self, at: float, function: Callable[[float], float | None]) -> Bell:
        self.bells.append(Bell(at, 1, function))
        return self.bells[-1]

    def sooner(self, bell: Bell, at: float) -> None:
        bell.at = at

    def remove(self, bell: Bell) -> None:
        self.bells.remove(bell)

    def ring(self, at: float | None = None) -> float:
        """At its time, or later. Returns when it was."""
        (bell,) = self.bells
        now = bell.at if at is None else at
        again = bell.function(now)
        assert again is not None
        bell.at = again
        return now


class Table:
    """A beat, its queue, and what has left."""

    def __init__(self, *, sends_ahead: bool = False) -> None:
        self.alarm = HandAlarm()
        self.playout = Playout(PCMU, 20, sends_ahead=sends_ahead)
        self.left: list[tuple[float, bool]] = []
        "(when, whether it was speech)"
        self.late: list[float] = []
        self.beat = Beat(cast(Alarm, self.alarm), self.playout, self.tick, self.late.append)
        self.beat.use(self.playout, 20, START)

    def tick(self, frames: int, skipped: int, early: float, now: float) -> None:
        for _ in range(frames):
            self.left.append((now, self.playout.next(now, early) is not None))

    def comes(self, at: float, frames: int = 1) -> None:
        self.playout.push(FRAME * frames, at)
        self.beat.hasten(at)

    @property
    def bell_at(self) -> float:
        return self.alarm.bells[0].at


def test_silence_leaves_when_it_is_due() -> None:
    on = Table()
    assert [on.alarm.ring() for _ in range(3)] == pytest.approx([START, START + 0.02, START + 0.04])
    assert [speech for _, speech in on.left] == [False] * 3
    assert on.late == pytest.approx([0.0] * 3)


def test_a_frame_that_comes_while_the_tick_is_open_leaves_at_once() -> None:
    on = Table()
    on.alarm.ring()
    on.comes(START + 0.02 - PATIENCE_S / 2)
    assert on.left[1:] == [(START + 0.02 - PATIENCE_S / 2, True)]
    assert on.bell_at == pytest.approx(START + 0.04)  # the tick is taken, and nothing was late
    assert len(on.late) == 1


def test_a_frame_that_comes_too_early_leaves_when_the_tick_opens() -> None:
    on = Table()
    on.alarm.ring()
    on.comes(START + 0.002)
    assert len(on.left) == 1
    assert on.bell_at == pytest.approx(START + 0.02 - PATIENCE_S)
    on.alarm.ring()
    assert on.left[1][0] == pytest.approx(START + 0.02 - PATIENCE_S)
    assert on.left[1][1]
    assert on.bell_at == pytest.approx(START + 0.04)


def test_a_bell_that_rings_for_a_tick_that_was_taken_does_nothing() -> None:
    on = Table()
    on.alarm.ring()
    on.comes(START + 0.019)
    on.alarm.ring(START + 0.02)
    assert len(on.left) == 2
    assert on.bell_at == pytest.approx(START + 0.04)


def test_what_stands_behind_others_is_not_hurried() -> None:
    on = Table()
    on.alarm.ring()
    on.comes(START + 0.019, frames=3)
    assert on.bell_at == pytest.approx(START + 0.04)
    assert [on.alarm.ring(), on.alarm.ring()] == pytest.approx([START + 0.04, START + 0.06])
    assert [speech for _, speech in on.left] == [False, True, True, True]


def test_what_a_platform_sends_ahead_keeps_the_beat() -> None:
    on = Table(sends_ahead=True)
    on.alarm.ring()
    on.comes(START + 0.019)
    assert len(on.left) == 1
    assert on.alarm.ring() == pytest.approx(START + 0.02)
    assert on.left[1][1]


@pytest.mark.parametrize("sends_ahead", [True, False])
def test_the_silence_after_a_barge_in_does_not_wait(sends_ahead: bool) -> None:
    on = Table(sends_ahead=sends_ahead)
    on.comes(START, frames=9)
    on.alarm.ring(START)
    on.playout.flush(START + 0.001)
    on.beat.hasten(START + 0.001)
    assert on.alarm.ring() - START <= 0.02


def test_the_phase_follows_what_came_early() -> None:
    """Frames that come 1 ms before their tick is due are 3 ms too late for the margin: the ticks move behind them."""
    on = Table()
    on.alarm.ring()
    for number in range(1, 60):
        on.comes(START - 0.001 + number * 0.02)
        if on.bell_at <= START + number * 0.02:
            on.alarm.ring()
    assert on.bell_at == pytest.approx(START + 60 * 0.02 + 0.003, abs=1e-4)


def test_a_beat_that_was_stopped_is_silent() -> None:
    on = Table()
    on.beat.stop()
    assert on.alarm.bells == []
    on.comes(START + 0.019)


def test_early_ticks_alone_tell_nothing_of_what_stands() -> None:
    """Until its time more may come behind a frame that leaves early: only ticks that were due have seen the queue."""
    playout = Playout(PCMU, 20, sends_ahead=False)
    for number in range(100):
        playout.push(FRAME * 2, START + number * 0.02)
        assert playout.next(START + number * 0.02, 0.004) is not None
        playout._frames.popleft()
    assert (playout.drained_ms, playout.overflow_ms) == (0, 0)


class Follower(Table):
    """A platform in real time, each of its frames later than its time by so much."""

    def __init__(self, lateness_s: list[float]) -> None:
        super().__init__()
        self.waits: list[tuple[float, float]] = []
        "(when, how long before its tick was due the frame had come)"
        comes_at = START
        for number, late_s in enumerate(lateness_s):
            comes_at = max(comes_at, START + 0.0105 + number * 0.02 + late_s)
            while self.bell_at <= comes_at:
                self.alarm.ring()
            self.comes(comes_at)

    def tick(self, frames: int, skipped: int, early: float, now: float) -> None:
        super().tick(frames, skipped, early, now)
        self.waits.append((now - START, self.playout.waited))


@pytest.mark.parametrize("late_s", [0.006, 0.008, 0.012, 0.016, 0.024, 0.03, 0.045])
def test_a_frame_that_was_late_once_costs_a_second_of_delay_at_most(late_s: float) -> None:
    """It had been seconds for one that comes right after its tick: the queue is never deep, all are a frame late."""
    lateness_s = [0.0005 * (number % 3) for number in range(400)]
    lateness_s[200] = late_s
    on = Follower(lateness_s)
    before = [wait for at, wait in on.waits if 3.0 < at < 4.0]
    after = [wait for at, wait in on.waits if at > 5.05 and wait >= 0]
    assert max(before) < 0.0055
    # what has missed its tick by little is waited for from then on, within the time that the tick is open
    assert max(after) < (PATIENCE_S + WORTH_WAITING_S if late_s < PATIENCE_S else max(before) + 0.001)
    assert on.playout.drained_ms in (20, 40, 60)
    assert on.playout.underruns == 1


@pytest.mark.parametrize("jitter_s", [0.01, 0.02, 0.03])
def test_jitter_that_is_always_there_is_waited_for_and_never_cut(jitter_s: float) -> None:
    dice = random.Random(1)
    lateness_s = [dice.uniform(0, jitter_s) for _ in range(2000)]
    learning, on = Follower(lateness_s[:300]), Follower(lateness_s)
    assert on.playout.drained_ms == learning.playout.drained_ms <= 40
    assert on.playout.underruns == learning.playout.underruns <= 3
