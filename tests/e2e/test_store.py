"""kill -9 while SIPp calls: the bridge with all its processes, or the database under it; then the records are counted.

Whoever was told 200 is in the records, once and whole, whatever was killed in whichever moment.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from bridge.records import CallRecord
from tests.helpers import proc
from tests.helpers.postgres import Postgres, server
from tests.helpers.rig import HOST, Rig, eventually, free_ports, rig
from tests.helpers.sipp import SCENARIOS

PER_SECOND = 15
CALLS = 100
MESSAGE = re.compile(r"-{20,} .*?\n(?:UDP|TCP) message received.*?\n\n(.*?)(?=\n-{20,}|\Z)", re.DOTALL)
CALL_ID = re.compile(r"^Call-ID: *(\S+)", re.MULTILINE | re.IGNORECASE)
INVITED = re.compile(r"^CSeq: *\d+ INVITE", re.MULTILINE | re.IGNORECASE)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with server() as running:
        yield running


class Load:
    """SIPp, which goes on calling whether anybody answers or not, and keeps what it was told."""

    def __init__(self, folder: Path) -> None:
        self._messages = folder / "sipp-messages.log"
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Load:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def start(self, port: int, calls: int = CALLS) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *("sipp", f"{HOST}:{port}", "-sf", str(SCENARIOS / "normal.xml"), "-s", "1", "-i", HOST),
            *("-mi", HOST, "-mp", str(free_ports(4)[0]), "-nostdin", "-nd"),
            *("-m", str(calls), "-r", str(PER_SECOND), "-l", str(calls), "-recv_timeout", "3000"),
            *("-trace_msg", "-message_file", str(self._messages), "-trace_err"),
            *("-error_file", str(self._folder / "sipp-errors.log")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=self._folder,
        )

    async def ends(self) -> None:
        """Calls that were cut off fail, as they must: its exit status says nothing here."""
        assert self._process is not None
        await asyncio.wait_for(self._process.wait(), 200)

    def answered(self) -> set[str]:
        """Call-IDs whose INVITE got a 200."""
        received = MESSAGE.findall(self._messages.read_text(errors="replace"))
        yes = [text for text in received if text.startswith("SIP/2.0 200") and INVITED.search(text)]
        return {found[1] for text in yes if (found := CALL_ID.search(text))}


async def kill_all(house: Rig) -> None:
    """The bridge and its children, as the power does."""
    os.kill(house.process.pid, signal.SIGSTOP)  # lest it starts new ones meanwhile
    pids = [*proc.children(house.process.pid), house.process.pid]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    await house.process.wait()
    await eventually(lambda: not any(map(proc.is_alive, pids)), "end of all processes")
    await eventually(lambda: not house.live_calls(), "end of the platforms' calls")
    house.expected_status = -signal.SIGKILL


def told(house: Rig) -> list[str]:
    return [text for text in house.log() if "the store takes" in text]


def count(records: list[CallRecord], answered: set[str]) -> None:
    per_call = Counter(record.sip_call_id for record in records)
    assert [call for call in answered if per_call[call] != 1] == []
    assert [record.call for record in records if not record.ended_at or not record.reason] == []
    by_id = {record.sip_call_id: record for record in records}
    assert [call for call in answered if not by_id[call].answered_at] == []


def of_sqlite(path: Path) -> list[CallRecord]:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        rows = database.execute("select document from calls").fetchall()
    return [msgspec.json.decode(text, type=CallRecord) for (text,) in rows]


def of_postgres(postgres: Postgres, url: str) -> list[CallRecord]:
    lines = postgres.query(url, "select document from calls").splitlines()
    return [msgspec.json.decode(line, type=CallRecord) for line in lines]


async def killed(folder: Path, url: str, *, lives: int, calls: int) -> set[str]:
    """Calls that were answered while the bridge was killed again and again; the last life is left in peace."""
    port, dice = free_ports(2)[0], random.Random()
    async with Load(folder) as load:
        for life in range(lives):
            async with rig(folder, sip_port=port, records=url) as house:
                house.expected_errors.append("records are late")  # a disk shared with others: that is what it says then
                if life == 0:
                    await load.start(port, calls)
                if life == lives - 1:
                    await load.ends()
                    break
                await asyncio.sleep(dice.uniform(0.3, 2.0))
                await kill_all(house)
    return load.answered()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    ("lives", "calls"), [(4, CALLS), pytest.param(25, 1200, marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
)
async def test_the_bridge_is_killed_at_any_moment(
    kind: str, lives: int, calls: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    postgres: Postgres | None = request.getfixturevalue("postgres") if kind == "postgresql" else None
    url = postgres.database() if postgres else ""
    answered = await killed(tmp_path, url, lives=lives, calls=calls)
    records = of_postgres(postgres, url) if postgres else of_sqlite(tmp_path / "puente.db")
    count(records, answered)
    assert len(answered) > calls / 4  # it was a test of something
    reasons = {record.reason for record in records}
    assert "bridge-lost" in reasons
    assert "caller-hung-up" in reasons


async def test_the_database_is_killed_at_any_moment(postgres: Postgres, tmp_path: Path) -> None:
    """Nobody on the telephone notices: every call is answered and ends as it should."""
    url, dice = postgres.database(), random.Random()
    async with Load(tmp_path) as load, rig(tmp_path, records=url) as house:
        house.expected_errors += ["the store takes no records", "records are late"]
        await load.start(house.udp[1])
        for _ in range(3):
            await asyncio.sleep(dice.uniform(0.2, 1.0))
            postgres.kill()
            await asyncio.sleep(dice.uniform(0.2, 1.0))
            await asyncio.to_thread(postgres.start)
        await load.ends()
        # The server recovers from its own crash first, and the bridge asks for it ever more rarely.
        await eventually(
            lambda: "the store takes records again" in "".join(told(house)[-1:]), "return of the store", 60
        )
        assert 2 <= len(told(house)) <= 6  # away, and there again
    assert not (tmp_path / "puente.spool").exists()
    answered, records = load.answered(), of_postgres(postgres, url)
    count(records, answered)
    assert len(answered) == len(records) == CALLS
    assert {record.reason for record in records} == {"caller-hung-up"}
