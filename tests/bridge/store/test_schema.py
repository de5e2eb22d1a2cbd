"""Migrations: an empty database, an old one with calls in it, one of the future; all lead to today's tables."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from bridge.errors import StoreError
from bridge.store import Address, CallFilter, Reader, schema
from bridge.store.database import Database
from bridge.store.entries import document, ended
from bridge.store.rows import call_row
from bridge.store.tables import metadata
from tests.bridge.store.samples import over, standing


async def test_the_steps_lead_to_the_tables_of_today(address: Address) -> None:
    database = Database(address)
    async with database.begin() as connection:
        await connection.run_sync(schema.upgrade)

        def differences(sync: sa.Connection) -> list[object]:
            return list(compare_metadata(MigrationContext.configure(sync), metadata))

        assert await connection.run_sync(differences) == []
        assert await connection.run_sync(schema.version) == schema.newest()
    await database.close()


async def test_an_older_store_keeps_its_calls(address: Address) -> None:
    database = Database(address)
    old = sa.MetaData()
    async with database.begin() as connection:
        await connection.run_sync(schema.upgrade, "0001")
        await connection.run_sync(old.reflect)
        columns = set(old.tables["calls"].c.keys())
        for record in (over("a"), over("b", cost=None), standing("c")):
            row = {name: value for name, value in call_row(document(record)).items() if name in columns}
            await connection.execute(old.tables["calls"].insert().values(row))
    reader = Reader(address)
    with pytest.raises(StoreError, match="version 0001, this Puente reads 0002: start the bridge once"):
        await reader.calls(CallFilter())
    await database.apply([ended(over("d"))])
    assert await reader.calls(CallFilter()) == [over("a"), over("b", cost=None), standing("c"), over("d")]
    found = await reader.spent(CallFilter())
    spent = {(one.currency, one.calls, one.talk_s, one.billed_s, one.cost_nanos) for one in found}
    assert spent == {("USD", 2, 91, 240, 32_000_000), ("", 1, 91, 0, 0)}
    await reader.close()
    await database.close()


async def test_a_step_that_fails_leaves_everything_as_it_was(address: Address) -> None:
    database = Database(address)
    async with database.begin() as connection:
        await connection.run_sync(schema.upgrade, "0001")
        broken = {"call": "a", "document": "no JSON"}
        await connection.execute(sa.text("insert into calls (call, document) values (:call, :document)"), broken)
    with pytest.raises(StoreError, match="the tables cannot be brought up to date: Expecting value"):
        await database.apply([])
    async with database.begin() as connection:
        assert await connection.run_sync(schema.version) == "0001"
        columns = await connection.run_sync(lambda sync: {one["name"] for one in sa.inspect(sync).get_columns("calls")})
        assert "talk_s" not in columns
    await database.close()


async def test_a_store_of_a_newer_puente_is_left_alone(address: Address) -> None:
    database = Database(address)
    await database.apply([])
    async with database.begin() as connection:
        await connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    newer, reader = Database(address), Reader(address)
    with pytest.raises(StoreError, match="version 9999, made by a newer Puente; this one knows 0002"):
        await newer.apply([])
    with pytest.raises(StoreError, match="version 9999, this Puente reads 0002: read it with the Puente that wrote it"):
        await reader.calls(CallFilter())
    await reader.close()
    for one in (database, newer):
        await one.close()


async def test_two_bridges_that_start_at_once(address: Address) -> None:
    both = [Database(address) for _ in range(4)]
    await asyncio.gather(*(one.apply([ended(over(f"c{number}"))]) for number, one in enumerate(both)))
    reader = Reader(address)
    assert len(await reader.calls(CallFilter())) == 4
    await reader.close()
    for one in both:
        await one.close()


async def test_back_and_forth(address: Address) -> None:
    """Alembic's own way down, for a person with a console; nothing of ours uses it."""
    from alembic import command

    database = Database(address)
    await database.apply([ended(over("a"))])
    async with database.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(schema._config(sync), "0001"))
        await connection.run_sync(schema.upgrade)
    reader = Reader(address)
    assert await reader.calls(CallFilter()) == [over("a")]
    await reader.close()
    await database.close()
