"""The store as somebody has it who only looks: while a bridge writes, or when none is running. It changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.errors import StoreError
from bridge.records import CallRecord, TrunkEvent
from bridge.store import queries, schema
from bridge.store.address import Address
from bridge.store.database import Database
from bridge.store.instances import born, this_place
from bridge.store.queries import CallFilter, EventFilter, Spent


class Reader:
    def __init__(self, address: Address) -> None:
        self._database = Database(address, writes=False)

    async def calls(self, filter: CallFilter) -> list[CallRecord]:
        async with self._look() as connection:
            return await queries.latest_calls(connection, filter)

    async def calls_like(self, name: str) -> list[CallRecord]:
        async with self._look() as connection:
            return await queries.calls_like(connection, name)

    async def events(self, filter: EventFilter) -> list[TrunkEvent]:
        async with self._look() as connection:
            return await queries.latest_events(connection, filter)

    async def spent(self, filter: CallFilter) -> list[Spent]:
        async with self._look() as connection:
            return await queries.spent(connection, filter)

    async def dead_bridges(self) -> set[str]:
        """Those of this machine that were killed: what they have left open is over, though nobody has written it."""
        place = this_place()
        async with self._look() as connection:
            known = await queries.known_instances(connection)
        return {one.bridge for one in known if one.stopped_at or (one.place == place and born(one.pid) != one.born)}

    async def close(self) -> None:
        await self._database.close()

    @asynccontextmanager
    async def _look(self) -> AsyncIterator[AsyncConnection]:
        """Raises StoreError when there is nothing to read, or not by us."""
        address = self._database.address
        if address.is_sqlite and not address.path.is_file():
            raise StoreError(f"{address.path}: no such file")
        async with self._database.begin() as connection:
            await connection.run_sync(schema.check)
            yield connection
