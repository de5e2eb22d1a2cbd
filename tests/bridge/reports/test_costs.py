"""Costs against one provider: sums, steps, currencies that do not mix, calls that have no price."""

from __future__ import annotations

import dataclasses
import random
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from bridge.reports.cost_chart import MOST, draw
from bridge.reports.cost_page import notes, page
from bridge.reports.costs import CostReport, compare, single_cost
from bridge.routing.price import Price, cost, price_of
from bridge.store import Spent
from bridge.store.rows import nanos

SINGLE = Price(Decimal("0.015"), "USD", 60, 60)
MINUTE_NANOS = 8_000_000
"The mission's own example: 0.008 a minute."


def spent(region: str = "latam", **other: object) -> Spent:
    facts = {
        "month": "2026-11",
        "currency": "USD",
        "talk_s": 90,
        "calls": 10,
        "billed_s": 1200,
        "cost_nanos": 20 * MINUTE_NANOS,
    }
    return Spent(region=region, **facts | other)  # type: ignore[arg-type]


def text_of(report: CostReport) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(page(report))
    return console.export_text()


def test_the_missions_example() -> None:
    report = compare([spent()], SINGLE)
    [row] = report.rows
    assert (row.cost, row.single_provider, row.saved, row.saved_percent) == ("0.160000", "0.300000", "0.140000", 46.7)
    assert report.totals[0].cost == row.cost


def test_rows_are_by_month_and_region_and_totals_by_currency() -> None:
    report = compare(
        [spent("latam"), spent("europe", talk_s=30), spent("europe", talk_s=31), spent("latam", month="2026-10")],
        SINGLE,
    )
    assert [(row.month, row.region, row.calls, row.talk_s) for row in report.rows] == [
        ("2026-10", "latam", 10, 900),
        ("2026-11", "europe", 20, 610),
        ("2026-11", "latam", 10, 900),
    ]
    [total] = report.totals
    assert (total.calls, total.cost) == (40, "0.640000")


def test_currencies_are_never_mixed() -> None:
    report = compare([spent(), spent(currency="EUR"), spent(currency="", cost_nanos=0, billed_s=0)], SINGLE)
    assert [(row.currency, row.single_provider) for row in report.rows] == [
        ("", None),
        ("EUR", None),
        ("USD", "0.300000"),
    ]
    assert [row.currency for row in report.compared] == ["USD"]
    assert list(notes(report)) == [
        "10 calls (15.0 min) went over trunks without a price: not compared.",
        "10 calls were charged in EUR; the one provider's price is in USD: not compared.",
    ]
    shown = text_of(report)
    assert "no price" in shown
    assert "went over trunks without a price" in shown


def test_routes_that_cost_more_are_not_made_pretty() -> None:
    report = compare([spent(cost_nanos=10**9)], SINGLE)
    assert report.rows[0].saved == "-0.700000"
    assert (report.rows[0].saved_percent or 0) < 0


@pytest.mark.parametrize("billing", ["60/60", "30/6", "1/1"])
def test_the_provider_rounds_every_call_by_itself(billing: str) -> None:
    """The same as each call charged alone, by the function that trunks are charged by."""
    single, dice = price_of("0.015", "USD", billing), random.Random(1)
    assert single is not None
    lengths = [dice.randrange(1, 600) for _ in range(300)]
    alone = sum(Decimal(cost(float(length), single).amount) for length in lengths)
    together = single_cost([spent(talk_s=length, calls=1) for length in lengths], single)
    assert abs(alone - together) < Decimal("0.0002")  # each alone is rounded to a millionth


def test_equal_prices_and_steps_cost_the_same() -> None:
    lengths = random.Random(2).choices(range(1, 500), k=200)
    routes = [
        spent(talk_s=length, calls=1, billed_s=0, cost_nanos=nanos(cost(float(length), SINGLE).amount))
        for length in lengths
    ]
    [row] = compare(routes, SINGLE).rows
    assert row.saved == "0.000000"


def test_nothing_to_tell() -> None:
    report = compare([], SINGLE, "a", "b")
    assert (report.rows, report.totals, report.since, report.until) == ((), (), "a", "b")
    assert "no answered call" in text_of(report)


def test_a_provider_for_nothing() -> None:
    [row] = compare([spent()], dataclasses.replace(SINGLE, per_minute=Decimal(0))).rows
    assert (row.saved, row.saved_percent) == ("-0.160000", None)


@pytest.mark.parametrize("places", [0, 1, MOST + 5])
def test_the_picture(places: int, tmp_path: Path) -> None:
    report = compare([spent(f"region{number}") for number in range(places)], SINGLE)
    draw(report, tmp_path / "cost.png")
    assert (tmp_path / "cost.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
