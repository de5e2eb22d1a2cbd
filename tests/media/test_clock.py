from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from media.clock import (
    FIRST_WINDOW,
    HELD_WINDOWS,
    MAX_CATCH_UP,
    MAX_SLEW_S,
    PATIENCE_S,
    PHASE_MARGIN_S,
    PHASE_WINDOW,
    WORTH_WAITING_S,
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
    """All frames come the margin before their tick is due, but one, which misses it by 3 ms."""
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
    assert held == pytest.approx([2 * PHASE_MARGIN_S + 0.003] * len(held), abs=1e-6)
    assert waits[-1] == pytest.approx(PHASE_MARGIN_S, abs=1e-6)


def after_windows(*latest_s: float, usual_s: float) -> float:
    """How long before its tick the usual frame comes, when each window had its latest one so much behind that."""
    pacer = settled()
    due_at = pacer.due_at
    for late in latest_s:
        for number in range(PHASE_WINDOW):
            pacer.align(usual_s - (late if not number else 0.0))
    for _ in range(1000):
        pacer.due(pacer.due_at)
        due_at += 0.02
    return usual_s + pacer.due_at - due_at


@pytest.mark.parametrize(
    ("latest_s", "wait_s"),
    [
        ((0.0, 0.0, 0.0), 0.0),
        ((0.0, 0.006, 0.0), 0.006),  # nobody waits for it: the tick is open that long
        ((0.0, 0.015, 0.0), 0.0),  # all would have to wait 9 ms for an accident
        ((0.0, 0.015, 0.012), 0.012),  # two are no accident
        ((0.015, 0.0, 0.015, 0.0), 0.015),
    ],
)
def test_what_is_late_once_is_not_waited_for_by_all_others(latest_s: tuple[float, ...], wait_s: float) -> None:
    assert after_windows(*latest_s, usual_s=0.018) == pytest.approx(PHASE_MARGIN_S + wait_s, abs=1e-6)


def test_a_window_that_is_not_full_decides_nothing() -> None:
    pacer = settled()
    for _ in range(PHASE_WINDOW - 1):
        pacer.align(0.015)
    pacer.due(10.0)
    assert pacer.due_at == pytest.approx(10.02, abs=1e-9)
    pacer.align(0.015)
    pacer.due(pacer.due_at)
    assert pacer.due_at == pytest.approx(10.04 - MAX_SLEW_S)


def test_a_frame_takes_its_tick_while_that_is_open() -> None:
    """Who waits leaves when the tick opens, silence when it is due; the beat stays the same either way."""
    pacer = Pacer(10.0, 20)
    assert pacer.opens_at == pytest.approx(10.0 - PATIENCE_S)
    assert (pacer.tick_at(True), pacer.tick_at(False)) == (pacer.opens_at, pacer.due_at)
    early = pacer.due_at - pacer.opens_at
    assert pacer.due(pacer.opens_at + early) == (1, 0)
    assert pacer.due_at == pytest.approx(10.02)


def test_short_frames_are_waited_for_half_their_length_at_most() -> None:
    assert Pacer(10.0, 10).opens_at == pytest.approx(10.0 - 0.005)
