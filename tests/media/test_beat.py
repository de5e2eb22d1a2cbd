"""When frames leave: with the timer, or with the frame itself. The alarm is played by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from media.beat import Beat
from media.clock import PATIENCE_S, Alarm, Bell
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
