"""Records as JSON: what one bridge wrote, a later one reads."""

from __future__ import annotations

import msgspec
import pytest

from bridge.records import Attempt, CallRecord, Cost, TrunkAttempt, TrunkEvent
from media import wire


def record(call: str) -> CallRecord:
    return CallRecord(
        call=call,
        direction="inbound",
        started_at="2026-11-22T10:00:00.000+00:00",
        attempts=[Attempt(platform="one", outcome="ready", took_ms=1.5)],
        trunk_attempts=[TrunkAttempt(trunk="t", outcome="answered", took_ms=2.5, because=("primary", "healthy"))],
        cost=Cost(currency="USD", per_minute="0.0080", billing="60/60", billed_s=60, amount="0.008000"),
        times={"invite": 1.0},
        moments=[wire.Moment(kind="transcript", at_s=2.0, text="¿Bueno?")],
        media=wire.CallReport(),
    )


def test_a_record_comes_back_as_it_was() -> None:
    written = msgspec.json.encode(record("a"))
    assert msgspec.json.decode(written, type=CallRecord) == record("a")


def test_money_is_never_a_float() -> None:
    cost = msgspec.to_builtins(record("a"))["cost"]
    assert [value for value in cost.values() if isinstance(value, float)] == []


def test_what_a_later_version_adds_does_not_disturb() -> None:
    written = b'{"call":"a","direction":"inbound","started_at":"","invented_later":{"x":1}}'
    assert msgspec.json.decode(written, type=CallRecord) == CallRecord(call="a", direction="inbound", started_at="")


def test_an_outcome_is_one_of_ours() -> None:
    with pytest.raises(msgspec.ValidationError, match="outcome"):
        msgspec.json.decode(b'{"call":"a","direction":"inbound","started_at":"","outcome":"lost"}', type=CallRecord)


def test_an_event_of_a_trunk() -> None:
    event = TrunkEvent(at="2026-11-22T10:00:00.000+00:00", trunk="t", kind="down", detail="2 probes lost")
    assert msgspec.json.decode(msgspec.json.encode(event), type=TrunkEvent) == event
