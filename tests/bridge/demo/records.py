"""A made-up call, seen by the bridge and by the caller: twenty seconds, two turns, one interruption."""

from __future__ import annotations

from typing import Any

from bridge.demo.story import Story
from bridge.records import Attempt, CallRecord
from media.wire import CallReport, FarReport, Moment, NearReport, Spread

ZERO = 1000.0
"time.monotonic() when the caller sent the INVITE."


def moment(kind: Any, at_s: float, who: str = "", text: str = "", final: bool = True) -> Moment:
    return Moment(kind=kind, at_s=ZERO + at_s, who=who, text=text, final=final)


MOMENTS = [
    moment("first-audio", 0.132),
    moment("state", 0.135, "agent", "speaking"),
    moment("transcript", 0.5, "agent", "Hello, this", final=False),
    moment("transcript", 3.5, "agent", "Hello, this is the parcel desk, how can I help you?"),
    moment("state", 3.52, "agent", "listening"),
    moment("transcript", 8.7, "caller", "[3.2 s of speech]"),
    moment("state", 8.72, "agent", "thinking"),
    moment("state", 9.0, "agent", "speaking"),
    moment("flush", 12.5),
    moment("state", 12.51, "agent", "listening"),
    moment("transcript", 12.55, "agent", "Your parcel left our depot this morning at"),
    moment("transcript", 14.9, "caller", "[2.3 s of speech]"),
    moment("state", 15.3, "agent", "speaking"),
    moment("digit", 17.0, "caller", "1"),
    moment("transcript", 18.0, "agent", "Of course, I have moved it to tomorrow."),
    moment("state", 18.1, "agent", "listening"),
]


def bridge_record(**changes: Any) -> CallRecord:
    """As the bridge wrote it."""
    facts: dict[str, Any] = {
        "call": "7f3a91c2",
        "direction": "inbound",
        "started_at": "2026-11-22T10:00:00Z",
        "trunk": "local",
        "caller": "+4930123456",
        "dialled": "+525512345678",
        "platform": "ultravox",
        "attempts": [
            Attempt(platform="vapi", outcome="platform-busy", took_ms=20.0),
            Attempt(platform="ultravox", outcome="ready", took_ms=60.0),
        ],
        "codec": "PCMU",
        "times": {
            "invite": ZERO + 0.001,
            "ringing": ZERO + 0.002,
            "port": ZERO + 0.003,
            "far-ready": ZERO + 0.090,
            "answered": ZERO + 0.091,
            "confirmed": ZERO + 0.093,
            "ended": ZERO + 20.0,
            "closed": ZERO + 20.01,
        },
        "blame": "success",
        "reason": "caller-hung-up",
        "duration_s": 19.909,
        "moments": MOMENTS,
        "media": CallReport(
            near=NearReport(received=995, expected=996, lost=1, jitter_ms=0.42, sent=993),
            far=FarReport(sent_ms=19900, received_ms=14000, played_ms=11000, flushed_ms=3000),
            up_ms=Spread(count=995, p50=0.11, p95=0.24, p99=0.61, max=1.4),
            down_ms=Spread(count=55, p50=8.5, p95=18.2, p99=19.6, max=20.1),
            queued_ms=Spread(count=700, p50=900.0, p95=2900.0, p99=3200.0, max=3300.0),
            barge_in_ms=Spread(count=1, p50=7.2, p95=7.2, p99=7.2, max=7.2),
            tick_late_ms=Spread(count=993, p50=0.08, p95=0.2, p99=0.9, max=2.2),
        ),
    }
    return CallRecord(**(facts | changes))


def caller_record(**changes: Any) -> CallRecord:
    """As `puente call` wrote it."""
    facts: dict[str, Any] = {
        "call": "c0ffee",
        "direction": "outbound",
        "started_at": "2026-11-22T10:00:00Z",
        "times": {"port": ZERO - 0.01, "invite": ZERO, "ringing": ZERO + 0.004, "answered": ZERO + 0.092},
        "blame": "success",
        "reason": "script-ended",
        "moments": [
            moment("speech-started", 0.16, "far"),
            moment("speech-ended", 3.6, "far"),
            moment("play", 3.9, text="caller_1"),
            moment("speech-started", 9.05, "far"),
            moment("play", 12.2, text="caller_2"),
            moment("speech-ended", 12.73, "far"),
        ],
        "media": CallReport(near=NearReport(received=990, expected=993, lost=3, jitter_ms=0.77, sent=996)),
    }
    return CallRecord(**(facts | changes))


WORDS = {
    "caller_1": "Good morning, can you tell me where my parcel is?",
    "caller_2": "Sorry, can you bring it tomorrow instead?",
}


def story(**changes: Any) -> Story:
    return Story(bridge_record(**changes), caller_record(), WORDS)
