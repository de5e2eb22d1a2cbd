"""The database behind the store: one connection that writes, batch by batch, each batch one transaction.

SQLite in WAL mode with synchronous=FULL: a commit that has returned survives the machine's power. Foreign errors are
translated here: nobody above sees SQLAlchemy's, and none of them shows a password or the values of a statement.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import quote

import aiosqlite
import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bridge.errors import BridgeError, StoreDown, StoreError
from bridge.records import CallRecord
from bridge.store import rows, schema
from bridge.store.address import Address
from bridge.store.entries import Entry, InstanceSeen, document
from bridge.store.instances import Watch, utc_now
from bridge.store.recovery import close
from bridge.store.tables import calls, instances, trunk_events

COMMAND_S = 10.0
"A statement that takes longer has lost its server."
CONNECT_S = 5.0
BUSY_S = 5
"How long another process may hold SQLite's lock, somebody's shell for example."

BUSY_AGAIN_S = 0.01
"Where SQLite does not wait by itself."

READS = (f"busy_timeout={BUSY_S * 1000}",)
WRITES = (*READS, "journal_mode=WAL", "synchronous=FULL")
"PRAGMAs of a connection."

INSERT: dict[str, Callable[[sa.Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

FOR_GOOD = frozenset({"28000", "28P01", "3D000", "42501", "3F000"})
"SQLSTATE: no such user, wrong password, no such database, no right, no schema. Waiting mends none of them."

BAD_DATA = ("22", "23")
"Classes of SQLSTATE: a value out of range or not of its type, and a constraint."


class EntryRefused(BridgeError):
    """The database is well and does not take this entry."""


class Database:
    def __init__(self, address: Address, *, pool_size: int = 1, writes: bool = True) -> None:
        self.address, self._writes = address, writes
        self.engine = _engine(address, pool_size, writes)
        self._is_up_to_date = False

    async def apply(self, entries: Sequence[Entry]) -> None:
        """All of them, durably, or none. Raises StoreDown, StoreError, or EntryRefused when one of them is bad."""
        async with self.begin() as connection:
            if not self._is_up_to_date:
                await _upgrade(connection)
            await _apply(connection, entries)
        self._is_up_to_date = True

    async def recover(self, me: str, watch: Watch, now_s: float, bill: Callable[[CallRecord], None]) -> int:
        """Ends the calls that dead bridges have left open; how many. Raises StoreDown."""
        recovered = 0
        async with self.begin() as connection:
            has_open = instances.c.bridge.in_(sa.select(calls.c.bridge).where(calls.c.ended_at == ""))
            unended = sa.select(instances).where(instances.c.bridge != me, (instances.c.stopped_at == "") | has_open)
            others = [InstanceSeen(**row._mapping) for row in await connection.execute(unended)]
            # One that has said goodbye has left a call open all the same when its spool was read after that.
            gone = [one for one in others if one.stopped_at]
            for dead in [*gone, *watch.dead((one for one in others if not one.stopped_at), now_s)]:
                left_open = sa.select(calls.c.document).where(calls.c.bridge == dead.bridge, calls.c.ended_at == "")
                closed = []
                for text in (await connection.scalars(left_open)).all():
                    record = rows.record_of(text)
                    close(record, dead.seen_at, bill)
                    # As a beginning: should the bridge live after all and have told the true end, that one stays.
                    closed.append(Entry("begun", record.call, document(record)))
                await _apply(connection, closed)
                stopped = sa.update(instances).where(instances.c.bridge == dead.bridge).values(stopped_at=utc_now())
                await connection.execute(stopped)
                recovered += len(closed)
        return recovered

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction. Raises what `apply` raises."""
        if self._writes and self.address.is_sqlite and not self._is_up_to_date:
            _make_private(self.address)
        with translated(str(self.address.path) if self.address.is_sqlite else ""):
            async with self.engine.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Waits for what is on its way. Twice is once."""
        await self.engine.dispose()


async def _upgrade(connection: AsyncConnection) -> None:
    try:
        await connection.run_sync(schema.upgrade)
    except (exc.DataError, exc.IntegrityError, exc.ProgrammingError, ValueError, ArithmeticError) as error:
        raise StoreError(f"the tables cannot be brought up to date: {_short(error)}") from None


async def _apply(connection: AsyncConnection, entries: Sequence[Entry]) -> None:
    insert = INSERT[connection.dialect.name]
    try:
        # Of a call that begins and ends in one batch the end says it all; of two beginnings the later one.
        done = {entry.key: rows.call_row(entry.document) for entry in entries if entry.kind == "ended"}
        open_ = {entry.key: rows.call_row(entry.document) for entry in entries if entry.kind == "begun"}
        open_ = {key: row for key, row in open_.items() if key not in done}
        happened = {entry.key: rows.event_row(entry.key, entry.document) for entry in entries if entry.kind == "event"}
        alive = {entry.key: rows.instance_row(entry.document) for entry in entries if entry.kind == "seen"}
        if done:
            await connection.execute(_upsert(insert, calls, calls.c.call), [*done.values()])
        if open_:
            # A beginning that comes late, out of the spool, must not open again what has ended.
            await connection.execute(_upsert(insert, calls, calls.c.call, calls.c.ended_at == ""), [*open_.values()])
        if happened:
            await connection.execute(insert(trunk_events).on_conflict_do_nothing(), [*happened.values()])
        if alive:
            await connection.execute(_upsert(insert, instances, instances.c.bridge), [*alive.values()])
    except (ValueError, TypeError, OverflowError) as error:  # of ours, and sqlite3's of a value that it cannot bind
        raise EntryRefused(_short(error)) from None


def _upsert(
    insert: Callable[[sa.Table], Any], table: sa.Table, key: sa.Column[Any], only: Any = None
) -> sa.sql.Executable:
    statement = insert(table)
    new = {column.name: statement.excluded[column.name] for column in table.c if column is not key}
    result: sa.sql.Executable = statement.on_conflict_do_update(index_elements=[key], set_=new, where=only)
    return result


@contextmanager
def translated(file: str = "") -> Iterator[None]:
    """`file`: named where it is the trouble."""
    try:
        yield
    except (exc.DataError, exc.IntegrityError) as error:
        raise EntryRefused(_short(error)) from None
    except exc.DBAPIError as error:
        state = str(getattr(error.orig, "sqlstate", "") or "")
        if state.startswith(BAD_DATA):  # asyncpg's of a value that it cannot send, too
            raise EntryRefused(_short(error)) from None
        cannot_open = "unable to open database file" in str(error.orig) or "not a database" in str(error.orig)
        is_bad_file = file and (cannot_open or "malformed" in str(error.orig))
        text = f"{file}: {_short(error)}" if is_bad_file else _short(error)
        raise (StoreError if state in FOR_GOOD or cannot_open else StoreDown)(text) from None
    except exc.SQLAlchemyError as error:
        raise StoreDown(_short(error)) from None
    except (OSError, TimeoutError) as error:  # asyncpg's connect does not wrap them
        raise StoreDown(_short(error) or type(error).__name__) from None


def _short(error: BaseException) -> str:
    """One line: not the statement, not its values."""
    cause = error.orig if isinstance(error, exc.DBAPIError) and error.orig is not None else error
    text = str(cause).strip()
    line = text.splitlines()[0] if text else type(cause).__name__
    return line.partition(">: ")[2] or line  # asyncpg's class, as SQLAlchemy puts it in front


def _engine(address: Address, pool_size: int, writes: bool) -> AsyncEngine:
    options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "hide_parameters": True}
    if not address.is_sqlite:
        arguments = {"timeout": CONNECT_S, "command_timeout": COMMAND_S}
        # A server that was started again is not noticed at the cost of the first batch after it.
        return create_async_engine(address.url, connect_args=arguments, pool_pre_ping=True, **options)
    engine = create_async_engine(address.url if writes else _url_to_read(address), **options)

    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver would begin by itself, and too late
        connection.run_async(_set_wal if writes else _set_up)

    def begins(connection: sa.Connection) -> None:
        # The lock at once: a transaction that has read and then wants to write could be told that it is too late.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", begins)
    return engine


def _url_to_read(address: Address) -> sa.URL:
    """Where we may not write SQLite cannot open a WAL database that nobody has open: it would make files beside it."""
    path = address.path
    may_write = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    if may_write or path.with_name(f"{path.name}-wal").exists():
        return address.url
    return address.url.set(database=f"file:{quote(str(path.absolute()))}", query={"immutable": "1", "uri": "true"})


async def _set_up(connection: aiosqlite.Connection, pragmas: Sequence[str] = READS) -> None:
    for pragma in pragmas:
        await connection.execute(f"PRAGMA {pragma}")


async def _set_wal(connection: aiosqlite.Connection) -> None:
    """Of several who turn a new file to WAL at once SQLite tells some "locked", without waiting its busy time."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + BUSY_S
    while True:
        try:
            await _set_up(connection, WRITES)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or loop.time() >= until_s:
                raise
        else:
            return
        await asyncio.sleep(BUSY_AGAIN_S)


def _make_private(address: Address) -> None:
    """Telephone numbers are nobody else's business; SQLite's own files take the mode of this one.

    A file that is there is not even opened: closing it would give up every lock that SQLite has on it in this process
    (POSIX, fcntl), and the next reader to leave would delete the log that we write to (sqlite.org, howtocorrupt, 2.2).
    """
    try:
        os.close(os.open(address.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(f"{address.path}: {error.strerror}") from None
