"""The queue after a change of codec, ptime or far end."""

from __future__ import annotations

import pytest

from media.conceal import JOIN_MS
from tests.helpers.playing import PCMA, PCMU, figures, heard, play, playout, speech


def test_the_same_shape_needs_no_successor() -> None:
    queue = playout()
    assert queue.successor(PCMU, 20, sends_ahead=True) is queue
    assert queue.sends_ahead


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
@pytest.mark.parametrize("codec", [PCMU, PCMA], ids=["PCMU", "PCMA"])
def test_a_change_of_codec_or_ptime_keeps_every_sample(codec: object, ptime_ms: int) -> None:
    new = PCMA if codec is PCMA else PCMU
    queue = playout(sends_ahead=True)
    queue.push(speech(12.5), 1.0)
    played = heard(play(queue, 2, 1.0))
    heir = queue.successor(new, ptime_ms, sends_ahead=True)
    rest: list[bytes | None] = [heir.next(1.04 + n * ptime_ms / 1000) for n in range(40)]
    expected = new.encode(PCMU.decode(speech(12.5)[len(played) :]))
    assert heard(rest)[: len(expected)] == expected
    ending = heard(rest)[len(expected) :]
    assert new.is_quiet(ending[JOIN_MS * 8 :])
    assert len(ending) <= 2 * 8 * ptime_ms  # the rest of its frame, and what it fades with


def test_the_figures_run_on() -> None:
    queue = playout()
    queue.push(speech(20.5), 1.0)
    play(queue, 5, 1.0)
    queue.flush(1.1)
    queue.push(speech(3), 1.11)
    heir = queue.successor(PCMA, 20, sends_ahead=True)
    assert heir.sends_ahead
    play(heir, 3, 1.12)
    assert figures(heir) == {"played_ms": 160, "flushed_ms": 310}
    assert (heir.queued.count, heir.barge_in.spread().max) == (8, 20.0)
