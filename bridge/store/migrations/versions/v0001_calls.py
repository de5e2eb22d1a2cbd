"""Calls, and the bridges that carried them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

WORDS = (
    *("bridge", "direction", "started_at", "answered_at", "ended_at", "outcome", "blame", "reason", "caller"),
    *("dialled", "trunk", "region", "country", "company", "flow", "call_type", "route", "platform", "request_id"),
    *("sip_call_id",),
)


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("call", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False, server_default="") for name in WORDS),
        sa.Column("sip_status", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("duration_s", sa.Float, nullable=False, server_default="0"),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("calls_by_time", "calls", ["started_at"])
    op.create_index("calls_by_sip_call_id", "calls", ["sip_call_id"])
    still_open = sa.text("ended_at = ''")
    op.create_index("calls_open", "calls", ["bridge"], sqlite_where=still_open, postgresql_where=still_open)
    op.create_table(
        "instances",
        sa.Column("bridge", sa.Text, primary_key=True),
        *(
            sa.Column(name, sa.Text, nullable=False, server_default="")
            for name in ("host", "place", "born", "started_at", "seen_at", "stopped_at")
        ),
        sa.Column("pid", sa.BigInteger, nullable=False, server_default="0"),
    )


def downgrade() -> None:
    op.drop_table("instances")
    op.drop_table("calls")
