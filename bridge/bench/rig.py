"""One step of the benchmark: its processes, each on free loopback ports, and what they had used when it was over."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

import httpx
import msgspec

from bridge.bench import kernel
from bridge.bench.results import FromCaller, Heard, Load, Measured, Measuring, ProcessUse, Role
from bridge.bench.siptext import request
from bridge.ending import end

HOST: Final = "127.0.0.1"
START_S: Final = 20.0
"A bridge that does not answer OPTIONS by then is not coming."
STOP_S: Final = 8.0
LOAD_EXTRA_S: Final = 60.0
"Dialling, settling and hanging up may take so long on top of the measured time."
LONGEST_LINE_BYTES: Final = 1 << 28

T = TypeVar("T")
PlatformKind = Literal["ultravox", "vapi"]

CONFIG = """\
[sip]
host = "{host}"
udp_port = {sip_port}
tcp_port = -1

[media]
workers = {workers}
host = "{host}"
rtp_first_port = {first_port}
rtp_last_port = {last_port}

[[trunks]]
name = "load"
sources = ["{host}"]

[[platforms]]
name = "echo"
kind = "{kind}"
url = "http://{host}:{platform_port}"
agent = "bench"
encoding = "{encoding}"
client_buffer_ms = {client_buffer_ms}

[[routes]]
platforms = ["echo"]

[records]
url = ""

[log]
level = "warning"
"""

REAL_TIME_MS: Final = 60
"Client buffer of a platform whose echo comes back in real time."
AHEAD_MS: Final = 30_000
"Client buffer of one that sends as much as it has."

ENCODING: dict[PlatformKind, str] = {"ultravox": "s16le", "vapi": "mulaw"}


class Trouble(Exception):
    """The step cannot be measured; says why in a sentence."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What the processes of one step have told."""

    load: Load
    heard: tuple[Heard, ...]
    seconds: float
    processes: tuple[ProcessUse, ...]
    steal_percent: float
    busy_percent: float = 0.0


def config_text(
    kind: PlatformKind,
    *,
    sip_port: int,
    platform_port: int,
    workers: int,
    calls: int,
    client_buffer_ms: int = REAL_TIME_MS,
) -> str:
    """Settings of a bridge that knows one trunk, the load caller, and one platform, the echo."""
    # RTP stays below the range from which the kernel hands out ports by itself (32768 and up).
    first_port = random.randrange(12_000, 22_000, 2)
    return CONFIG.format(
        host=HOST,
        sip_port=sip_port,
        workers=workers,
        first_port=first_port,
        last_port=first_port + 8 * max(calls, 64) + 1,
        kind=kind,
        platform_port=platform_port,
        encoding=ENCODING[kind],
        client_buffer_ms=client_buffer_ms,
    )


# --- what is used ---------------------------------------------------------------------------------------------------


