"""SQLite's locks: which a process loses when it closes any descriptor of the file (sqlite.org, howtocorrupt, 2.2), and
for which nobody waits who turns a new file to WAL.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from bridge.errors import StoreDown
from bridge.store import Address, Store
from bridge.store import database as module
from bridge.store.database import Database
from tests.bridge.store.samples import over, standing

READER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
print(*database.execute("select ended_at != '' from calls").fetchone())
database.close()
"""


async def read(path: Path) -> str:
    """Whether the one call has ended, as another process sees it, which then leaves."""
    reader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", READER, str(path)), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await reader.communicate()
    assert reader.returncode == 0
    return out.decode().strip()


async def test_a_reader_that_leaves_takes_nothing_with_it(tmp_path: Path) -> None:
    """Were our locks gone it would be the last one, as far as it knows, and delete the log that we write to."""
    path = tmp_path / "puente.db"
    async with Store(Address.parse(f"sqlite:///{path}"), spool=tmp_path / "spool") as store:
        await store.begin(standing())
        await store.find("c1")  # over a connection of its own
        assert await read(path) == "0"
        await store.end(over())
        assert await read(path) == "1"


class Crowd:
    """In a race for WAL that has so many rounds: SQLite's answer to those who lose one, at once."""

    def __init__(self, rounds: int, code: int = sqlite3.SQLITE_BUSY) -> None:
        self.left, self._code, self._execute = rounds, code, aiosqlite.Connection.execute

    def execute(self, connection: aiosqlite.Connection, sql: str, *rest: Any) -> Any:
        if "journal_mode" in sql and self.left:
            self.left -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self._code
            raise error
        return self._execute(connection, sql, *rest)


async def first_batch(tmp_path: Path, crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(connection: aiosqlite.Connection, *given: Any) -> Any:
        return crowd.execute(connection, *given)

    monkeypatch.setattr(aiosqlite.Connection, "execute", execute)
    database = Database(Address.parse(f"sqlite:///{tmp_path / 'puente.db'}"))
    try:
        await database.apply([])
    finally:
        await database.close()


async def test_a_bridge_that_starts_beside_others_waits_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = Crowd(3)
    await first_batch(tmp_path, crowd, monkeypatch)
    assert crowd.left == 0


async def test_but_not_for_ever_and_for_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_S", 0.05)
    with pytest.raises(StoreDown, match="database is locked"):
        await first_batch(tmp_path, Crowd(1000), monkeypatch)
    crowd = Crowd(3, sqlite3.SQLITE_IOERR)
    with pytest.raises(StoreDown):
        await first_batch(tmp_path, crowd, monkeypatch)
    assert crowd.left == 2
