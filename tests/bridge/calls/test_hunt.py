"""Which refusal counts when no platform takes the call."""

from __future__ import annotations

import pytest

from bridge.calls.hunt import Candidate, Hunt, Stage, most_telling
from bridge.calls.words import CreatePlatform, PlatformRefused
from bridge.errors import Blame, End, PlatformBusy, PlatformDenied, PlatformDown, PlatformSlow

BUSY = PlatformBusy("b", "full").end()
DOWN = PlatformDown("d", "500").end()
SLOW = PlatformSlow("s", "3 s").end()
DENIED = PlatformDenied("x", "401").end()


@pytest.mark.parametrize(
    ("causes", "told"),
    [
        ([BUSY], BUSY),
        ([DENIED], DENIED),
        ([BUSY, DENIED], BUSY),
        ([DENIED, BUSY], BUSY),
        ([DOWN, BUSY], DOWN),
        ([BUSY, SLOW, DENIED], SLOW),
        ([DOWN, SLOW], SLOW),
        ([DENIED, DENIED], DENIED),
    ],
)
def test_the_most_hopeful_cause_is_told(causes: list[End], told: End) -> None:
    assert most_telling(causes) is told


def test_an_unknown_status_is_better_than_nothing() -> None:
    odd = End(Blame.SERVER, "odd", 500)
    assert most_telling([odd]) is odd


def hunt(*names: str) -> Hunt:
    return Hunt("c1", [Candidate(name) for name in names])


def test_in_order_to_the_end() -> None:
    one = hunt("one", "two")
    assert one.start(0.0) == [CreatePlatform(0, "one")]
    assert one.on_refused(PlatformRefused(0, DENIED), 1.0) == [CreatePlatform(1, "two")]
    assert one.on_refused(PlatformRefused(1, BUSY), 3.5) == []
    assert (one.stage, one.failed, one.platform) == (Stage.FAILED, BUSY, "")
    assert [(attempt.platform, attempt.outcome, attempt.took_ms) for attempt in one.attempts] == [
        ("one", "platform-denied", 1000.0),
        ("two", "platform-busy", 2500.0),
    ]


def test_a_cause_that_forbids_the_next() -> None:
    one = hunt("one", "two")
    one.start(0.0)
    final = End(Blame.CLIENT, "blocked", 403)
    assert one.on_refused(PlatformRefused(0, final), 1.0) == []
    assert one.failed is final


def test_a_late_refusal_of_an_earlier_attempt_is_nothing() -> None:
    one = hunt("one", "two", "three")
    one.start(0.0)
    one.on_refused(PlatformRefused(0, BUSY), 1.0)
    assert one.on_refused(PlatformRefused(0, BUSY), 1.0) == []
    assert one.platform == "two"


def test_given_up_twice() -> None:
    one = hunt("one")
    one.start(0.0)
    one.give_up(BUSY, 1.0)
    assert one.give_up(DOWN, 2.0) == []
    assert [attempt.outcome for attempt in one.attempts] == ["platform-busy"]
