"""A real bridge as a child process, with simulated platforms around it, for tests of whole calls.

    async with rig("/some/folder") as house:
        house.ultravox.part = Part(...)                  what the simulated agent does from the next call on
        house.ultravox.failures = Failures(rest="never") what goes wrong from the next call on
        async with phone(house.udp) as caller:
            await caller.call("100")
        record = await house.record(caller.sip_call_id)

Dialled numbers choose the platform (see `ROUTES`). Leaving the context stops the bridge by SIGTERM and checks that
nothing is left: no process, no error in the log, no platform's call, no secret in log or records. `settled()` checks in
between that no RTP port and no descriptor is left at the workers.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bridge.ending import tell
from bridge.records import CallRecord
from bridge.simulators.account import Account
from bridge.simulators.calls import SimulatedCall
from bridge.simulators.failures import NONE
from bridge.simulators.part import ECHO
from bridge.simulators.simulator import Simulator
from tests.helpers import proc

HOST = "127.0.0.1"
PATIENCE_S = 10.0
"How long something that must come is waited for. Only a failing test waits so long."
API_KEY = "e2e-key-0123456789abcdef"
JOIN_URL = re.compile(r"server_web_socket|/transport\b")
"Parts of the media URLs of both platforms, which are as good as keys."
RTP_PORTS = 400

T = TypeVar("T")

ROUTES = """
[[routes]]
number = "17*"
platforms = ["own-agent"]

[[routes]]
number = "1*"
platforms = ["ultravox"]

[[routes]]
number = "2*"
platforms = ["vapi-mulaw"]

[[routes]]
number = "3*"
platforms = ["vapi-16k"]

[[routes]]
number = "4*"
platforms = ["nobody"]

[[routes]]
number = "5*"
platforms = ["ultravox", "vapi-mulaw"]

[[routes]]
number = "6*"
platforms = ["nobody", "ultravox"]
"""
"Numbers that begin with 7, 8 or 9 have no route."

LOOPBACK = """
[[trunks]]
name = "loop"
sources = ["127.0.0.1"]
"""

CONFIG = """
[sip]
udp_port = {sip_port}
tcp_port = {sip_port}
transaction_timeout_ms = 4000
{sip}

[media]
workers = {workers}
rtp_first_port = {first_port}
rtp_last_port = {last_port}
port_rest_s = 0.2
quiet_after_ms = {quiet_after_ms}
drain_ms = 3000
{media}
{trunks}
[[platforms]]
name = "ultravox"
kind = "ultravox"
url = "{ultravox}"
api_key_env = "PUENTE_E2E_KEY"
prompt = "Be short."
create_timeout_ms = {budget_ms}
connect_timeout_ms = {budget_ms}

[[platforms]]
name = "vapi-mulaw"
kind = "vapi"
url = "{vapi}"
api_key_env = "PUENTE_E2E_KEY"
agent = "00000000-0000-4000-8000-000000000001"
encoding = "mulaw"
create_timeout_ms = {budget_ms}
connect_timeout_ms = {budget_ms}

[[platforms]]
name = "vapi-16k"
kind = "vapi"
url = "{vapi}"
api_key_env = "PUENTE_E2E_KEY"
agent = "00000000-0000-4000-8000-000000000001"
rate_hz = 16000
create_timeout_ms = {budget_ms}
connect_timeout_ms = {budget_ms}

[[platforms]]
name = "own-agent"
kind = "twilio"
url = "{twilio}"
api_key_env = "PUENTE_E2E_KEY"
auth = "signature"
connect_timeout_ms = {budget_ms}

[[platforms]]
name = "nobody"
kind = "ultravox"
url = "http://127.0.0.1:1"
api_key_env = "PUENTE_E2E_KEY"
prompt = "Nobody listens on this port."

[records]
url = "{records}"
spool = "{spool}"

