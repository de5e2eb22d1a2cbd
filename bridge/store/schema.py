"""The tables brought up to date when a bridge starts, and checked when somebody only reads."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from bridge.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x7075656E7465
"`puente`: of two bridges that start at once the second waits until the first has made the tables."


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Inside the connection's transaction: all of it or nothing. Raises StoreError for tables of the future."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    found = version(connection)
    if found and found not in known():
        raise StoreError(f"its tables are version {found}, made by a newer Puente; this one knows {newest()}")
    if found != newest():
        command.upgrade(_config(connection), to)


def check(connection: sa.Connection) -> None:
    """Raises StoreError when the tables are not the ones that this Puente reads."""
    found = version(connection)
    if not found:
        raise StoreError("no bridge has ever written there: it has no tables")
    if found != newest():
        advice = "start the bridge once" if found in known() else "read it with the Puente that wrote it"
        raise StoreError(f"its tables are version {found}, this Puente reads {newest()}: {advice}")


def version(connection: sa.Connection) -> str:
    """Empty: there are no tables yet."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def newest() -> str:
    return _script().get_current_head() or ""


def known() -> set[str]:
    return {step.revision for step in _script().walk_revisions()}


def _script() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
