"""URLs of stores: what people write, what the driver gets, and what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import StoreError
from bridge.store import Address


@pytest.mark.parametrize(
    ("text", "driver", "shown"),
    [
        ("sqlite:///out/a.db", "sqlite+aiosqlite:///out/a.db", "sqlite:///out/a.db"),
        ("sqlite:////var/a.db", "sqlite+aiosqlite:////var/a.db", "sqlite:////var/a.db"),
        ("postgresql://u@db.example/p", "postgresql+asyncpg://u@db.example/p", "postgresql://u@db.example/p"),
        ("postgres://u@db.example/p", "postgresql+asyncpg://u@db.example/p", "postgresql://u@db.example/p"),
        (
            "postgresql://u@db.example/p?sslmode=require",
            "postgresql+asyncpg://u@db.example/p?ssl=require",
            "postgresql://u@db.example/p?ssl=require",
        ),
    ],
)
def test_what_the_driver_gets(text: str, driver: str, shown: str) -> None:
    address = Address.parse(text)
    assert address.url.render_as_string() == driver
    assert str(address) == shown


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("puente.db", "not a URL: sqlite:///file.db or postgresql://user@host/name is one"),
        ("postgresql://u@host:port/p", "not a URL: sqlite:///file.db or postgresql://user@host/name is one"),
        ("mysql://u@host/p", "mysql is not known here: sqlite or postgresql"),
        ("sqlite://", "the URL names no file"),
        ("sqlite:///:memory:", "the URL names no file"),
        ("postgresql://host", "the URL names no database"),
    ],
)
def test_what_is_none(text: str, why: str) -> None:
    with pytest.raises(StoreError) as caught:
        Address.parse(text)
    assert str(caught.value) == why


@pytest.mark.parametrize("text", ["postgresql://u:s3cret@h/p", "postgresql://u@h/p?password=s3cret"])
def test_a_password_is_never_shown(text: str) -> None:
    address = Address.parse(text)
    assert "s3cret" not in f"{address} {address!r}"


def test_a_password_of_its_own_takes_the_place_of_the_urls() -> None:
    assert Address.parse("postgresql://u:old@h/p", "new").url.password == "new"


def test_the_spool_lies_beside_the_file() -> None:
    assert Address.parse("sqlite:///out/a.db").spool == Path("out/a.db.spool")
    assert Address.parse("postgresql://u@h/p").spool == Path("puente.spool")
