"""The database: entries in, whichever order and however often; and what its troubles are called."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.errors import StoreDown, StoreError
from bridge.records import CallRecord, Cost
from bridge.store import Address, CallFilter, EventFilter, Reader
from bridge.store.database import Database, EntryRefused
from bridge.store.entries import Entry, begun, ended, happened, seen
from bridge.store.instances import Watch, this_instance, this_place
from tests.bridge.store.samples import ANSWERED, ENDED, event, over, standing
from tests.helpers.postgres import Postgres


async def kept(address: Address) -> list[CallRecord]:
    reader = Reader(address)
    try:
        return await reader.calls(CallFilter())
    finally:
        await reader.close()


async def test_any_order_and_any_number_of_times_comes_to_the_same(address: Address) -> None:
    database, dice = Database(address), random.Random(3)
    entries = [begun(standing()), begun(standing(answered_at=ANSWERED)), ended(over()), happened(event())]
    for _ in range(30):
        shuffled = [*entries, *dice.choices(entries, k=4)]
        dice.shuffle(shuffled)
        cut = dice.randrange(len(shuffled))
        await database.apply(shuffled[:cut])
        await database.apply(shuffled[cut:])
    assert await kept(address) == [over()]
    reader = Reader(address)
    assert await reader.events(EventFilter()) == [event()]
    await reader.close()
    await database.close()


async def test_of_two_beginnings_the_later_stays(address: Address) -> None:
    database = Database(address)
    await database.apply([begun(standing()), begun(standing(caller="later"))])
    assert await kept(address) == [standing(caller="later")]
    await database.apply([begun(standing(caller="still later"))])
    assert await kept(address) == [standing(caller="still later")]
    await database.close()


async def test_one_bad_entry_spoils_nothing_but_its_batch(address: Address) -> None:
    database = Database(address)
    with pytest.raises(EntryRefused):
        await database.apply([ended(over("a")), Entry("ended", "b", b"no JSON")])
    await database.apply([ended(over("c"))])
    assert [record.call for record in await kept(address)] == ["c"]
    await database.close()


class TestRecovery:
    GONE = this_instance("gone")

    async def recover(self, database: Database) -> int:
        def bill(record: CallRecord) -> None:
            record.detail += "; billed"

        return await database.recover("me", Watch(this_place(), lambda pid: ""), 0.0, bill)

    async def test_calls_of_the_dead_have_an_end(self, address: Address) -> None:
        database = Database(address)
        calls = [begun(standing(name, bridge="gone", answered_at=ANSWERED)) for name in "ab"]
        await database.apply([seen(self.GONE), *calls, ended(over("c", bridge="gone"))])
        await database.apply([seen(this_instance("me")), begun(standing("d", bridge="me"))])
        assert await self.recover(database) == 2
        assert await self.recover(database) == 0
        reasons = {record.call: record.reason for record in await kept(address)}
        assert reasons == {"a": "bridge-lost", "b": "bridge-lost", "c": "caller-hung-up", "d": ""}
        assert (await kept(address))[0].detail.endswith("; billed")
        await database.close()

    async def test_the_true_end_comes_late_and_stays(self, address: Address) -> None:
        """It was not dead, only cut off from the database; what waited in its spool comes now."""
        database = Database(address)
        await database.apply([seen(self.GONE), begun(standing("a", bridge="gone"))])
        await self.recover(database)
        await database.apply([begun(standing("a", bridge="gone")), ended(over("a", bridge="gone"))])
        assert await kept(address) == [over("a", bridge="gone")]
        await database.close()

    async def test_what_comes_out_of_a_dead_ones_spool_is_ended_too(self, address: Address) -> None:
        database = Database(address)
        await database.apply([seen(self.GONE)])
        await self.recover(database)
        await database.apply([begun(standing("late", bridge="gone"))])
        assert await self.recover(database) == 1
        await database.close()


class TestTrouble:
    async def test_sqlite_where_it_cannot_be(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"nowhere/a.db: No such file or directory") as caught:
            await Database(Address.parse(f"sqlite:///{tmp_path}/nowhere/a.db")).apply([])
        assert not isinstance(caught.value, StoreDown)

    async def test_a_file_that_is_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "a.db").write_text("Dear diary, " * 1000)
        database = Database(Address.parse(f"sqlite:///{tmp_path}/a.db"))
        with pytest.raises(StoreError, match=f"^{tmp_path}/a.db: file is not a database") as caught:
            await database.apply([])
        assert not isinstance(caught.value, StoreDown)
        await database.close()

    async def test_a_file_that_is_damaged_is_named(self, tmp_path: Path) -> None:
        address = Address.parse(f"sqlite:///{tmp_path}/a.db")
        database = Database(address)
        await database.apply([ended(over(str(number), caller="9" * 400)) for number in range(100)])
        await database.close()
        with address.path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (address.path.stat().st_size - 4096))
        reader = Reader(address)
        with pytest.raises(StoreError, match=f"^{tmp_path}/a.db: database disk image is malformed"):
            await reader.calls(CallFilter())
        await reader.close()

    async def test_nobody_else_may_read_the_file(self, tmp_path: Path) -> None:
        address = Address.parse(f"sqlite:///{tmp_path}/a.db")
        database = Database(address)
        await database.apply([ended(over())])
        assert [one.name for one in os.scandir(tmp_path) if one.stat().st_mode & 0o007] == []
        await database.close()

    async def test_a_commit_is_on_the_disk(self, tmp_path: Path) -> None:
        database = Database(Address.parse(f"sqlite:///{tmp_path}/a.db"))
        async with database.begin() as connection:
            assert await connection.scalar(sa.text("PRAGMA synchronous")) == 2  # FULL
            assert await connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        await database.close()

    @pytest.mark.parametrize(
        ("change", "is_for_good", "why"),
        [
            (("@/puente", "@/nowhere"), True, 'database "nowhere'),
            (("postgres@", "nobody@"), True, 'role "nobody" does not exist'),
            (("host=", "host=/nowhere"), False, "No such file or directory"),
        ],
    )
    async def test_postgresql_that_is_not_there(
        self, postgres: Postgres, change: tuple[str, str], is_for_good: bool, why: str
    ) -> None:
        database = Database(Address.parse(postgres.database().replace(*change)))
        with pytest.raises(StoreError, match=why) as caught:
            await database.apply([])
        assert isinstance(caught.value, StoreDown) is not is_for_good
        await database.close()

    async def test_what_is_said_shows_no_values(self, address: Address) -> None:
        database = Database(address)
        await database.apply([])
        async with database.begin() as connection:
            await connection.execute(sa.text("drop table calls"))
        with pytest.raises(StoreError) as caught:
            await database.apply([ended(over(caller="+4930123456"))])
        assert "calls" in str(caught.value)
        assert "+4930123456" not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert ENDED not in str(caught.value)
        await database.close()


async def test_what_the_driver_cannot_bind_is_one_bad_entry(address: Address) -> None:
    database = Database(address)
    cost = Cost(currency="USD", per_minute="1", billing="1/1", billed_s=2**70, amount="1")
    with pytest.raises(EntryRefused):
        await database.apply([ended(over("a", cost=cost))])
    await database.apply([ended(over("b"))])
    assert [record.call for record in await kept(address)] == ["b"]
    await database.close()
