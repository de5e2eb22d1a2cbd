from __future__ import annotations

import pytest

from bridge.calls.logwords import describe, summary
from bridge.calls.words import Input, PlatformRefused
from bridge.errors import PlatformDown
from bridge.records import CallRecord
from media import wire
from sip import messages as sip
from tests.fakes import CALL, NEAR, far_spec, offer


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (sip.Refuse(call=CALL, status=486, retry_after_s=5), "Refuse status=486"),
        (wire.StartNear(call=CALL, near=NEAR), "StartNear PCMA/20 to 192.0.2.7:4000"),
        (wire.ConnectFar(call=CALL, far=far_spec()), "ConnectFar"),
        (sip.Answer(call=CALL, sdp=offer()), "Answer"),
        (
            PlatformRefused(0, PlatformDown("one", "HTTP 500").end()),
            "PlatformRefused reason=platform-down detail=one: HTTP 500",
        ),
    ],
)
def test_messages_in_the_log(message: Input | sip.Command | wire.Command, line: str) -> None:
    assert describe(message) == line


def test_summary() -> None:
    record = CallRecord(call=CALL, direction="inbound", started_at="", platform="one", sip_status=486)
    record.reason, record.blame, record.detail = "platform-busy", "upstream_error", "one: full"
    assert summary(record) == "platform-busy (upstream_error) 0.0 s SIP 486 platform one : one: full"
    record.media = wire.CallReport(near=wire.NearReport(lost=1, expected=100, jitter_ms=0.25))
    assert "lost 1/100 jitter 0.2 ms up p50 0.00 p99 0.00 ms" in summary(record)
