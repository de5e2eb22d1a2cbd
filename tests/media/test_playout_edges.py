"""Where the agent's audio breaks off and where it comes back: nothing clicks."""

from __future__ import annotations

import pytest

from media.conceal import JOIN_MS, conceal, ended, join
from media.playout import MAX_QUEUE_MS
from tests.helpers.playing import FRAME, PCMU, PTIME_S, QUIET, figures, heard, play, playout, speech


def test_a_platform_that_sends_ahead_and_has_nothing_more_to_send_has_ended() -> None:
    """Its last sound falls silent at once, whatever it was; what comes back soon is faded in."""
    queue = playout(sends_ahead=True)
    queue.push(speech(2), 1.0)
    play(queue, 2, 1.0)
    end, *rest = play(queue, 10, 1.04)
    assert end == ended(PCMU, conceal(PCMU, speech(2), JOIN_MS * 8), FRAME)
    assert rest == [None] * 9
    queue.push(speech(2), 1.24)
    assert heard(play(queue, 2, 1.24)) == join(PCMU, PCMU.silence * FRAME, speech(2))


def test_a_platform_that_could_send_ahead_and_does_not_is_only_late() -> None:
    """An echo in real time: the frame that misses its tick is bridged by the sound before it."""
    queue = playout(sends_ahead=True)
    for tick in range(5):
        queue.push(speech(1), 1.0 + tick * PTIME_S)
        queue.next(1.005 + tick * PTIME_S)
    assert play(queue, 4, 1.105) == [conceal(PCMU, speech(1) * 2, FRAME, n * FRAME) for n in range(3)] + [None]


@pytest.mark.parametrize("sends_ahead", [False, True])
def test_after_silence_nothing_fades(sends_ahead: bool) -> None:
    queue = playout(sends_ahead=sends_ahead)
    queue.push(speech(2) + QUIET, 1.0)
    play(queue, 3, 1.0)
    assert play(queue, 5, 1.06) == [None] * 5
    queue.flush(1.15)
    assert play(queue, 5, 1.16) == [None] * 5


def test_new_words_right_behind_a_flush_take_over_from_the_old_ones() -> None:
    queue = playout()
    queue.push(speech(2), 1.0)
    play(queue, 1, 1.0)
    queue.flush(1.01)
    queue.push(speech(3)[FRAME:], 1.015)
    assert heard(play(queue, 2, 1.02)) == join(PCMU, speech(2)[FRAME:], speech(3)[FRAME:])
    play(queue, 4, 1.06)
    queue.flush(1.14)
    play(queue, 1, 1.14)
    queue.push(speech(2), 5.0)
    assert queue.next(5.0) == speech(1)


def test_what_overflows_leaves_no_click() -> None:
    queue = playout(sends_ahead=True)
    queue.push(speech(1), 1.0)
    queue.next(1.0)
    queue.push(speech(MAX_QUEUE_MS // 20 + 3), 1.01)
    assert figures(queue)["overflow_ms"] == 60
    assert queue.next(1.02) == join(PCMU, speech(1), speech(4)[3 * FRAME :])
