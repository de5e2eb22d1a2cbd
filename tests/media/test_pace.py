"""A platform's pace: sentences at once, a word at a time, stalls, jitter, other clocks."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from media.pace import Pace

Message = tuple[float, float]
"When it comes, in seconds, and how long it is, in milliseconds."


def judged(messages: Iterable[Message], pace: Pace | None = None) -> list[bool]:
    pace, sent_ms, said = pace or Pace(), 0.0, []
    for at, message_ms in messages:
        sent_ms += message_ms
        said.append(pace.pushed(message_ms, sent_ms, at))
    return said


def in_time(seconds: float, message_ms: float = 20, began: float = 100.0, ppm: float = 0) -> list[Message]:
    count = int(seconds * 1000 / message_ms)
    return [(began + n * message_ms / 1000 * (1 - ppm / 1e6), message_ms) for n in range(count)]


def sentence(at: float, seconds: float, message_ms: float = 20) -> list[Message]:
    return [(at + n * 0.0001, message_ms) for n in range(int(seconds * 1000 / message_ms))]


def stalled(messages: list[Message], at: float, seconds: float) -> list[Message]:
    """What was to come meanwhile comes at its end."""
    return [(at + seconds if at <= when < at + seconds else when, ms) for when, ms in messages]


@pytest.mark.parametrize("message_ms", [10, 20, 60, 200])
def test_in_real_time_after_two_seconds(message_ms: float) -> None:
    said = judged(in_time(5, message_ms))
    assert said.index(False) == pytest.approx(2000 / message_ms, abs=1)
    assert not any(said[said.index(False) :])


def test_sentences_at_once_are_ahead_however_many() -> None:
    assert all(judged([one for n in range(20) for one in sentence(100 + n * 4, 3)]))


def test_a_whole_sentence_in_one_message_is_ahead() -> None:
    assert all(judged([(100 + n * 5, 3000) for n in range(10)]))


def test_a_sentence_after_another_in_one_message_each_is_ahead_too() -> None:
    assert all(judged(in_time(60, message_ms=3000)))


@pytest.mark.parametrize("lead_ms", [100, 200, 500])
def test_a_cushion_is_kept(lead_ms: float) -> None:
    """Real time, but for a lead that it takes at the beginning and means to keep."""
    assert all(judged([*sentence(100, lead_ms / 1000), *in_time(30, began=100.02)]))


def test_short_words_are_not_judged() -> None:
    assert all(judged([one for n in range(20) for one in in_time(1.5, began=100 + 4 * n)]))


@pytest.mark.parametrize("stall_s", [0.2, 0.5, 1.0, 2.0])
def test_a_stall_of_one_in_real_time_is_no_lead(stall_s: float) -> None:
    said = judged(stalled(in_time(60), 140, stall_s))
    assert not any(said[200:])


def test_jitter_is_no_lead() -> None:
    dice = random.Random(1)
    late = sorted((when + dice.uniform(0, 0.03), ms) for when, ms in in_time(120))
    assert not any(judged(late)[400:])


@pytest.mark.parametrize("ppm", [-300, 300])
def test_another_clock_is_no_lead(ppm: float) -> None:
    assert not any(judged(in_time(3600, ppm=ppm))[200:])


def test_one_that_begins_to_send_ahead_is_noticed_with_its_first_sentence() -> None:
    pace = Pace()
    assert judged(in_time(20), pace)[-1] is False
    sent_ms, said = 20_000.0, []
    for at, message_ms in sentence(120.0, 3):
        sent_ms += message_ms
        said.append(pace.pushed(message_ms, sent_ms, at))
    assert said.index(True) <= 12
    assert all(said[said.index(True) :])


def test_messages_that_were_not_told_count_all_the_same() -> None:
    """Frames of one in real time take a short way that does not come here."""
    pace = Pace()
    judged(in_time(5), pace)
    assert pace.pushed(20, 60_000.0, 160.0) is False
    assert pace.pushed(400, 60_420.0, 160.0) is True