[log]
format = "json"
"""


@dataclass
class Rig:
    """What a test sees of the house."""

    folder: Path
    process: asyncio.subprocess.Process
    ultravox: Account
    vapi: Account
    twilio: Account
    ports: tuple[int, int]
    "First and last RTP port."
    said: list[str] = field(default_factory=list)
    "What the bridge has written on standard output."
    expected_errors: list[str] = field(default_factory=list)
    "Parts of error lines that the tests of this rig bring about on purpose."
    expected_status: int = 0
    _at_rest: dict[int, int] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    # --- where it is

    @property
    def udp(self) -> tuple[str, int]:
        return HOST, self._listens("udp")

    @property
    def tcp(self) -> tuple[str, int]:
        return HOST, self._listens("tcp")

    def _listens(self, transport: str) -> int:
        line = next(line for line in self.said if line.startswith("sip "))
        found = re.search(rf"127\.0\.0\.1:(\d+) {transport}", line)
        assert found, line
        return int(found[1])

    # --- what it has written

    @property
    def log_path(self) -> Path:
        return self.folder / "bridge.log"

    @property
    def records_path(self) -> Path:
        return self.folder / "puente.db"

    def log(self, *, call: str = "", level: str = "") -> list[str]:
        """Messages of the log, of one call or level only."""
        return [
            str(line.get("msg", ""))
            for line in self._log_lines()
            if (not call or line.get("call") == call) and (not level or line.get("level") == level)
        ]

    def _log_lines(self) -> list[dict[str, Any]]:
        texts = self.log_path.read_text().splitlines()
        return [json.loads(text) if text.startswith("{") else {"level": "error", "msg": text} for text in texts]

    def records(self) -> list[CallRecord]:
        """Of the calls that are over, in the order of their ends. None when they are kept elsewhere."""
        if not self.records_path.exists():
            return []
        with closing(sqlite3.connect(self.records_path)) as database:
            query = "select document from calls where ended_at != '' order by ended_at, rowid"
            rows = database.execute(query).fetchall()
        return [msgspec.json.decode(text, type=CallRecord) for (text,) in rows]

    async def record(self, sip_call_id: str) -> CallRecord:
        """The one record of a call, waited for."""
        found = await eventually(lambda: self.records_of(sip_call_id), f"record of {sip_call_id}")
        assert len(found) == 1, found
        return found[0]

    def records_of(self, sip_call_id: str) -> list[CallRecord]:
        return [record for record in self.records() if record.sip_call_id == sip_call_id]

    # --- its processes

    def children(self, module: str) -> list[int]:
        """Pids of the children that run this module, `sip.process` or `media.worker`, oldest first."""
        found = [pid for pid in proc.children(self.process.pid) if module in proc.command_line(pid)]
        self._seen |= set(found)
        return sorted(found, key=proc.started_at)

    def worker_of(self, port: int) -> int:
        """The worker that has this RTP port open."""
        return next(pid for pid in self.children("media.worker") if port in proc.udp_ports(pid))

    def rtp_ports(self) -> list[int]:
        """RTP ports that are open, of all workers."""
        first, last = self.ports
        open_ports = (port for pid in self.children("media.worker") for port in proc.udp_ports(pid))
        return sorted(port for port in open_ports if first <= port <= last)

    def rest(self) -> None:
        """Remembers what the workers hold while there is no call."""
        self._at_rest = {pid: proc.descriptors(pid) for pid in self.children("media.worker")}
        self.children("sip.process")

    async def settled(self) -> None:
        """Every call has given back what it had: RTP ports, platform sockets, and the platform's own call."""
        await eventually(lambda: not self.rtp_ports(), "end of the RTP ports")
        await eventually(lambda: not self.live_calls(), "end of the platforms' calls")
        await eventually(lambda: not self._too_many_descriptors(), "end of descriptors")

    def live_calls(self) -> list[SimulatedCall]:
        """Calls whose media socket is up, as the platforms see it."""
        calls = (call for account in self.accounts for call in account.calls)
        return [call for call in calls if call.joined and not call.ended]

    def _too_many_descriptors(self) -> list[int]:
        return [pid for pid, count in self._at_rest.items() if proc.is_alive(pid) and proc.descriptors(pid) > count]

    @property
    def accounts(self) -> tuple[Account, ...]:
        return self.ultravox, self.vapi, self.twilio

    def well(self) -> None:
        """The platforms are as at the start: all echo, nothing fails."""
        for account in self.accounts:
            account.part, account.failures = ECHO, NONE

    # --- the end

    async def stop(self) -> int:
        """SIGTERM, and the exit status. Twice is once."""
        self.rest()
        tell(self.process, signal.SIGTERM)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self.process.wait()
        except TimeoutError:
            tell(self.process, signal.SIGKILL)
            await self.process.wait()
            raise AssertionError("the bridge did not stop") from None

    def nothing_left(self) -> None:
        """After the stop."""
        assert [pid for pid in self._seen if proc.is_alive(pid)] == []
        assert "Traceback" not in self.log_path.read_text()
        errors = [text for text in self.log(level="error") if not any(part in text for part in self.expected_errors)]
        assert errors == []
        written = self.log_path.read_text() + str(self.records())
        assert API_KEY not in written
        assert not JOIN_URL.search(written)
        assert self.live_calls() == []


