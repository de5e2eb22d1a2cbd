"""What becomes of calls whose bridge was killed: records with an end, as true as can be known."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from bridge.errors import Blame
from bridge.records import CallRecord
from bridge.store.rows import nanos

log = logging.getLogger(__name__)

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
    try:
        bill(record)
        nanos(record.cost.amount if record.cost else "0")
    except (ArithmeticError, ValueError) as error:  # an end without its price is better than no end
        record.cost = None
        log.error("! call %s has no cost: %s", record.call, error or type(error).__name__)


def seconds_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
