"""`puente bench path`: what a call costs on the finished path, with one part exchanged at a time, all in one run.

Every variant is the product's own media worker in a process of its own (bridge.bench.path_worker), with real RTP and a
real WebSocket, without SIP and without the control process. They take turns, round after round, so that whatever else
the machine does falls on all of them; what counts is the median of the rounds, and the ratio to the product's.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec
import picows

from bridge.bench.pages import Say, Watch
from bridge.bench.results import Conditions
from media import rtp, wire
from media.codecs import CODECS

HOST = "127.0.0.1"
FRAME_S = 0.02
WARM_UP_S = 1.5
"Until the phases of all calls are found."
READY_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Options:
    calls: int = 20
    seconds: float = 4.0
    "Of each variant in each round."
    rounds: int = 5
    out: Path = Path("out/bench")


QUICK = Options(seconds=1.5, rounds=2)
"Under a minute in all."


@dataclass(frozen=True, kw_only=True)
class Variant:
    name: str
    words: tuple[str, ...] = ()
    "Arguments of bridge.bench.path_worker."


PRODUCT = Variant(name="product: compiled packet step, picows")
VARIANTS = (
    PRODUCT,
    Variant(name="without live figures", words=("--silent",)),
    Variant(name="Python path", words=("--plain",)),
    Variant(name="Python path, without live figures", words=("--plain", "--silent")),
    Variant(name="Python path, websockets sans-I/O", words=("--plain", "--client", "sans-io")),
    Variant(name="Python path, websockets asyncio", words=("--plain", "--client", "asyncio")),
)


class VariantRow(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    cpu_percent: tuple[float, ...]
    "Of one core per call, user and system, one for each round."
    frames_back: int
    "That came back to the callers, all rounds together."
    frames_sent: int
    trouble: str = ""

    @property
    def typical_percent(self) -> float:
        return median(self.cpu_percent) if self.cpu_percent else 0.0

    @property
    def frame_us(self) -> float:
        """Of CPU time for 20 ms of one call: up, down and tick, with all system calls."""
        return self.typical_percent / 100 * FRAME_S * 1e6


class PathReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    schema: str = "puente-bench-path/1"
    conditions: Conditions
    calls: int
    seconds: float
    variants: tuple[VariantRow, ...]

    @property
    def failed(self) -> bool:
        return any(row.trouble for row in self.variants)


class Worker:
    """One variant's process, seen over its control socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pings = 0

    async def send(self, command: wire.Command) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, wire.encode(command))

    async def next(self, kind: type[wire.Event]) -> wire.AnyEvent:
        """The next event of this kind; others are passed over."""
        async with asyncio.timeout(READY_S):
            while True:
                data = await asyncio.get_running_loop().sock_recv(self._sock, wire.MAX_MESSAGE_BYTES)
                if not data:
                    raise ConnectionError("the worker has ended")
                event = wire.decode_event(data)
                if isinstance(event, kind):
                    return event

    async def cpu_s(self) -> float:
        self._pings += 1
        await self.send(wire.Ping(number=self._pings))
        pong = await self.next(wire.Pong)
        assert isinstance(pong, wire.Pong)
        return pong.cpu_s


@asynccontextmanager
async def running(variant: Variant, log: Path) -> AsyncIterator[Worker]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    words = ("-m", "bridge.bench.path_worker", "--fd", str(theirs.fileno()), *variant.words)
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, pass_fds=[theirs.fileno()], stdin=asyncio.subprocess.DEVNULL, stderr=errors
        )
    theirs.close()
    try:
        yield Worker(ours)
    finally:
        ours.close()  # a worker without a control process ends
        try:
            await asyncio.wait_for(process.wait(), READY_S)
        except TimeoutError:
            process.kill()
            await process.wait()


class Echo(picows.WSListener):
    """The platform: sends back what comes, at once."""

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.BINARY:
            transport.send(picows.WSMsgType.BINARY, frame.get_payload_as_bytes())
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()


