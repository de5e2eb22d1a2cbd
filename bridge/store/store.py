"""The store as a running bridge has it: takes records and events, ends the calls of bridges that died, finds things.

How it is used:

    async with Store(Address.parse("sqlite:///puente.db")) as store:
        await store.begin(record)      # durable before the call is answered
        store.end(record)              # durable as soon as it can be, here or in the spool
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import sqlalchemy as sa

from bridge.errors import KeyReused, StoreDown, StoreError
from bridge.records import CallRecord, TrunkEvent
from bridge.store import entries
from bridge.store.address import Address
from bridge.store.database import INSERT, Database, EntryRefused
from bridge.store.entries import Claim
from bridge.store.instances import BEAT_S, Watch, this_instance, utc_now
from bridge.store.queries import one_call
from bridge.store.spool import Spool
from bridge.store.tables import claims
from bridge.store.writer import Writer

log = logging.getLogger(__name__)

START_S = 10.0
"A database that is not there by then: the bridge starts without it, and records wait in the spool."
ASK_S = 2.0
"For a question that somebody waits on."
CLAIMS_LIVE = timedelta(days=7)
CLOSE_S = 5.0


class Store:
    def __init__(
        self,
        address: Address,
        *,
        instance: str = "",
        spool: Path | None = None,
        bill: Callable[[CallRecord], None] = lambda record: None,
        beat_s: float = BEAT_S,
    ) -> None:
        """Touches no disk before `start`. `bill` completes the cost of a record that is ended for a dead bridge."""
        self.address = address
        self._instance, self._bill, self._beat_s = this_instance(instance), bill, beat_s
        self._database = Database(address)
        self._asking = Database(address)
        "A connection of its own: a question must not wait behind a batch that is stuck."
        self._writer = Writer(self._database, lambda: Spool.claim(spool or address.spool))
        self._watch = Watch(self._instance.place)
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Brings the tables up to date, takes in what waited in the spool, ends the calls of bridges that died.

        A database that cannot be reached is no reason not to start. Raises StoreError when waiting would not help.
        """
        self._writer.start()
        self._beat()
        try:
            await self._settle()
        except StoreError:
            await self.close()
            raise
        self._beating = asyncio.create_task(self._keep_beating(), name="store heartbeat")

    async def __aenter__(self) -> Store:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def instance(self) -> str:
        return self._instance.bridge

    @property
    def is_well(self) -> bool:
        """False: the database is away, and records go into the spool."""
        return self._writer.is_direct.is_set()

    @property
    def is_in_memory_alone(self) -> bool:
        """The spool takes nothing either: what comes now does not outlive the bridge."""
        return self._writer.spool_fails and not self.is_well

    def begin(self, record: CallRecord) -> asyncio.Future[None]:
        record.bridge = self.instance
        return self._writer.put(entries.begun(record))

    def end(self, record: CallRecord) -> asyncio.Future[None]:
        record.bridge = self.instance
        return self._writer.put(entries.ended(record))

    def event(self, event: TrunkEvent) -> None:
        self._writer.put(entries.happened(event))

    async def claim(self, key: str, fingerprint: str, call: str) -> Claim:
        row = {"key": key, "fingerprint": fingerprint, "call": call, "at": utc_now()}
        try:
            async with asyncio.timeout(ASK_S), self._asking.begin() as connection:
                insert = INSERT[connection.dialect.name]
                await connection.execute(insert(claims).values(row).on_conflict_do_nothing())
                found = (await connection.execute(sa.select(claims).where(claims.c.key == key))).one()
        except (TimeoutError, EntryRefused) as error:
            raise StoreDown(str(error) or "no answer") from None
        if found.fingerprint != fingerprint:
            raise KeyReused(key)
        return Claim(found.call, is_new=found.call == call)

    async def find(self, call: str) -> CallRecord | None:
        try:
            async with asyncio.timeout(ASK_S), self._asking.begin() as connection:
                return await one_call(connection, call)
        except TimeoutError:
            raise StoreDown("no answer") from None

    async def close(self) -> None:
        """Returns when all is on a disk. Twice is once."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
            self._beating = None
            self._beat(stopped=True)
        await self._writer.close()
        for database in (self._database, self._asking):
            try:
                await asyncio.wait_for(database.close(), CLOSE_S)
            except TimeoutError:
                log.warning("! the store's connection does not close")

    # --- the heart ---

    def _beat(self, *, stopped: bool = False) -> None:
        now = utc_now()
        seen = msgspec.structs.replace(self._instance, seen_at=now, stopped_at=now if stopped else "")
        self._writer.put(entries.seen(seen))

    async def _settle(self) -> None:
        """Until the database has everything, or is known to be away."""
        try:
            async with asyncio.timeout(START_S):
                while not self.is_well:
                    if isinstance(trouble := self._writer.trouble, StoreError) and not isinstance(trouble, StoreDown):
                        raise trouble
                    await asyncio.sleep(0.01)
                await self._recover()
        except TimeoutError:
            log.warning("! started without the store: %s", self._writer.trouble or "no answer yet")

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(self._beat_s)
            self._beat()
            if self.is_well:
                await self._recover()

    async def _recover(self) -> None:
        """Calls that bridges have left open; and keys that are too old to come again."""
        try:
            now_s = asyncio.get_running_loop().time()
            count = await self._asking.recover(self.instance, self._watch, now_s, self._bill)
            oldest = (datetime.now(UTC) - CLAIMS_LIVE).isoformat(timespec="milliseconds")
            async with self._asking.begin() as connection:
                await connection.execute(sa.delete(claims).where(claims.c.at < oldest))
        except StoreDown as away:
            log.debug("store: not looked for dead bridges: %s", away)
            return
        except EntryRefused as refused:
            log.error("! calls of a bridge that was killed stay open: %s", refused)
            return
        if count:
            log.warning("= %d calls of a bridge that was killed have an end now (bridge-lost)", count)
