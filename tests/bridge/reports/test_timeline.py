"""The timeline: marks stand where their moments were."""

from __future__ import annotations

from bridge.reports.timeline import happenings, lanes, length_s, zero
from media.wire import Moment
from tests.bridge.store.samples import over, standing

CALL = over(
    times={"invite": 100.0, "ringing": 100.0, "answered": 102.0, "ended": 109.0, "closed": 110.0},
    moments=[
        Moment(kind="transcript", at_s=103.0, who="agent", text="Hola"),
        Moment(kind="transcript", at_s=104.0, who="caller", text="Bue", final=False),
        Moment(kind="transcript", at_s=105.0, who="caller", text="Buenas"),
        Moment(kind="flush", at_s=105.0),
        Moment(kind="digit", at_s=106.0, who="caller", text="5", data={"duration_ms": 120}),
        Moment(kind="trouble", at_s=107.0, text="?"),
    ],
)


def test_lanes() -> None:
    assert lanes(CALL, 11) == [
        ("call", "░░████████▒"),
        ("caller", "     ▪"),
        ("agent", "   ▪"),
        ("barge-in", "     ◂"),
        ("digits", "      5"),
        ("trouble", "       !"),
    ]
    assert (zero(CALL), length_s(CALL)) == (100.0, 10.0)


def test_a_call_that_was_never_answered() -> None:
    assert lanes(over(times={"invite": 5.0, "ended": 6.0, "closed": 6.0}, moments=[]), 4) == [("call", "░░░░")]


def test_a_call_that_stands() -> None:
    assert lanes(standing(times={"invite": 0.0, "answered": 1.0}), 4) == [("call", "░░░█")]


def test_one_moment_is_no_length() -> None:
    assert lanes(standing(times={"invite": 5.0}), 3) == [("call", "░░░")]
    assert lanes(standing(), 3) == []
    assert happenings(standing()) == []


def test_everything_in_its_order() -> None:
    assert happenings(CALL) == [
        (0.0, "INVITE", ""),
        (0.0, "180 ringing", ""),
        (2.0, "200 answered", ""),
        (3.0, "agent transcript", "Hola"),
        (5.0, "caller transcript", "Buenas"),
        (5.0, "flush", ""),
        (6.0, "caller digit", "5 duration_ms=120"),
        (7.0, "trouble", "?"),
        (9.0, "ended", ""),
        (10.0, "record closed", ""),
    ]
