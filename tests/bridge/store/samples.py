"""Calls as they come to the store."""

from __future__ import annotations

from typing import Any

from bridge.records import CallRecord, Cost, TrunkEvent
from media import wire

AT = "2026-11-22T10:00:00.000+00:00"
ANSWERED = "2026-11-22T10:00:02.000+00:00"
ENDED = "2026-11-22T10:01:32.500+00:00"


def standing(call: str = "c1", **other: Any) -> CallRecord:
    facts: dict[str, Any] = {"direction": "inbound", "started_at": AT, "trunk": "mx", "region": "latam"}
    return CallRecord(call=call, **facts | other)


def over(call: str = "c1", **other: Any) -> CallRecord:
    facts: dict[str, Any] = {
        "answered_at": ANSWERED,
        "ended_at": ENDED,
        "outcome": "answered",
        "duration_s": 90.5,
        "blame": "success",
        "reason": "caller-hung-up",
        "cost": Cost(currency="USD", per_minute="0.008", billing="60/60", billed_s=120, amount="0.016000"),
        "moments": [wire.Moment(kind="transcript", at_s=2.0, text="¿Bueno?")],
    }
    return standing(call, **facts | other)


def event(kind: str = "down", **other: Any) -> TrunkEvent:
    return TrunkEvent(**{"at": AT, "trunk": "mx", "kind": kind} | other)
