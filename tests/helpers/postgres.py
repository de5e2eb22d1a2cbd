"""A PostgreSQL of our own (Debian's package): a cluster in a folder, reached by a Unix socket, killed and started at will.

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
START_S = 30.0


@dataclass
class Postgres:
    folder: Path
    _databases: int = 0

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
        data, log = self.folder / "data", self.folder / "log"
        # As a child of nobody here: pg_ctl leaves. Sockets only in our folder, no TCP.
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder}"
        self.run(_program("pg_ctl"), "-D", str(data), "-l", str(log), "-o", options, "-w", "-t", "30", "start")

    def kill(self) -> None:
        """All its processes at once, SIGKILL."""
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGSTOP)  # lest it starts new ones meanwhile
        for pid in [*proc.children(postmaster), postmaster]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + START_S
        while proc.is_alive(postmaster):
            assert time.monotonic() < until
            time.sleep(0.01)

    def stop(self) -> None:
        with suppress(subprocess.CalledProcessError):
            self.run(_program("pg_ctl"), "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def run(self, *command: str) -> str:
        """As the user that PostgreSQL insists on not being root."""
        words = ["runuser", "-u", USER, "--", *command] if os.getuid() == 0 else list(command)
        done = subprocess.run(words, cwd="/", capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout


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
