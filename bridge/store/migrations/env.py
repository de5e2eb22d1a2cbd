"""Alembic's way in: run by it, with the connection that `bridge.store.schema` has put beside it."""

from __future__ import annotations

from alembic import context

from bridge.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
# The transaction is the caller's: all steps or none, and with them the number of the last one.
context.run_migrations()