@dataclass
class Meter:
    """CPU time and memory of some processes between two moments."""

    roles: dict[int, Role]
    _first: dict[int, kernel.Stat] = field(default_factory=dict)
    _begin: dict[int, kernel.Stat] = field(default_factory=dict)
    _end: dict[int, kernel.Stat] = field(default_factory=dict)
    _times: list[tuple[float, kernel.CpuTimes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._first = self._look()

    def add(self, pid: int, role: Role) -> None:
        self.roles[pid] = role

    def begin(self) -> None:
        self._begin = self._look()
        self._times = [(time.monotonic(), kernel.cpu_times())]

    def end(self) -> None:
        self._end = self._look()
        self._times.append((time.monotonic(), kernel.cpu_times()))

    @property
    def seconds(self) -> float:
        return self._times[1][0] - self._times[0][0] if len(self._times) == 2 else 0.0

    @property
    def steal_percent(self) -> float:
        return kernel.steal_percent(self._times[0][1], self._times[1][1]) if len(self._times) == 2 else 0.0

    @property
    def busy_percent(self) -> float:
        return kernel.busy_percent(self._times[0][1], self._times[1][1]) if len(self._times) == 2 else 0.0

    def processes(self) -> tuple[ProcessUse, ...]:
        """Those that lived through the whole time."""
        both = [pid for pid in self.roles if pid in self._begin and pid in self._end]
        return tuple(
            ProcessUse(
                role=self.roles[pid],
                pid=pid,
                cpu_percent=round(100 * (self._end[pid].cpu_s - self._begin[pid].cpu_s) / self.seconds, 2),
                rss_kib=self._end[pid].rss_kib,
                rss_growth_kib=self._end[pid].rss_kib - self._first.get(pid, self._begin[pid]).rss_kib,
            )
            for pid in both
        )

    def _look(self) -> dict[int, kernel.Stat]:
        return {pid: found for pid in self.roles if (found := kernel.stat(pid)) is not None}


# --- the processes --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def child(module: str, *arguments: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python process of ours; asked to end when the block is left, then made to. Its complaints go to `log`."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=LONGEST_LINE_BYTES,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield process
    finally:
        await end(process, STOP_S)


async def told_port(process: asyncio.subprocess.Process, log: Path) -> int:
    """The first line of a helper's standard output."""
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_S)
    except TimeoutError:
        line = b""
    if not line.strip().isdigit():
        raise Trouble(f"a helper process did not start ({last_words(log)})")
    return int(line)


def last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"{log.name}: {lines[-1][:200]}" if lines else f"{log.name} is empty"


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


async def wait_for_sip(port: int, bridge: asyncio.subprocess.Process, log: Path) -> None:
    """Until OPTIONS is answered (RFC 3261, 11)."""
    loop = asyncio.get_running_loop()
    until = loop.time() + START_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.connect((HOST, port))
        sock.setblocking(False)
        while loop.time() < until:
            if bridge.returncode is not None:
                raise Trouble(f"the bridge ended with code {bridge.returncode} ({last_words(log)})")
            try:
                sock.send(_options(port, sock.getsockname()[1]))
                await asyncio.wait_for(loop.sock_recv(sock, 65536), 0.25)
            except TimeoutError:
                continue
            except ConnectionRefusedError:  # nobody there yet: ICMP says so
                await asyncio.sleep(0.1)
                continue
            return
    raise Trouble(f"the bridge did not answer OPTIONS within {START_S:.0f} s ({last_words(log)})")


def _options(port: int, local_port: int) -> bytes:
    return request(
        "OPTIONS",
        f"sip:{HOST}:{port}",
        [
            ("via", f"SIP/2.0/UDP {HOST}:{local_port};branch=z9hG4bK{secrets.token_hex(8)};rport"),
            ("max-forwards", "70"),
            ("from", f"<sip:load@{HOST}:{local_port}>;tag={secrets.token_hex(4)}"),
            ("to", f"<sip:{HOST}:{port}>"),
            ("call-id", secrets.token_hex(8)),
            ("cseq", "1 OPTIONS"),
            ("contact", f"<sip:load@{HOST}:{local_port}>"),
        ],
    )


# --- the two kinds of step ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class House:
    """A bridge and its platform, up and answering."""

    sip_port: int
    platform_port: int
    meter: Meter


@asynccontextmanager
async def house(
    kind: PlatformKind,
    calls: int,
    workers: int,
    folder: Path,
    *,
    platform: Sequence[str] = ("bridge.bench.echo_platform",),
    client_buffer_ms: int = REAL_TIME_MS,
) -> AsyncIterator[House]:
    """A fresh bridge, and a platform given by module and arguments; both are gone when the block is left."""
    log = folder / f"bridge-{calls}.log"
    log.unlink(missing_ok=True)
    module, *arguments = platform
    async with child(module, *arguments, log=folder / "platform.log") as far:
        platform_port = await told_port(far, folder / "platform.log")
        sip_port = free_udp_port()
        config = folder / f"bridge-{calls}.toml"
        config.write_text(
            config_text(
                kind,
                sip_port=sip_port,
                platform_port=platform_port,
                workers=workers,
                calls=calls,
                client_buffer_ms=client_buffer_ms,
            )
        )
        async with child("bridge", "serve", "--config", str(config), log=log) as bridge:
            await wait_for_sip(sip_port, bridge, log)
            roles: dict[int, Role] = {bridge.pid: "control", **kernel.descendants(bridge.pid), far.pid: "platform"}
            yield House(sip_port, platform_port, Meter(roles))


async def against_bridge(kind: PlatformKind, calls: int, seconds: float, workers: int, folder: Path) -> Run:
    """Load caller -> bridge -> echoing platform, and back."""
    async with house(kind, calls, workers, folder) as up:
        load = await load_caller(up.sip_port, calls, seconds, up.meter, folder)
        heard = await asked(up.platform_port, "/bench/heard", list[Heard])
    return run_of(load, heard, up.meter)


async def against_reflector(calls: int, seconds: float, folder: Path) -> Run:
    """Load caller -> its own packets back: the share of caller and kernel in every figure."""
    log = folder / "reflector.log"
    async with child("bridge.bench.reflector", log=log) as reflector:
        meter = Meter({reflector.pid: "reflector"})
        port = await told_port(reflector, log)
        load = await load_caller(port, calls, seconds, meter, folder, settle_s=0.5)
    return run_of(load, (), meter)


def run_of(load: Load, heard: Sequence[Heard], meter: Meter) -> Run:
    """What one step has come to."""
    return Run(
        load=load,
        heard=tuple(heard),
        seconds=meter.seconds,
        processes=meter.processes(),
        steal_percent=meter.steal_percent,
        busy_percent=meter.busy_percent,
    )


async def load_caller(
    port: int,
    calls: int,
    seconds: float,
    meter: Meter,
    folder: Path,
    *,
    settle_s: float | None = None,
    users: Sequence[str] = (),
) -> Load:
    """Runs the load caller; the meter runs while it measures."""
    arguments = ["--target", f"{HOST}:{port}", "--calls", str(calls), "--seconds", str(seconds)]
    if settle_s is not None:
        arguments += ["--settle", str(settle_s)]
    if users:
        arguments += ["--users", ",".join(users)]
    log = folder / "caller.log"
    try:
        async with asyncio.timeout(seconds + LOAD_EXTRA_S), child("bridge.bench.caller", *arguments, log=log) as caller:
            meter.add(caller.pid, "caller")
            assert caller.stdout is not None
            async for line in caller.stdout:
                match msgspec.json.decode(line, type=FromCaller):
                    case Measuring():
                        meter.begin()
                    case Measured():
                        meter.end()
                    case Load() as load:
                        return load
    except TimeoutError:
        raise Trouble("the load caller did not come to an end") from None
    raise Trouble(f"the load caller died ({last_words(log)})")


async def asked(port: int, path: str, kind: type[T], method: str = "GET") -> T:
    """What a platform of ours has to tell."""
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}") as client:
        answer = await client.request(method, path)
        return msgspec.json.decode(answer.content, type=kind)
