"""Entries as rows: what of a record gets a column, in a form that every database takes. Pure."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from bridge.records import CallRecord, Cost, TrunkEvent
from bridge.store.entries import InstanceSeen

NANOS = 1_000_000_000
MOST_NANOS = 2**63 - 1
"What a column of a database takes."
LONGEST = 500
"Characters of a text column: names come from strangers, too. The document has them whole."

COPIED = (
    *("call", "bridge", "direction", "started_at", "answered_at", "ended_at", "outcome", "blame", "reason"),
    *("sip_status", "duration_s", "caller", "dialled", "trunk", "region", "country", "company", "flow", "call_type"),
    *("route", "platform", "request_id", "sip_call_id"),
)
"Fields of CallRecord that are columns of the same name."

Row = dict[str, Any]

_record = msgspec.json.Decoder(CallRecord)
_event = msgspec.json.Decoder(TrunkEvent)
_instance = msgspec.json.Decoder(InstanceSeen)


def call_row(document: bytes) -> Row:
    record = _record.decode(document)
    row: Row = {name: plain(getattr(record, name)) for name in COPIED}
    cost = record.cost or Cost(currency="", per_minute="", billing="")
    return row | {
        "talk_s": math.ceil(record.duration_s),
        "currency": plain(cost.currency),
        "per_minute": plain(cost.per_minute),
        "billing": plain(cost.billing),
        "billed_s": cost.billed_s,
        "cost_nanos": nanos(cost.amount),
        "document": document.decode(),
    }


def event_row(key: str, document: bytes) -> Row:
    event = _event.decode(document)
    return {"id": key} | {name: plain(value) for name, value in msgspec.structs.asdict(event).items()}


def instance_row(document: bytes) -> Row:
    return {name: plain(value) for name, value in msgspec.structs.asdict(_instance.decode(document)).items()}


def record_of(document: str) -> CallRecord:
    return _record.decode(document)


def plain(value: Any) -> Any:
    """Text without NUL, which PostgreSQL does not take, and not without end."""
    return value.replace("\0", "")[:LONGEST] if isinstance(value, str) else value


def nanos(amount: str) -> int:
    """`0.008` of a currency as 8,000,000 billionths."""
    try:
        exact = (Decimal(amount) * NANOS).to_integral_value()
        if abs(exact) > MOST_NANOS:
            raise OverflowError
        return int(exact)
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError(f"{amount!r} is no amount of money") from None


def amount(nanos: int) -> Decimal:
    return Decimal(nanos) / NANOS