async def eventually(look: Callable[[], T], what: str, within_s: float = PATIENCE_S) -> T:
    """Waits until something has become true, and gives it. The time-out is a failure, never a measurement."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    while not (found := look()):
        assert loop.time() < until, f"no {what}"
        await asyncio.sleep(0.01)
    return found


def free_ports(count: int, *, but: int = 0) -> tuple[int, int]:
    """A range of UDP ports in which nobody is, below those that the kernel hands out by itself (32768 and up)."""
    taken = proc.bound_udp_ports() | {but}
    for _ in range(100):
        first = random.randrange(25_000, 32_000 - count, 2)
        if not taken & set(range(first, first + count)):
            return first, first + count - 1
    raise AssertionError("no free range of RTP ports")


@asynccontextmanager
async def rig(
    folder: Path,
    *,
    trunks: str = LOOPBACK,
    media: str = "",
    sip: str = "",
    sip_port: int = 0,
    workers: int = 1,
    budget_ms: int = 1000,
    quiet_after_ms: int = 15000,
    records: str = "",
) -> AsyncIterator[Rig]:
    """Three simulators in this process, and the bridge in processes of its own. It must end well."""
    async with (
        Simulator("ultravox", api_key=API_KEY) as ultravox,
        Simulator("vapi", api_key=API_KEY) as vapi,
        Simulator("twilio", api_key=API_KEY) as twilio,
    ):
        ports = free_ports(RTP_PORTS, but=sip_port)
        config = CONFIG.format(
            trunks=trunks,
            media=media,
            sip=sip,
            sip_port=sip_port,
            workers=workers,
            first_port=ports[0],
            last_port=ports[1],
            quiet_after_ms=quiet_after_ms,
            budget_ms=budget_ms,
            ultravox=ultravox.url,
            vapi=vapi.url,
            twilio=twilio.url,
            spool=folder / "puente.spool",
            records=records or f"sqlite:///{folder / 'puente.db'}",
        )
        (folder / "bridge.toml").write_text(config + ROUTES)
        with (folder / "bridge.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bridge", "serve", "--config", str(folder / "bridge.toml")),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PUENTE_E2E_KEY": API_KEY},
            )
        house = Rig(folder, process, ultravox.account, vapi.account, twilio.account, ports)
        try:
            await _ready(house)
            house.rest()
            yield house
            assert await house.stop() == house.expected_status
        finally:
            if process.returncode is None:
                await house.stop()
        house.nothing_left()


async def _ready(house: Rig) -> None:
    stdout = house.process.stdout
    assert stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S * 2):
            async for line in stdout:
                house.said.append(line.decode().rstrip())
                if house.said[-1] == "ready":
                    return
    except TimeoutError:
        pass
    raise AssertionError(f"the bridge did not start: {house.said} {house.log_path.read_text()}")
