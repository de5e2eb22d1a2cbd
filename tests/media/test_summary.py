"""What a call's report is made of."""

from __future__ import annotations

from media.near import NearEnd
from media.playout import Playout
from media.summary import Tally, far_report


def test_what_a_slow_socket_left_out_was_not_sent() -> None:
    near, tally = NearEnd(), Tally()
    tally.up_bytes = 8 * 1000
    report = far_report(near, Playout(near.codec, 20, sends_ahead=False), None, tally, 120.4)
    assert (report.sent_ms, report.backlog_dropped_ms) == (880, 120)


def test_what_the_far_end_before_left_out_stays_counted() -> None:
    near, tally = NearEnd(), Tally()
    tally.up_bytes, tally.backlog_dropped_ms = 8 * 1000, 300.0
    report = far_report(near, Playout(near.codec, 20, sends_ahead=False), None, tally, 120.4)
    assert (report.sent_ms, report.backlog_dropped_ms) == (580, 420)
