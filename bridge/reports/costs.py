"""What the trunks have cost, by region and month, against what one provider would have charged. Pure.

The trunks' side is the sum of what each call was charged, by the price it had then. The other side charges the same
calls at one price and step. Currencies are never mixed: a row is compared only when both sides are of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from bridge.routing.price import Price, billed_s
from bridge.store import Spent
from bridge.store.rows import amount


class CostRow(msgspec.Struct, frozen=True, kw_only=True):
    month: str
    region: str
    currency: str
    "Empty: calls over trunks that have no price. They are counted and not compared."
    calls: int
    talk_s: int
    "From answer to end, each call in whole seconds begun."
    billed_s: int
    cost: str
    "Money is a decimal number as text."
    single_provider: str | None
    "The same calls at the one provider's price. None: in another currency, or there is nothing to compare."
    saved: str | None
    saved_percent: float | None


class CostReport(msgspec.Struct, frozen=True, kw_only=True):
    since: str
    until: str
    single_provider_per_minute: str
    single_provider_billing: str
    single_provider_currency: str
    rows: tuple[CostRow, ...]
    totals: tuple[CostRow, ...]
    "One per currency."

    @property
    def compared(self) -> list[CostRow]:
        return [row for row in self.rows if row.single_provider is not None]


def compare(spent: Sequence[Spent], single: Price, since: str = "", until: str = "") -> CostReport:
    places = sorted({(one.month, one.region, one.currency) for one in spent})
    currencies = sorted({one.currency for one in spent})
    return CostReport(
        since=since,
        until=until,
        single_provider_per_minute=f"{single.per_minute:f}",
        single_provider_billing=single.billing,
        single_provider_currency=single.currency,
        rows=tuple(
            _row(place[0], place[1], [one for one in spent if (one.month, one.region, one.currency) == place], single)
            for place in places
        ),
        totals=tuple(_row("", "", [one for one in spent if one.currency == name], single) for name in currencies),
    )


def _row(month: str, region: str, spent: Sequence[Spent], single: Price) -> CostRow:
    currency = spent[0].currency
    cost = amount(sum(one.cost_nanos for one in spent))
    other = single_cost(spent, single) if currency == single.currency else None
    saved = other - cost if other is not None else None
    return CostRow(
        month=month,
        region=region,
        currency=currency,
        calls=sum(one.calls for one in spent),
        talk_s=sum(one.calls * one.talk_s for one in spent),
        billed_s=sum(one.billed_s for one in spent),
        cost=money(cost),
        single_provider=money(other) if other is not None else None,
        saved=money(saved) if saved is not None else None,
        saved_percent=round(float(saved / other * 100), 1) if saved is not None and other else None,
    )


def single_cost(spent: Iterable[Spent], single: Price) -> Decimal:
    """Every call rounded up by the step, as a provider does, not their sum."""
    seconds = sum(one.calls * billed_s(one.talk_s, single.first_s, single.step_s) for one in spent)
    return single.per_minute * seconds / 60


def money(value: Decimal) -> str:
    """To a millionth, as prices are."""
    return f"{value.quantize(Decimal('0.000001')):f}"
