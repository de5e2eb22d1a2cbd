"""Calls of bridges that were killed: ended as truly as can be known."""

from __future__ import annotations

from decimal import InvalidOperation

import pytest

from bridge.records import CallRecord, Cost
from bridge.store.recovery import close
from tests.bridge.store.samples import ANSWERED, AT, ENDED, standing

LATER = ENDED


def test_an_answered_call_has_lasted_until_the_last_heartbeat() -> None:
    record = standing(answered_at=ANSWERED)
    close(record, LATER)
    assert (record.ended_at, record.outcome, record.duration_s) == (LATER, "answered", 90.5)
    assert (record.blame, record.reason) == ("server_error", "bridge-lost")


def test_one_that_only_rang_has_failed() -> None:
    record = standing()
    close(record, LATER)
    assert (record.ended_at, record.outcome, record.duration_s) == (LATER, "failed", 0.0)


def test_no_call_ends_before_it_began() -> None:
    for record in (standing(), standing(answered_at=ANSWERED)):
        close(record, "2026-11-22T09:59:59.000+00:00")
        assert record.ended_at == (record.answered_at or AT)
        assert record.duration_s == 0.0


def test_what_it_cost_is_told_by_others() -> None:
    def bill(record: CallRecord) -> None:
        record.cost = Cost(currency="USD", per_minute="1", billing="1/1", billed_s=round(record.duration_s))

    record = standing(answered_at=ANSWERED)
    close(record, LATER, bill)
    assert record.cost is not None
    assert record.cost.billed_s == 90


@pytest.mark.parametrize("amount", ["1", "99999999999999999999"])
def test_a_price_that_cannot_be_told_does_not_keep_it_open(amount: str) -> None:
    def bill(record: CallRecord) -> None:
        record.cost = Cost(currency="USD", per_minute="1", billing="1/1", amount=amount)
        if amount == "1":
            raise InvalidOperation

    record = standing(answered_at=ANSWERED)
    close(record, LATER, bill)
    assert (record.ended_at, record.cost) == (LATER, None)
