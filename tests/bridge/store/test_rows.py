"""Rows: what gets a column, and that strangers' text fits in."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bridge.store import rows
from bridge.store.entries import document
from bridge.store.instances import this_instance
from bridge.store.tables import calls, instances, trunk_events
from tests.bridge.store.samples import event, over, standing


def test_every_column_has_its_value() -> None:
    assert set(rows.call_row(document(over()))) == set(calls.c.keys())
    assert set(rows.event_row("e1", document(event()))) == set(trunk_events.c.keys())
    assert set(rows.instance_row(document(this_instance()))) == set(instances.c.keys())


def test_money_and_time() -> None:
    row = rows.call_row(document(over(duration_s=90.001)))
    assert (row["talk_s"], row["billed_s"], row["cost_nanos"], row["currency"]) == (91, 120, 16_000_000, "USD")
    assert rows.amount(row["cost_nanos"]) == Decimal("0.016")


def test_a_call_without_a_price() -> None:
    row = rows.call_row(document(standing()))
    assert (row["talk_s"], row["cost_nanos"], row["currency"]) == (0, 0, "")


def test_strangers_text_fits_into_any_database() -> None:
    row = rows.call_row(document(standing(caller="+49\0" + "9" * 9000)))
    assert row["caller"] == "+49" + "9" * (rows.LONGEST - 3)
    assert rows.record_of(row["document"]).caller == "+49\0" + "9" * 9000


@pytest.mark.parametrize("amount", ["", "x", "NaN", "Infinity", "9223372036.9", "-1e400"])
def test_what_is_no_money(amount: str) -> None:
    with pytest.raises(ValueError, match="is no amount of money"):
        rows.nanos(amount)
