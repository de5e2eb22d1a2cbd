"""What becomes of calls whose bridge was killed: records with an end, as true as can be known. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bridge.errors import Blame
from bridge.records import CallRecord

REASON = "bridge-lost"


def close(record: CallRecord, last_seen_at: str, bill: Callable[[CallRecord], None] = lambda record: None) -> None:
    """Ends an open record at the last moment its bridge was known to live. `bill` puts the cost in."""
    record.ended_at = max(last_seen_at, record.answered_at, record.started_at)
    record.blame, record.reason = Blame.SERVER.value, REASON
    record.detail = "the bridge was killed; the end is the last moment it was known to live"
    if record.answered_at:
        record.outcome = "answered"
        record.duration_s = round(seconds_between(record.answered_at, record.ended_at), 3)
    else:
        record.outcome = "failed"
    bill(record)


def seconds_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
