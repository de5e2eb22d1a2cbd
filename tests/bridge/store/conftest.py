"""Both databases, and records to put into them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.store import Address
from tests.helpers.postgres import Postgres, server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return Address.parse(f"sqlite:///{tmp_path / 'puente.db'}")
    running: Postgres = request.getfixturevalue("postgres")
    return Address.parse(running.database())


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"
