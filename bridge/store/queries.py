"""Questions to the tables: which calls, which events, what they cost. Each takes a connection and reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.records import CallRecord, TrunkEvent
from bridge.store import rows
from bridge.store.entries import InstanceSeen
from bridge.store.tables import calls, instances, trunk_events


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Empty: whichever. Moments are UTC in ISO 8601, as in records; `until` is the first that is too late."""

    trunk: str = ""
    region: str = ""
    company: str = ""
    outcome: str = ""
    since: str = ""
    until: str = ""
    limit: int = 50

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        equal = {name: getattr(self, name) for name in ("trunk", "region", "company", "outcome")}
        found = [calls.c[name] == value for name, value in equal.items() if value]
        return [*found, *_between(calls.c.started_at, self.since, self.until)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    trunk: str = ""
    kind: str = ""
    since: str = ""
    until: str = ""
    limit: int = 50

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        equal = {name: getattr(self, name) for name in ("trunk", "kind")}
        found = [trunk_events.c[name] == value for name, value in equal.items() if value]
        return [*found, *_between(trunk_events.c.at, self.since, self.until)]


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """Answered calls of one region and month that lasted alike and were charged in one currency."""

    month: str
    "`2026-11`."
    region: str
    currency: str
    "Empty: their trunk has no price."
    talk_s: int
    "How long each of them lasted."
    calls: int
    billed_s: int
    "All of them together."
    cost_nanos: int


def _between(column: sa.Column[str], since: str, until: str) -> list[sa.ColumnElement[bool]]:
    return [*([column >= since] if since else []), *([column < until] if until else [])]


async def latest_calls(connection: AsyncConnection, filter: CallFilter) -> list[CallRecord]:
    """Oldest first, the latest `limit` of them."""
    statement = sa.select(calls.c.document).where(*filter.conditions())
    newest_first = statement.order_by(calls.c.started_at.desc(), calls.c.call.desc()).limit(filter.limit)
    return [rows.record_of(text) for text in reversed((await connection.scalars(newest_first)).all())]


async def one_call(connection: AsyncConnection, call: str) -> CallRecord | None:
    text = await connection.scalar(sa.select(calls.c.document).where(calls.c.call == call))
    return rows.record_of(text) if text is not None else None


async def calls_like(connection: AsyncConnection, name: str, at_most: int = 10) -> list[CallRecord]:
    """Whose id begins so, or whose SIP Call-ID it is."""
    begins = calls.c.call.startswith(name, autoescape=True)
    statement = sa.select(calls.c.document).where(begins | (calls.c.sip_call_id == name))
    found = await connection.scalars(statement.order_by(calls.c.started_at.desc()).limit(at_most))
    return [rows.record_of(text) for text in found]


async def latest_events(connection: AsyncConnection, filter: EventFilter) -> list[TrunkEvent]:
    """Oldest first, the latest `limit` of them."""
    wanted = [trunk_events.c[name] for name in TrunkEvent.__struct_fields__]
    statement = sa.select(*wanted).where(*filter.conditions())
    newest_first = statement.order_by(trunk_events.c.at.desc(), trunk_events.c.id.desc()).limit(filter.limit)
    found: Sequence[Any] = (await connection.execute(newest_first)).all()
    return [TrunkEvent(**row._mapping) for row in reversed(found)]


async def spent(connection: AsyncConnection, filter: CallFilter) -> list[Spent]:
    month = sa.func.substr(calls.c.started_at, 1, 7).label("month")
    groups = (month, calls.c.region, calls.c.currency, calls.c.talk_s)
    statement = (
        sa.select(
            *groups,
            sa.func.count().label("calls"),
            sa.func.sum(calls.c.billed_s).label("billed_s"),
            sa.func.sum(calls.c.cost_nanos).label("cost_nanos"),
        )
        .where(calls.c.answered_at != "", calls.c.ended_at != "", *filter.conditions())
        .group_by(*groups)
        .order_by(*groups)
    )
    numbers = ("talk_s", "calls", "billed_s", "cost_nanos")  # PostgreSQL sums integers into decimals
    return [
        Spent(**dict(row._mapping) | {name: int(row._mapping[name]) for name in numbers})
        for row in await connection.execute(statement)
    ]


async def known_instances(connection: AsyncConnection) -> list[InstanceSeen]:
    return [InstanceSeen(**row._mapping) for row in await connection.execute(sa.select(instances))]
