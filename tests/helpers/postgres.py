"""A PostgreSQL of our own (Debian's package): a cluster in a folder, reached by its socket, killed and started at will.

with server() as postgres:
    url = postgres.database()        a new, empty one
    postgres.kill()                  as the power does
    postgres.start()
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.helpers import proc

USER = "postgres"
PATIENCE_S = 30.0


@dataclass
class Postgres:
    folder: Path
    _databases: int = 0
    _process: subprocess.Popen[bytes] | None = None

    def database(self) -> str:
        """URL of a new, empty database."""
        self._databases += 1
        name = f"puente{self._databases}"
        self.run(_program("psql"), "-h", str(self.folder), "-d", "postgres", "-qc", f"create database {name}")
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def query(self, url: str, statement: str) -> str:
        """Unaligned, without headings."""
        name = url.rpartition("/")[0] and url.partition("@/")[2].partition("?")[0]
        return self.run(_program("psql"), "-h", str(self.folder), "-d", name, "-qAtc", statement).strip()

    def start(self) -> None:
        """Returns when it takes connections; after a kill that is when it has recovered."""
        assert self._process is None
        # Our own child: one that nobody waits for stays a zombie, which PostgreSQL takes for a server that runs.
        settings = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}")
        command = (_program("postgres"), "-D", str(self.folder / "data"), *settings)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=_user(), group=_user()
            )
        until = time.monotonic() + PATIENCE_S
        while subprocess.run([_program("pg_isready"), "-q", "-h", str(self.folder)], check=False).returncode:
            assert time.monotonic() < until, (self.folder / "log").read_text()
            assert self._process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """All its processes at once, SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)  # lest it starts new ones meanwhile
        for pid in proc.children(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self._process = None

    def stop(self) -> None:
        """At once; twice is once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(PATIENCE_S)
            self._process = None

    def run(self, *command: str) -> str:
        """As the user that PostgreSQL insists on not being root."""
        done = subprocess.run(
            command, cwd="/", capture_output=True, text=True, check=False, user=_user(), group=_user()
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout


def _user() -> str | None:
    return USER if os.getuid() == 0 else None


def _program(name: str) -> str:
    """Debian keeps them out of the PATH, one folder per version."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    assert found, "PostgreSQL is missing: make test installs it"
    return str(found[-1])


@contextmanager
def server() -> Iterator[Postgres]:
    # Not below pytest's folder: root's alone, and PostgreSQL runs as somebody else. Short, as socket names must be.
    folder = Path(tempfile.mkdtemp(prefix="puente-pg-"))
    postgres = Postgres(folder)
    try:
        if os.getuid() == 0:
            shutil.chown(folder, USER)
        data = str(folder / "data")
        postgres.run(_program("initdb"), "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C")
        postgres.start()
        yield postgres
    finally:
        postgres.stop()
        shutil.rmtree(folder)
