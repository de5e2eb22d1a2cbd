"""SQLite's locks, which a process loses when it closes any descriptor of the file (sqlite.org, howtocorrupt, 2.2)."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bridge.store import Address, Store
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
