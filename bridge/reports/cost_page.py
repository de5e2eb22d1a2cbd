"""The costs as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bridge.reports.costs import CostReport, CostRow


def page(report: CostReport) -> RenderableType:
    if not report.rows:
        return Text("no answered call in that time")
    return Group(_table(report), *(Text(note, style="dim") for note in notes(report)))


def headline(report: CostReport) -> str:
    price = f"{report.single_provider_per_minute} {report.single_provider_currency} a minute"
    return f"What the routes cost, and what one provider at {price} ({report.single_provider_billing}) would"


def notes(report: CostReport) -> Iterable[str]:
    """What was left out of the comparison, and why."""
    for total in report.totals:
        if not total.currency:
            yield f"{total.calls} calls ({minutes(total.talk_s)} min) went over trunks without a price: not compared."
        elif total.single_provider is None:
            why = f"the one provider's price is in {report.single_provider_currency}"
            yield f"{total.calls} calls were charged in {total.currency}; {why}: not compared."


def _table(report: CostReport) -> Table:
    table = Table(title=headline(report), title_justify="left", box=None, pad_edge=False)
    for name in ("month", "region"):
        table.add_column(name, style="bold", no_wrap=True)
    for name in ("calls", "minutes", "billed", "routes", "one provider", "saved", "%"):
        table.add_column(name, justify="right", style="cyan", no_wrap=True)
    table.add_column("", style="dim")
    for row in report.rows:
        table.add_row(row.month, row.region or "-", *_cells(row))
    table.add_section()
    for total in report.totals:
        table.add_row("total", "", *_cells(total), style="bold")
    return table


def _cells(row: CostRow) -> list[str]:
    share = f"{row.saved_percent:.1f}" if row.saved_percent is not None else "-"
    return [
        str(row.calls),
        minutes(row.talk_s),
        minutes(row.billed_s) if row.currency else "-",
        *(short(value) for value in (row.cost if row.currency else None, row.single_provider, row.saved)),
        share,
        row.currency or "no price",
    ]


def minutes(seconds: int) -> str:
    return f"{seconds / 60:.1f}"


def short(value: str | None) -> str:
    """Money to a hundredth of a cent; the JSON has all of it."""
    return f"{Decimal(value):,.4f}" if value is not None else "-"
