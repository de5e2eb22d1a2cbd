"""The store as a bridge has it: its contract with both databases and without any, its deaths and its next lives."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa

from bridge.errors import KeyReused, StoreDown, StoreError
from bridge.records import CallRecord, Cost
from bridge.store import Address, CallFilter, Forgetful, Keeper, Reader, Store
from bridge.store import store as module
from bridge.store.spool import waiting
from tests.bridge.store.samples import ANSWERED, event, over, standing
from tests.helpers.postgres import Postgres
from tests.helpers.rig import eventually

ROOT = Path(__file__).parents[3]


@pytest_asyncio.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Keeper]:
    """Each that the desk may be given: the same tests run against all of them."""
    if request.param == "memory":
        yield Forgetful()
        return
    url = f"sqlite:///{tmp_path / 'puente.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").database()
    async with Store(Address.parse(url), spool=tmp_path / "spool") as opened:
        yield opened


async def calls(address: Address) -> list[CallRecord]:
    reader = Reader(address)
    try:
        return await reader.calls(CallFilter(limit=10_000))
    finally:
        await reader.close()


class TestContract:
    async def test_a_call_is_found_from_its_beginning_on(self, store: Keeper) -> None:
        assert await store.find("c1") is None
        record = standing()
        await store.begin(record)
        assert await store.find("c1") == record
        await store.begin(standing(answered_at=ANSWERED))
        done = over()
        await store.end(done)
        assert await store.find("c1") == done

    async def test_a_key_is_bound_once(self, store: Keeper) -> None:
        first = await store.claim("key", "body one", "c1")
        again = await store.claim("key", "body one", "c2")
        assert (first.call, first.is_new, again.call, again.is_new) == ("c1", True, "c1", False)
        with pytest.raises(KeyReused):
            await store.claim("key", "body two", "c3")
        assert (await store.claim("other", "body two", "c3")).is_new

    async def test_of_many_claims_at_once_one_is_new(self, store: Keeper) -> None:
        claims = await asyncio.gather(*(store.claim("key", "body", f"c{number}") for number in range(20)))
        assert sum(claim.is_new for claim in claims) == 1
        assert len({claim.call for claim in claims}) == 1


async def test_records_say_which_bridge_it_was(address: Address, spool: Path) -> None:
    async with Store(address, instance="b7", spool=spool) as store:
        store.end(over())
        store.event(event())
    [record] = await calls(address)
    assert record.bridge == store.instance == "b7"
    assert waiting(spool) == 0


async def test_nothing_is_touched_before_the_start(tmp_path: Path) -> None:
    store = Store(Address.parse(f"sqlite:///{tmp_path / 'puente.db'}"))
    assert not store.is_well
    early = store.end(over())
    assert os.listdir(tmp_path) == []
    await store.start()
    await asyncio.wait_for(early, 5)
    await store.close()
    await Store(store.address).close()


async def test_claims_live_longer_than_the_bridge(address: Address, spool: Path) -> None:
    for is_new in (True, False):
        async with Store(address, spool=spool) as store:
            assert (await store.claim("key", "body", "c1" if is_new else "c2")).is_new is is_new


VICTIM = """
import asyncio, sys
from pathlib import Path
from bridge.store import Address, Store
from tests.bridge.store.samples import ANSWERED, over, standing

async def main(url, spool, life):
    async with Store(Address.parse(url), spool=Path(spool), beat_s=0.05) as store:
        for number in range(100000):
            call = f"{life}-{number}"
            await store.begin(standing(call, answered_at=ANSWERED))
            print("begun", call, flush=True)
            if number % 3 == 0:
                await store.end(over(call))
                print("ended", call, flush=True)
            elif number % 3 == 1:
                store.end(over(call))

