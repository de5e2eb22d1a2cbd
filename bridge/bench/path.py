"""`puente bench path`: what a call costs on the finished path, with one part exchanged at a time, all in one run.

Every variant is the product's own media worker in a process of its own (bridge.bench.path_worker), with real RTP and a
real WebSocket, without SIP and without the control process. They take turns, round after round, so that whatever else
the machine does falls on all of them; what counts is the median of the rounds, and the ratio to the product's. What the
live figures cost is too little to be seen that way: bridge.bench.path_figures.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import msgspec
import picows

from bridge.bench.pages import Say, Watch
from bridge.bench.path_figures import Halves
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
    rounds: int = 6
    "An even number: in every second one the halves of the live figures change places."
    figures_seconds: float = 10.0
    "The same for those: notes are sorted every five seconds."
    out: Path = Path("out/bench")


QUICK = Options(seconds=1.5, rounds=2, figures_seconds=5.5)
"Under a minute in all."


@dataclass(frozen=True, kw_only=True)
class Variant:
    name: str
    words: tuple[str, ...] = ()
    "Arguments of bridge.bench.path_worker."


PRODUCT = Variant(name="product: compiled packet step, picows")
VARIANTS = (
    PRODUCT,
    Variant(name="Python path", words=("--plain",)),
    Variant(name="Python path, websockets sans-I/O", words=("--plain", "--client", "sans-io")),
    Variant(name="Python path, websockets asyncio", words=("--plain", "--client", "asyncio")),
)
HALVED = VARIANTS[:2]
"What of them the live figures are, is measured in these."


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


class FiguresRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the live figures cost in one variant."""

    name: str
    rounds: tuple[Halves, ...]
    frame_us: tuple[float, ...]
    "Of the whole worker, for 20 ms of one call, one for each round."
    trouble: str = ""

    @property
    def pairs_us(self) -> tuple[float, ...]:
        """CPU time per frame, for each two rounds: in them every call has been in both halves."""
        costs = [one.keeping_us - one.silent_us for one in self.rounds]
        return tuple(mean(costs[at : at + 2]) for at in range(0, len(costs), 2))

    @property
    def typical_us(self) -> float:
        return median(self.pairs_us) if self.rounds else 0.0

    @property
    def share_percent(self) -> float:
        """Of what a frame costs without them."""
        whole = median(self.frame_us) if self.frame_us else 0.0
        return 100 * self.typical_us / (whole - self.typical_us) if whole > self.typical_us else 0.0


class PathReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    schema: str = "puente-bench-path/2"
    conditions: Conditions
    calls: int
    seconds: float
    variants: tuple[VariantRow, ...]
    figures: tuple[FiguresRow, ...]

    @property
    def failed(self) -> bool:
        return any(row.trouble for row in self.variants) or any(row.trouble for row in self.figures)


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


class Once(NamedTuple):
    """One variant in one round."""

    percent: float
    "Of a core per call."
    back: int
    "Frames that came back."
    sent: int


async def once(variant: Variant, options: Options, url: str) -> Once:
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
    return Once(100 * used / took / options.calls, back, sent)


async def halved(variant: Variant, options: Options, url: str, odd: int) -> tuple[Halves, float]:
    """What both halves took in one round, and what a frame cost in all, in us."""
    told = options.out / "path-halves.json"
    words = (*variant.words, "--halves", str(told), "--odd", str(odd))
    longer = replace(options, seconds=options.figures_seconds)
    try:
        seen = await once(Variant(name=variant.name, words=words), longer, url)
        return msgspec.json.decode(told.read_bytes(), type=Halves), seen.percent / 100 * FRAME_S * 1e6
    finally:
        told.unlink(missing_ok=True)


class Bout:
    """All rounds of all variants; one that cannot be measured is left out of the next ones."""

    def __init__(self, options: Options, say: Say, url: str) -> None:
        self._options, self._say, self._url = options, say, url
        self._found: dict[str, list[Once]] = {variant.name: [] for variant in VARIANTS}
        self._halves: dict[str, list[tuple[Halves, float]]] = {variant.name: [] for variant in HALVED}
        self._trouble: dict[str, str] = {}

    async def once_each(self, number: int) -> None:
        for variant in self._those_left(VARIANTS):
            with self._tried(variant.name):
                one = await once(variant, self._options, self._url)
                self._found[variant.name].append(one)
                self._say(f"round {number + 1}, {variant.name}: {one.percent:.2f} % of a core per call")
        for variant in self._those_left(HALVED):
            with self._tried(variant.name):
                halves, frame_us = await halved(variant, self._options, self._url, number % 2)
                self._halves[variant.name].append((halves, frame_us))
                cost_us = halves.keeping_us - halves.silent_us
                self._say(f"round {number + 1}, {variant.name}: live figures {cost_us:.2f} us of {frame_us:.0f}")

    def _those_left(self, variants: tuple[Variant, ...]) -> list[Variant]:
        return [variant for variant in variants if variant.name not in self._trouble]

    @contextmanager
    def _tried(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, TimeoutError, msgspec.DecodeError) as error:
            self._trouble[name] = f"{type(error).__name__}: {error}; see path.log"
            self._say(f"{name}: NOT MEASURED: {self._trouble[name]}")

    def variants(self) -> tuple[VariantRow, ...]:
        return tuple(
            VariantRow(
                name=name,
                cpu_percent=tuple(round(one.percent, 3) for one in rounds),
                frames_back=sum(one.back for one in rounds),
                frames_sent=sum(one.sent for one in rounds),
                trouble=self._trouble.get(name, ""),
            )
            for name, rounds in self._found.items()
        )

    def figures(self) -> tuple[FiguresRow, ...]:
        return tuple(
            FiguresRow(
                name=name,
                rounds=tuple(halves for halves, _ in rounds),
                frame_us=tuple(round(frame_us, 3) for _, frame_us in rounds),
                trouble=self._trouble.get(name, ""),
            )
            for name, rounds in self._halves.items()
        )


async def measure(options: Options, say: Say) -> PathReport:
    options.out.mkdir(parents=True, exist_ok=True)
    watch = Watch()
    server = await picows.ws_create_server(lambda request: Echo(), HOST, 0)
    async with server:
        bout = Bout(options, say, f"ws://{HOST}:{server.sockets[0].getsockname()[1]}/")
        for number in range(options.rounds):
            await bout.once_each(number)
    return PathReport(
        conditions=watch.conditions(),
        calls=options.calls,
        seconds=options.seconds,
        variants=bout.variants(),
        figures=bout.figures(),
    )
