from __future__ import annotations

import msgspec
import pytest

from bridge.bench.failover.report import CallSeen, CaseReport, StateSeen, judged
from tests.bridge.bench.failover.cases import GOOD, call, seen, stood


def test_all_goals_reached() -> None:
    report = judged(seen())
    assert (report.outbound_after_s, report.inbound_after_s, report.slowest_s) == (3.2, 1.1, 4.1)
    assert (report.lost, report.survived, report.longest_gap_ms) == (0, 2, 41)
    assert (report.outbound_back_s, report.inbound_back_s, report.switches) == (2.0, 0.5, 2)
    assert report.missed == ()
    assert msgspec.json.decode(msgspec.json.encode(report), type=CaseReport) == report


@pytest.mark.parametrize(
    ("calls", "missed"),
    [
        ((*GOOD, call(4, "", None, why="503")), ("1 calls lost",)),
        ((*GOOD, call(14, "backup")), ("calls did not return to the primary", "3 switches: it flaps")),
        (
            (call(0, "backup", 6.0), call(12, "primary"), call(0, "backup", 0.2, "inbound")),
            ("outbound calls worked after 6.0 s only", "calls did not return to the primary"),
        ),
        (
            (call(11, "primary"), call(12, "primary", 0.1, "inbound")),
            ("no outbound call was answered after the failure", "no inbound call was answered after the failure"),
        ),
    ],
    ids=["lost", "flaps", "late", "nothing over the backup"],
)
def test_a_goal_that_is_missed_is_said(calls: tuple[CallSeen, ...], missed: tuple[str, ...]) -> None:
    assert judged(seen(*calls)).missed == missed


def test_where_calls_go_during_a_trial_is_no_switch() -> None:
    half_open = StateSeen(at_s=11.6, trunk="killed-primary", state="half-open", registration="", because="")
    up = StateSeen(at_s=14.5, trunk="killed-primary", state="up", registration="", because="")
    calls = (*GOOD, call(14, "backup"), call(15, "primary"))
    assert judged(seen(*calls)).switches == 4
    on_trial = msgspec.structs.replace(seen(*calls), states=(*seen().states[:2], half_open, up))
    assert judged(on_trial).switches == 2


def test_a_standing_call_that_fell_silent() -> None:
    report = judged(seen(standing=(stood(), stood(survived=False, gap_ms=9000))))
    assert report.missed == ("1 of 2 standing calls did not survive",)
    assert report.longest_gap_ms == 9000


def test_where_it_has_moved_the_new_machine_is_home() -> None:
    calls = (
        call(-1, "primary"), call(0, "backup", 4.1), call(3, "moved"), call(4, "moved"),
        call(0.5, "backup", 0.1, "inbound"), call(3.5, "moved", 0.1, "inbound"),
    )  # fmt: skip
    report = judged(seen(*calls, home="moved"))
    assert (report.outbound_after_s, report.outbound_back_s, report.inbound_back_s) == (3.2, 3, 3.5)
    assert report.missed == ()


def test_what_was_not_measured_misses_nothing() -> None:
    assert judged(CaseReport(name="slow", help="", home="primary", trouble="no Kamailio")).missed == ()
