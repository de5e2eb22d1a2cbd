"""Marks in the queue: each comes when the audio before it has left, whatever took it, in order and once."""

from __future__ import annotations

import random

import pytest

from media.playout import MAX_QUEUE_MS, Playout
from tests.helpers.playing import FRAME, PCMA, PCMU, PTIME_S, QUIET, heard, playout, speech


def ticks(queue: Playout, count: int, now: float = 1.0) -> list[list[str]]:
    """The marks that each tick brings."""
    found = []
    for tick in range(count):
        queue.next(now + tick * PTIME_S)
        found.append(queue.marks_reached())
    return found


def test_an_empty_queue_answers_at_once() -> None:
    queue = playout(sends_ahead=True)
    assert queue.mark("first")
    assert (queue.has_marks, queue.marks_reached(), queue.has_marks) == (True, ["first"], False)
    assert queue.marks_reached() == []


def test_a_mark_comes_with_the_tick_that_takes_the_last_frame_before_it() -> None:
    queue = playout(sends_ahead=True)
    for name in ("one", "two", "three"):
        queue.push(speech(2), 1.0)
        queue.mark(name)
    assert queue.marks_reached() == []
    assert ticks(queue, 8) == [[], ["one"], [], ["two"], [], ["three"], [], []]


@pytest.mark.parametrize("size", [1, 80, 159, 161, 200])
def test_a_mark_inside_a_frame_comes_with_that_frame_never_before(size: int) -> None:
    """As agents do that send a mark after each chunk, whatever its length."""
    queue, voice = playout(sends_ahead=True), speech(10)
    places = range(size, len(voice) + 1, size)
    for place in places:
        queue.push(voice[place - size : place], 1.0)
        queue.mark(str(place))
    queue.push(voice[places[-1] :], 1.0)
    for tick, names in enumerate(ticks(queue, 10), 1):
        assert names == [str(place) for place in places if (tick - 1) * FRAME < place <= tick * FRAME]


def test_the_last_mark_waits_for_the_tail_that_is_padded() -> None:
    queue = playout(sends_ahead=True)
    queue.push(speech(1.5), 1.0)
    queue.mark("end")
    found = [(queue.next(1.0 + tick * PTIME_S), queue.marks_reached()) for tick in range(8)]
    [tail] = [frame for frame, names in found if names == ["end"]]
    assert tail is not None
    assert tail[FRAME // 4 : FRAME // 2] == speech(1.5)[-FRAME // 4 :]


def test_a_clear_gives_all_of_them_back_at_once_in_order() -> None:
    queue = playout(sends_ahead=True)
    for number in range(50):
        queue.push(speech(1.3), 1.0)
        queue.mark(str(number))
    assert ticks(queue, 3) == [[], ["0"], ["1"]]
    queue.flush(1.05)
    assert queue.marks_reached() == [str(number) for number in range(2, 50)]
    queue.push(speech(1), 1.06)
    queue.mark("new turn")
    assert queue.marks_reached() == []
    assert ticks(queue, 1, 1.06) == [["new turn"]]


def test_what_overflows_takes_its_marks_along() -> None:
    queue, second = playout(sends_ahead=True), bytes(50 * FRAME)
    for number in range(MAX_QUEUE_MS // 1000 + 3):
        queue.push(second, 1.0)
        queue.mark(str(number))
    assert queue.marks_reached() == ["0", "1", "2"]
    assert ticks(queue, 50)[-1] == ["3"]


def test_what_is_drained_of_a_standing_queue_takes_its_marks_along() -> None:
    """A real-time platform after a stall: words are cut together, marks are neither lost nor swapped nor early."""
    queue, sent, came = playout(), 0, []
    for tick in range(150):
        for _ in range(13 if tick == 0 else 1):
            queue.push(QUIET if sent % 4 == 0 else speech(1), 1.0 + tick * PTIME_S)
            queue.mark(str(sent))
            sent += 1
        queue.next(1.0 + tick * PTIME_S)
        came += queue.marks_reached()
        assert len(came) + len(queue) == sent
    assert queue.drained_ms == 240
    assert came == [str(number) for number in range(sent)]


@pytest.mark.parametrize(("codec", "ptime_ms"), [(PCMA, 20), (PCMU, 10), (PCMU, 60), (PCMA, 30)])
def test_a_change_of_codec_or_ptime_keeps_them_where_they_are(codec: object, ptime_ms: int) -> None:
    queue = playout(sends_ahead=True)
    queue.mark("at once")
    for name in ("one", "two", "three"):
        queue.push(speech(3), 1.0)
        queue.mark(name)
    queue.push(speech(0.5), 1.0)
    queue.mark("tail")
    queue.next(1.0)
    heir = queue.successor(PCMA if codec is PCMA else PCMU, ptime_ms, sends_ahead=True)
    assert heir.marks_reached() == ["at once"]
    came, played = [], 20
    for tick in range(60):
        now = 1.02 + tick * ptime_ms / 1000
        played += ptime_ms if heir.next(now) is not None else 0
        came += [(name, played) for name in heir.marks_reached()]
    assert [name for name, _ in came] == ["one", "two", "three", "tail"]
    for (_, at_ms), due_ms in zip(came, (60, 120, 180, 190), strict=True):
        assert due_ms <= at_ms < due_ms + 20 + ptime_ms


def test_a_far_end_that_is_gone_gets_nothing() -> None:
    queue = playout(sends_ahead=True)
    queue.push(speech(2), 1.0)
    queue.mark("old")
    queue.forget_marks()
    queue.push(speech(1), 1.0)
    queue.mark("new")
    assert ticks(queue, 4) == [[], [], ["new"], []]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("sends_ahead", [False, True])
def test_whatever_happens_each_comes_once_in_order_and_never_early(seed: int, sends_ahead: bool) -> None:
    dice, queue = random.Random(seed), playout(sends_ahead=sends_ahead)
    put, came, taken = 0, [], b""
    behind: dict[int, int] = {}
    "Mark -> bytes that had been pushed before it."
    pushed = dropped = 0
    for step in range(2000):
        now = 1.0 + step * 0.005
        match dice.choices(("push", "mark", "tick", "flush"), weights=(10, 20, 30, 1))[0]:
            case "push":
                data = speech(dice.uniform(0, 3))
                pushed += len(data)
                queue.push(data, now)
            case "mark":
                behind[put] = pushed
                queue.mark(str(put))
                put += 1
            case "tick":
                taken += heard([queue.next(now)])
            case "flush":
                dropped += queue.flush(now) * 8 + 8
        names = queue.marks_reached()
        # Never early: padding and what was drained may only add to what has left.
        assert all(behind[int(name)] <= len(taken) + dropped + queue.drained_ms * 8 for name in names)
        came += names
    queue.flush(100.0)
    assert came + queue.marks_reached() == [str(number) for number in range(put)]
