"""The tables as they are today. How they became so is told by `bridge.store.migrations`; a test holds both together.

Moments are text in ISO 8601, UTC, all of one width: they sort as they are, read alike in SQLite and PostgreSQL, and
their first seven characters are the month. Money is an integer of billionths, so that sums are exact everywhere.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


calls = sa.Table(
    "calls",
    metadata,
    sa.Column("call", sa.Text, primary_key=True),
    _text("bridge"),
    _text("direction"),
    _text("started_at"),
    _text("answered_at"),
    _text("ended_at"),  # empty: the call stands, or its bridge has died
    _text("outcome"),
    _text("blame"),
    _text("reason"),
    _number("sip_status"),
    sa.Column("duration_s", sa.Float, nullable=False, server_default="0"),
    _number("talk_s"),  # duration in whole seconds begun, as partners count
    _text("caller"),
    _text("dialled"),
    _text("trunk"),
    _text("region"),
    _text("country"),
    _text("company"),
    _text("flow"),
    _text("call_type"),
    _text("route"),
    _text("platform"),
    _text("request_id"),
    _text("sip_call_id"),
    _text("currency"),
    _text("per_minute"),
    _text("billing"),
    _number("billed_s"),
    _number("cost_nanos"),
    sa.Column("document", sa.Text, nullable=False),
)
"One row per call: what one filters and sums by, and in `document` all of the record as JSON."

sa.Index("calls_by_time", calls.c.started_at)
sa.Index("calls_by_sip_call_id", calls.c.sip_call_id)
sa.Index("calls_open", calls.c.bridge, sqlite_where=sa.text("ended_at = ''"), postgresql_where=sa.text("ended_at = ''"))

trunk_events = sa.Table(
    "trunk_events",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _text("at"),
    _text("trunk"),
    _text("kind"),
    _text("target"),
    _number("status"),
    _text("detail"),
)
sa.Index("trunk_events_by_time", trunk_events.c.at)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("bridge", sa.Text, primary_key=True),
    _text("host"),
    _text("place"),
    _number("pid"),
    _text("born"),
    _text("started_at"),
    _text("seen_at"),
    _text("stopped_at"),  # empty: it runs, or it was killed
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    _text("fingerprint"),
    _text("call"),
    _text("at"),
)
"Idempotency keys."