class Caller:
    """One telephone: sends a frame when told, counts what comes."""

    payload = CODECS["PCMU"].encode(CODECS["PCMU"].decode(bytes(range(0x80, 0xD0)) * 2))

    def __init__(self, number: int) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, 0))
        self.sock.setblocking(False)
        self.number, self.sent, self.received = number, 0, 0

    def near(self) -> wire.NearSpec:
        return wire.NearSpec(host=HOST, port=self.sock.getsockname()[1], codec="PCMU", payload_type=0)

    def speak(self) -> None:
        """A frame out, and what has come in."""
        n = self.sent
        self.sock.send(rtp.serialize(0, n & 0xFFFF, n * 160 & 0xFFFFFFFF, self.number, self.payload))
        self.sent += 1
        if n % 5 == 0:
            try:
                while self.sock.recv(2048):
                    self.received += 1
            except BlockingIOError:
                pass


async def place(worker: Worker, callers: list[Caller], url: str) -> None:
    """All calls of one variant: after that they may talk."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        first = min(probe.getsockname()[1], 60_000) & ~1
    options = wire.WorkerOptions(host=HOST, first_port=first, last_port=first + 8 * len(callers) + 1)
    await worker.send(wire.Setup(options=options, worker=0))
    for caller in callers:
        name = f"c{caller.number}"
        await worker.send(wire.OpenCall(call=name))
        opened = await worker.next(wire.CallOpened)
        assert isinstance(opened, wire.CallOpened)
        far = wire.FarSpec(platform="bench", dialect="raw", url=url, encoding="s16le", rate_hz=8000)
        await worker.send(wire.ConnectFar(call=name, far=far, timeout_ms=5000))
        await worker.next(wire.FarReady)
        await worker.send(wire.StartNear(call=name, near=caller.near()))
        caller.sock.connect((opened.host, opened.port))


async def speak(callers: list[Caller], seconds: float) -> None:
    """Everybody every 20 ms, spread evenly, on an origin-based clock."""
    origin, slot_s = time.monotonic(), FRAME_S / len(callers)
    for slot in range(int(seconds / slot_s)):
        ahead = origin + slot * slot_s - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        elif not slot % len(callers):
            await asyncio.sleep(0)
        callers[slot % len(callers)].speak()


async def once(variant: Variant, options: Options, url: str) -> tuple[float, int, int]:
    """(percent of a core per call, frames that came back, frames sent) of one variant in one round."""
    async with running(variant, options.out / "path.log") as worker:
        callers = [Caller(number) for number in range(options.calls)]
        try:
            await place(worker, callers, url)
            await speak(callers, WARM_UP_S)
            before, began = await worker.cpu_s(), time.monotonic()
            sent, back = sum(one.sent for one in callers), sum(one.received for one in callers)
            await speak(callers, options.seconds)
            used, took = await worker.cpu_s() - before, time.monotonic() - began
            sent, back = sum(one.sent for one in callers) - sent, sum(one.received for one in callers) - back
        finally:
            for caller in callers:
                caller.sock.close()
    return 100 * used / took / options.calls, back, sent


async def measure(options: Options, say: Say) -> PathReport:
    options.out.mkdir(parents=True, exist_ok=True)
    watch = Watch()
    found: dict[str, list[tuple[float, int, int]]] = {variant.name: [] for variant in VARIANTS}
    trouble: dict[str, str] = {}
    server = await picows.ws_create_server(lambda request: Echo(), HOST, 0)
    async with server:
        url = f"ws://{HOST}:{server.sockets[0].getsockname()[1]}/"
        for number in range(options.rounds):
            for variant in VARIANTS:
                if variant.name in trouble:
                    continue
                try:
                    found[variant.name].append(await once(variant, options, url))
                except (OSError, TimeoutError) as error:
                    trouble[variant.name] = f"{type(error).__name__}: {error}; see path.log"
                    say(f"{variant.name}: NOT MEASURED: {trouble[variant.name]}")
                    continue
                say(f"round {number + 1}, {variant.name}: {found[variant.name][-1][0]:.2f} % of a core per call")
    rows = [
        VariantRow(
            name=name,
            cpu_percent=tuple(round(cost, 3) for cost, _, _ in rounds),
            frames_back=sum(back for _, back, _ in rounds),
            frames_sent=sum(sent for _, _, sent in rounds),
            trouble=trouble.get(name, ""),
        )
        for name, rounds in found.items()
    ]
    return PathReport(conditions=watch.conditions(), calls=options.calls, seconds=options.seconds, variants=tuple(rows))
