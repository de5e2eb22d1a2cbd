"""Where the records are kept: a URL as people write it, turned into the driver's, its password kept out of sight."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from bridge.errors import StoreError

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
"Scheme of the URL -> SQLAlchemy's dialect and driver."

SSL_NAME = "sslmode"
"What libpq calls it, and everybody who writes a URL; asyncpg's own word is `ssl`."


@dataclass(frozen=True, slots=True)
class Address:
    url: URL

    @classmethod
    def parse(cls, text: str, password: str = "") -> Address:
        """`sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql://user@host/name`. Raises StoreError.

        `password` takes the place of the URL's own, which then need not stand in any file.
        """
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            raise StoreError("not a URL: sqlite:///file.db or postgresql://user@host/name is one") from None
        driver = DRIVERS.get(url.drivername.partition("+")[0])
        if driver is None:
            raise StoreError(f"{url.drivername} is not known here: sqlite or postgresql")
        if not url.database or url.database == ":memory:":
            raise StoreError("the URL names no file" if driver.startswith("sqlite") else "the URL names no database")
        url = url.set(drivername=driver)
        if password:
            url = url.set(password=password)
        if driver.startswith("postgresql") and SSL_NAME in url.query:
            url = url.update_query_dict({"ssl": url.query[SSL_NAME]}).difference_update_query([SSL_NAME])
        return cls(url)

    @property
    def is_sqlite(self) -> bool:
        return self.url.drivername.startswith("sqlite")

    @property
    def path(self) -> Path:
        """The file of an SQLite database."""
        assert self.is_sqlite
        return Path(self.url.database or "")

    @property
    def spool(self) -> Path:
        """Where records wait for a database that is away, when the settings name no place."""
        return self.path.with_name(f"{self.path.name}.spool") if self.is_sqlite else Path("puente.spool")

    def __str__(self) -> str:
        shown = self.url.set(drivername=self.url.get_backend_name()).difference_update_query(["password"])
        return shown.render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"<Address {self}>"