asyncio.run(main(*sys.argv[1:]))
"""
"A bridge reduced to its store: it says what it was promised."


async def a_life(folder: Path, url: str, life: int, lines: int) -> list[list[str]]:
    """What it has said until it was killed, in whatever it was doing then."""
    script = folder / "victim.py"
    script.write_text(VICTIM)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(script), url, str(folder / "spool"), str(life)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    said = [await process.stdout.readline() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    said += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    return [line.decode().split() for line in said if line.endswith(b"\n")]


async def test_kill_9_at_any_moment(address: Address, tmp_path: Path) -> None:
    """What it was promised is there, once and whole; what stood has an end; nothing is half."""
    url, dice = str(address), random.Random(5)
    said = [line for life in range(4) for line in await a_life(tmp_path, url, life, dice.randrange(1, 60))]
    async with Store(address, spool=tmp_path / "spool"):
        pass
    kept = {record.call: record for record in await calls(address)}
    begun, ended = ({call for kind, call in said if kind == wanted} for wanted in ("begun", "ended"))
    assert begun <= kept.keys()
    assert len(kept.keys() - begun) <= 4  # one per life may have been promised without its having been heard
    assert {kept[call].reason for call in ended} == {"caller-hung-up"}
    assert {record.reason for record in kept.values()} == {"caller-hung-up", "bridge-lost"}
    assert [record.call for record in kept.values() if not record.ended_at or not record.bridge] == []


async def test_calls_of_a_killed_bridge_are_charged(address: Address, tmp_path: Path) -> None:
    def bill(record: CallRecord) -> None:
        record.cost = Cost(currency="USD", per_minute="0.008", billing="60/60", billed_s=60, amount="0.008")

    await a_life(tmp_path, str(address), 0, 9)
    async with Store(address, spool=tmp_path / "spool", bill=bill):
        pass
    lost = [record for record in await calls(address) if record.reason == "bridge-lost"]
    assert lost
    assert [record.cost.amount for record in lost if record.cost] == ["0.008"] * len(lost)


class TestAway:
    """A database that comes and goes under a bridge."""

    async def test_killed_and_started_again(
        self, postgres: Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        address = Address.parse(postgres.database())
        async with Store(address, spool=tmp_path / "spool") as store:
            await store.begin(standing("before"))
            postgres.kill()
            try:
                for number in range(30):
                    async with asyncio.timeout(5):
                        await store.begin(standing(f"c{number}"))
                        await store.end(over(f"c{number}"))
                store.event(event())
                with pytest.raises(StoreDown):
                    await store.claim("key", "body", "c1")
                with pytest.raises(StoreDown):
                    await store.find("before")
                assert not store.is_well
                assert waiting(tmp_path / "spool") >= 60
            finally:
                postgres.start()
            await eventually(lambda: store.is_well, "way back", 20)
            assert (await store.claim("key", "body", "c1")).is_new
        assert {record.call: record.reason for record in await calls(address)} == {
            "before": "",  # it stood when the bridge was stopped without its desk
            **{f"c{number}": "caller-hung-up" for number in range(30)},
        }
        about_the_store = [text for text in caplog.messages if "store" in text]
        assert len(about_the_store) == 2, about_the_store
        assert about_the_store[1] == "= the store takes records again; what waited is in it"
        assert not (tmp_path / "spool").exists()

    async def test_not_there_at_the_start(
        self, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(module, "START_S", 0.3)
        address = Address.parse(postgres.database())
        postgres.kill()
        try:
            async with Store(address, instance="one", spool=tmp_path / "spool") as store:
                await store.end(over("c1"))
            await asyncio.sleep(0)
            assert waiting(tmp_path / "spool") == 3  # that it lives, the call, that it stops
        finally:
            postgres.start()
        async with Store(address, spool=tmp_path / "spool"):
            pass
        [record] = await calls(address)
        assert (record.call, record.bridge) == ("c1", "one")
        assert [text for text in caplog.messages if text.startswith("! started without the store: ")]

    async def test_what_waiting_does_not_mend_is_said_at_once(self, postgres: Postgres, tmp_path: Path) -> None:
        address = Address.parse(postgres.database().replace("postgres@", "nobody@"))
        with pytest.raises(StoreError, match='role "nobody" does not exist'):
            await Store(address, spool=tmp_path / "spool").start()
        assert waiting(tmp_path / "spool") == 1

    async def test_sqlite_on_a_disk_that_is_full(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        address = Address.parse(f"sqlite:///{tmp_path / 'puente.db'}")
        async with Store(address, spool=tmp_path / "spool") as store:
            await store.begin(standing("before"))
            async with store._database.begin() as connection:  # as full as can be had without a disk of one's own
                pages = await connection.scalar(sa.text("PRAGMA page_count"))
                await connection.execute(sa.text(f"PRAGMA max_page_count = {pages}"))
            for number in range(40):
                async with asyncio.timeout(5):
                    await store.end(over(f"c{number}", detail="x" * 2000))
            assert not store.is_well
            async with store._asking.begin() as connection:
                await connection.execute(sa.text("PRAGMA max_page_count = 1000000"))
            async with store._database.engine.connect() as connection:
                await connection.execute(sa.text("PRAGMA max_page_count = 1000000"))
            await eventually(lambda: store.is_well, "way back", 20)
        assert len(await calls(address)) == 41
        assert [text for text in caplog.messages if "full" in text] == [
            "! the store takes no records (database or disk is full); they wait in the spool"
        ]


async def test_two_bridges_on_one_store(address: Address, tmp_path: Path) -> None:
    async with Store(address, spool=tmp_path / "spool") as one, Store(address, spool=tmp_path / "spool") as two:
        await asyncio.gather(*(store.end(over(f"{store.instance}{n}")) for store in (one, two) for n in range(50)))
        await one.begin(standing("stands"))
        assert await two.find("stands") is not None
    kept = await calls(address)
    assert len(kept) == 101
    assert {record.reason for record in kept} == {"caller-hung-up", ""}  # the living are not declared dead


async def test_no_password_in_any_line(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "START_S", 0.1)
    caplog.set_level("DEBUG")
    url = postgres.database().replace("postgres@", "postgres:s3cret@").replace("host=", "host=/nowhere")
    async with Store(Address.parse(url), spool=tmp_path / "spool") as store:
        store.end(over())
        with pytest.raises(StoreDown) as caught:
            await store.find("c1")
    assert caplog.messages
    assert "s3cret" not in " ".join([*caplog.messages, str(caught.value), repr(store.address)])


async def test_neither_store_nor_spool(tmp_path: Path) -> None:
    store = Store(Address.parse(f"sqlite:///{tmp_path / 'puente.db'}"))
    seen = [store.is_in_memory_alone]
    store._writer.spool_fails = True
    seen.append(store.is_in_memory_alone)
    store._writer.is_direct.set()
    seen.append(store.is_in_memory_alone)
    assert seen == [False, True, False]
    await store.close()
