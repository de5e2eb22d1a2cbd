"""Calls and events of trunks as tables for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.table import Table
from rich.text import Text

from bridge.records import CallRecord, TrunkEvent

ARROWS = {"inbound": "←", "outbound": "→"}
COLOURS = {"answered": "green", "failed": "red", "busy": "yellow", "declined": "yellow", "no-answer": "yellow"}
GOOD, BAD = ("registered", "up"), ("refused", "unreachable", "down", "unregistered")


def state(record: CallRecord, dead: Collection[str] = ()) -> str:
    """Its outcome; a call without an end stands, or its bridge has been killed and nobody has written that yet."""
    if record.ended_at:
        return record.outcome or "failed"
    return "lost" if record.bridge in dead else "stands"


def call_table(records: Sequence[CallRecord], dead: Collection[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("started (UTC)", "call", "", "caller", "dialled", "trunk", "region", "company", "platform", "outcome"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("talk", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("reason", style="dim", no_wrap=True, overflow="ellipsis")
    for record in records:
        outcome = state(record, dead)
        table.add_row(
            clock(record.started_at),
            Text(record.call[:8], style="bold"),
            ARROWS[record.direction],
            *(Text(one) for one in (record.caller, record.dialled, record.trunk, record.region, record.company)),
            Text(record.platform),
            Text(outcome, style=COLOURS.get(outcome, "")),
            talk(record),
            cost(record),
            Text(record.reason),
        )
    return table


def event_table(events: Sequence[TrunkEvent]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("at (UTC)", "trunk", "what", "target"):
        table.add_column(name, no_wrap=True)
    table.add_column("status", justify="right", no_wrap=True)
    table.add_column("detail", style="dim")
    for event in events:
        colour = "green" if event.kind in GOOD else "red" if event.kind in BAD else "yellow"
        words = Text(event.kind, style=colour)
        table.add_row(
            clock(event.at), Text(event.trunk), words, Text(event.target), str(event.status or ""), Text(event.detail)
        )
    return table


def clock(at: str) -> str:
    """`2026-11-22 10:00:02`"""
    return at[:19].replace("T", " ")


def talk(record: CallRecord) -> str:
    """Minutes and seconds of an answered call."""
    if not record.answered_at:
        return "-"
    minutes, seconds = divmod(round(record.duration_s), 60)
    return f"{minutes}:{seconds:02}"


def cost(record: CallRecord) -> str:
    return f"{record.cost.amount} {record.cost.currency}" if record.cost else "-"
