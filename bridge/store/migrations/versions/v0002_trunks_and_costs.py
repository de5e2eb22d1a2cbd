"""What happened to trunks, what calls cost, and which requests have been answered already."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

AT_A_TIME = 1000


def upgrade() -> None:
    for name in ("currency", "per_minute", "billing"):
        op.add_column("calls", sa.Column(name, sa.Text, nullable=False, server_default=""))
    for name in ("talk_s", "billed_s", "cost_nanos"):
        op.add_column("calls", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    _fill()
    _table("trunk_events", "id", ("at", "trunk", "kind", "target", "detail"), ("status",))
    op.create_index("trunk_events_by_time", "trunk_events", ["at"])
    _table("claims", "key", ("fingerprint", "call", "at"), ())


def _table(name: str, key: str, words: tuple[str, ...], numbers: tuple[str, ...]) -> None:
    op.create_table(
        name,
        sa.Column(key, sa.Text, primary_key=True),
        *(sa.Column(word, sa.Text, nullable=False, server_default="") for word in words),
        *(sa.Column(number, sa.BigInteger, nullable=False, server_default="0") for number in numbers),
    )


def _fill() -> None:
    """The new columns of calls that are there already, from their documents."""
    connection = op.get_bind()
    calls = sa.table(
        "calls",
        *map(sa.column, ("call", "document", "duration_s")),
        *map(sa.column, ("currency", "per_minute", "billing", "talk_s", "billed_s", "cost_nanos")),
    )
    change = calls.update().where(calls.c.call == sa.bindparam("of"))
    last = ""
    while True:
        some = sa.select(calls.c.call, calls.c.document, calls.c.duration_s).where(calls.c.call > last)
        rows = connection.execute(some.order_by(calls.c.call).limit(AT_A_TIME)).all()
        if not rows:
            return
        for row in rows:
            cost = json.loads(row.document).get("cost") or {}
            values = {name: cost.get(name, "") for name in ("currency", "per_minute", "billing")}
            values |= {"talk_s": math.ceil(row.duration_s), "billed_s": cost.get("billed_s", 0)}
            values["cost_nanos"] = int(Decimal(cost.get("amount", "0")) * 1_000_000_000)
            connection.execute(change, values | {"of": row.call})
        last = rows[-1].call


def downgrade() -> None:
    op.drop_table("claims")
    op.drop_table("trunk_events")
    with op.batch_alter_table("calls") as calls:
        for name in ("currency", "per_minute", "billing", "talk_s", "billed_s", "cost_nanos"):
            calls.drop_column(name)
