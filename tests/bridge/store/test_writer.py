"""The writer between a database and a spool that both misbehave: nothing lost, nothing waits, nothing said twice."""

from __future__ import annotations

import asyncio
import errno
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from bridge.errors import StoreDown
from bridge.store import writer as module
from bridge.store.database import EntryRefused
from bridge.store.entries import Entry
from bridge.store.writer import Writer
from tests.helpers.rig import eventually

SOON_S = 5.0


def entry(key: object, size: int = 1) -> Entry:
    return Entry("ended", str(key), b"x" * size)


class FakeDatabase:
    """Takes entries; or is down, slow, or stuck until it is told to go on."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.batches = 0
        self.fails: Exception | None = None
        self.go = asyncio.Event()
        self.go.set()
        self.poison = ""
        self.breaks_on = ""

    async def apply(self, entries: Sequence[Entry]) -> None:
        self.batches += 1
        await self.go.wait()
        if self.fails:
            raise self.fails
        if any(one.key == self.poison for one in entries):
            raise EntryRefused("bad")
        if any(one.key == self.breaks_on for one in entries):
            raise OverflowError("bug")
        self.taken += [one.key for one in entries]


class FakeSpool:
    """A file in memory; full when told so."""

    def __init__(self, *left: Entry) -> None:
        self.lines = list(left)
        self.end = len(left)
        self.is_full = self.is_closed = False

    def append(self, entries: Sequence[Entry]) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.lines += entries
        self.end = len(self.lines)

    def read(self, position: int, at_most: int) -> tuple[list[Entry], int]:
        found = self.lines[position : position + at_most]
        return found, position + len(found)

    def clear(self) -> None:
        self.lines, self.end = [], 0

    def close(self) -> None:
        self.is_closed = True

    @property
    def keys(self) -> list[str]:
        return [one.key for one in self.lines]


@asynccontextmanager
async def writing(
    database: FakeDatabase,
    spool: FakeSpool,
    *,
    direct: bool = True,
    patience_s: float = SOON_S,
    again_s: float = 0.01,
) -> AsyncIterator[Writer]:
    writer = Writer(database, lambda: spool, patience_s=patience_s, again_s=again_s, roll=lambda: 1.0)
    writer.start()
    if direct:
        async with asyncio.timeout(SOON_S):
            await writer.is_direct.wait()
    try:
        yield writer
    finally:
        await writer.close()
        await writer.close()
    assert spool.is_closed


async def put(writer: Writer, *keys: object) -> None:
    async with asyncio.timeout(SOON_S):
        await asyncio.gather(*(writer.put(entry(key)) for key in keys))


async def test_when_all_is_well_the_spool_stays_empty() -> None:
    database, spool = FakeDatabase(), FakeSpool()
    async with writing(database, spool) as writer:
        await put(writer, 1, 2)
        await put(writer, 3)
    assert (database.taken, spool.lines) == (["1", "2", "3"], [])


async def test_what_comes_while_a_batch_is_on_its_way_is_the_next_batch() -> None:
    database, spool = FakeDatabase(), FakeSpool()
    async with writing(database, spool) as writer:
        database.go.clear()
        first = writer.put(entry(1))
        await asyncio.sleep(0.01)
        more = [writer.put(entry(key)) for key in range(2, 100)]
        before = database.batches
        database.go.set()
        await asyncio.gather(first, *more)
        assert database.batches == before + 1


async def test_what_an_earlier_life_left_comes_first() -> None:
    database, spool = FakeDatabase(), FakeSpool(*(entry(f"old{n}") for n in range(3)))
    async with writing(database, spool, direct=False) as writer:
        await put(writer, "new")
        await eventually(writer.is_direct.is_set, "way back")
    assert database.taken == ["old0", "old1", "old2", "new"]
    assert spool.lines == []


async def test_down_and_up_again(caplog: pytest.LogCaptureFixture) -> None:
    database, spool = FakeDatabase(), FakeSpool()
    async with writing(database, spool) as writer:
        database.fails = StoreDown("connection refused")
        for key in range(50):
            await put(writer, key)  # as quick as the spool is
        assert spool.keys == [str(key) for key in range(50)]
        assert (writer.is_direct.is_set(), str(writer.trouble)) == (False, "connection refused")
        database.fails = None
        await eventually(writer.is_direct.is_set, "way back")
        await put(writer, "after")
    assert database.taken == [*(str(key) for key in range(50)), "after"]
    assert caplog.messages == [
        "! the store takes no records (connection refused); they wait in the spool",
        "= the store takes records again; what waited is in it",
    ]


async def test_down_until_the_end_leaves_them_to_the_next_life(caplog: pytest.LogCaptureFixture) -> None:
    database, spool = FakeDatabase(), FakeSpool()
    database.fails = StoreDown("no")
    async with writing(database, spool, direct=False) as writer:
        await put(writer, 1, 2)
        writer.put(entry(3))
    assert spool.keys == ["1", "2", "3"]
    assert len(caplog.messages) == 1


async def test_whoever_stops_asks_once_more_whenever_the_next_try_was_due() -> None:
    database, spool = FakeDatabase(), FakeSpool()
    async with writing(database, spool, again_s=3600) as writer:
        database.fails = StoreDown("no")
        await put(writer, 1, 2)
        assert spool.keys == ["1", "2"]
        database.fails = None
    assert (database.taken, spool.lines) == (["1", "2"], [])


async def test_nobody_waits_for_a_stuck_database(caplog: pytest.LogCaptureFixture) -> None:
    database, spool = FakeDatabase(), FakeSpool()
    async with writing(database, spool, patience_s=0.01) as writer:
        database.go.clear()
        await put(writer, 1)
        await put(writer, 2)
        assert spool.keys == ["1", "2"]
        database.go.set()
        await eventually(writer.is_direct.is_set, "way back")
        await put(writer, 3)
    # The first attempt had only the first; it is told again what the spool has, which does no harm.
    assert list(dict.fromkeys(database.taken)) == ["1", "2", "3"]
    assert (spool.lines, caplog.messages) == ([], [])  # a hiccup is not worth a line


async def test_an_attempt_that_fails_late_is_made_again() -> None:
    database, spool = FakeDatabase(), FakeSpool()
    async with writing(database, spool, patience_s=0.01) as writer:
        database.go.clear()
        await put(writer, 1)
        database.fails = StoreDown("server closed the connection")
        database.go.set()
        await eventually(lambda: writer.trouble is not None, "failure")
        assert spool.keys == ["1"]
        database.fails = None
        await eventually(writer.is_direct.is_set, "way back")
    assert database.taken == ["1"]


async def test_a_stuck_one_is_told_of_in_the_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLOW_S", 0.02)
    database, spool = FakeDatabase(), FakeSpool()
    async with writing(database, spool, patience_s=0.01) as writer:
        database.go.clear()
        await put(writer, 1)
        await eventually(lambda: caplog.messages, "a line in the log")
        await asyncio.sleep(0.1)
        assert caplog.messages == ["! the store takes no records (no answer for 0 s); they wait in the spool"]
        database.go.set()


async def test_one_bad_entry_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    database, spool = FakeDatabase(), FakeSpool()
    database.poison = "2"
    async with writing(database, spool) as writer:
        await put(writer, 1, 2, 3)
        await put(writer, 4)
    assert database.taken == ["1", "3", "4"]
    assert caplog.messages == ["! ended 2 is not stored (bad): x"]


async def test_neither_database_nor_spool(caplog: pytest.LogCaptureFixture) -> None:
    database, spool = FakeDatabase(), FakeSpool()
    async with writing(database, spool) as writer:
        database.fails, spool.is_full = StoreDown("disk is full"), True
        waiting = [writer.put(entry(key)) for key in range(100)]
        await asyncio.sleep(0.1)
        assert [one for one in waiting if one.done()] == []  # nobody is promised anything
        spool.is_full = False
        await asyncio.wait_for(asyncio.gather(*waiting), SOON_S)
        assert spool.keys == [str(key) for key in range(100)]
        spool.is_full = True
        more = writer.put(entry("x"))
        database.fails = None
        await asyncio.wait_for(more, SOON_S)  # the database is as good
    assert list(dict.fromkeys(database.taken)) == [*(str(key) for key in range(100)), "x"]
    assert (
        caplog.messages[:3]
        == [
            "! the store takes no records (disk is full); they wait in the spool",
            "! the spool takes nothing either (No space left on device); records wait in memory",
            "= the store takes records again; what waited is in it",
        ][: len(caplog.messages)]
    )


async def test_memory_is_not_without_end(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PENDING_BYTES", 1000)
    database, spool = FakeDatabase(), FakeSpool()
    database.fails, spool.is_full = StoreDown("disk is full"), True
    async with writing(database, spool, direct=False) as writer:
        for key in range(10):
            writer.put(entry(key, size=300))
            await asyncio.sleep(0.005)
    given_up = [text.split()[2] for text in caplog.messages if "is not stored" in text]
    assert given_up == [str(key) for key in range(10)]  # each of them whole in the log, the last place there is


async def test_a_bug_is_a_trouble_not_an_end(caplog: pytest.LogCaptureFixture) -> None:
    database, spool = FakeDatabase(), FakeSpool()
    async with writing(database, spool) as writer:
        database.fails = ZeroDivisionError("oops")
        await put(writer, 1)
        database.fails = None
        await eventually(writer.is_direct.is_set, "way back")
    assert database.taken == ["1"]
    assert [one.levelno for one in caplog.records if "bug" in one.getMessage()][:1] == [logging.ERROR]


async def test_an_entry_that_is_a_bug_keeps_no_other_and_is_in_the_log_whole(caplog: pytest.LogCaptureFixture) -> None:
    database, spool = FakeDatabase(), FakeSpool(entry("a"), entry("bad", size=3), entry("worse"), entry("b"))
    database.breaks_on, database.poison = "bad", "worse"
    async with writing(database, spool) as writer:
        await put(writer, "c")
        database.breaks_on = "d"
        alone = writer.put(entry("d"))
        await asyncio.wait_for(alone, SOON_S)
        assert not writer.is_direct.is_set()  # is it the entry, or the database? The next one tells.
        await put(writer, "e")
        await eventually(writer.is_direct.is_set, "way back")
    assert (database.taken, spool.lines) == (["a", "b", "c", "e"], [])
    given_up = [one.getMessage() for one in caplog.records if "is not stored" in one.getMessage()]
    assert given_up == [
        "! ended worse is not stored (bad): x",
        "! ended bad is not stored (bug: OverflowError): xxx",
        "! ended d is not stored (bug: OverflowError): x",
    ]


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_nothing_is_lost_and_all_is_in_order(seed: int) -> None:
    dice = random.Random(seed)
    database, spool = FakeDatabase(), FakeSpool()
    promised = []
    async with writing(database, spool, direct=False, patience_s=0.002) as writer:
        for key in range(300):
            match dice.randrange(12):
                case 0:
                    database.fails = StoreDown("down") if database.fails is None else None
                case 1:
                    (database.go.set if not database.go.is_set() else database.go.clear)()
                case 2:
                    spool.is_full = not spool.is_full
                case 3:
                    await asyncio.sleep(0.003)
            promised.append(writer.put(entry(key)))
            if dice.random() < 0.3:
                await asyncio.sleep(0)
        database.fails, spool.is_full = None, False
        database.go.set()
        await asyncio.wait_for(asyncio.gather(*promised), SOON_S)
        await eventually(writer.is_direct.is_set, "way back")
    first_times = list(dict.fromkeys(database.taken))
    assert first_times == [str(key) for key in range(300)]
    assert spool.lines == []
