"""A media worker on the table: worker in this process, a platform that is `websockets`, a caller that is a socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from media import rtp, wire
from media.far import DialectTable
from media.worker import Worker
from tests.helpers.rawdialect import DIALECTS

E = TypeVar("E", bound=wire.Event)


class Control:
    """The control process's end: sends commands, waits for events."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.seen: list[wire.AnyEvent] = []

    async def send(self, command: wire.Command) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, wire.encode(command))

    async def next(self, kind: type[E], timeout_s: float = 5.0) -> E:
        """The next event of this kind, passing over (and keeping) the others."""
        async with asyncio.timeout(timeout_s):
            while True:
                data = await asyncio.get_running_loop().sock_recv(self._sock, wire.MAX_MESSAGE_BYTES)
                assert data, "the worker has closed its socket"
                event = wire.decode_event(data)
                self.seen.append(event)
                if isinstance(event, kind):
                    return event

    async def moment(self, kind: wire.MomentKind) -> wire.Moment:
        while True:
            event = await self.next(wire.FarEvent)
            if event.moment.kind == kind:
                return event.moment

    async def open(self, name: str = "c1", recording: str = "") -> tuple[str, int]:
        await self.send(wire.OpenCall(call=name, recording=recording))
        opened = await self.next(wire.CallOpened)
        return opened.host, opened.port

    async def close(self, name: str = "c1") -> wire.CallReport:
        await self.send(wire.CloseCall(call=name))
        return (await self.next(wire.CallClosed)).report


@dataclass
class Platform:
    """What a test's platform heard, and its socket to answer on."""

    audio: bytearray = field(default_factory=bytearray)
    chunks: list[bytes] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    socket: ServerConnection | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    greets: bool = True
    echoes: bool = False
    server: Server | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        port: int = next(iter(self.server.sockets)).getsockname()[1]
        return f"ws://127.0.0.1:{port}/secret-path"

    async def serve_one(self, connection: ServerConnection) -> None:
        self.socket = connection
        try:
            if self.greets:
                await connection.send("ready")
            async for message in connection:
                if isinstance(message, str):
                    self.words.append(message)
                else:
                    self.audio += message
                    self.chunks.append(message)
                    if self.echoes:
                        await connection.send(message)
        except ConnectionClosed:
            pass
        finally:
            self.gone.set()

    async def say(self, message: bytes | str) -> None:
        assert self.socket is not None
        await self.socket.send(message)

    def spec(self, encoding: str = "s16le", *, rate_hz: int = 8000, sends_ahead: bool = False) -> wire.FarSpec:
        return wire.FarSpec(
            platform="test",
            dialect="raw",
            url=self.url,
            encoding="mulaw" if encoding == "mulaw" else "s16le",
            rate_hz=rate_hz,
            sends_ahead=sends_ahead,
        )


class Caller:
    """A telephone: one UDP socket that sends RTP when told and keeps what it hears."""

    def __init__(self, target: tuple[str, int], payload_type: int = 0) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self._sock.setblocking(False)
        self.target = target
        self.payload_type = payload_type
        self.sequence, self.timestamp, self.ssrc = 65530, 0xFFFFFF00, 0x1234
        self.heard: list[rtp.Packet] = []
        self.heard_at: list[float] = []
        self.reports: list[bytes] = []
        "RTCP that came with the audio."
        self._loop.add_reader(self._sock.fileno(), self._readable)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._sock.getsockname()
        return host, port

    def near(self, codec: str = "PCMU", **changes: object) -> wire.NearSpec:
        host, port = self.address
        plain = {"host": host, "port": port, "codec": codec, "payload_type": self.payload_type}
        return wire.NearSpec(**{**plain, **changes})  # type: ignore[arg-type]

    def send(self, payload: bytes, *, payload_type: int | None = None) -> None:
        kind = self.payload_type if payload_type is None else payload_type
        self._sock.sendto(rtp.serialize(kind, self.sequence, self.timestamp, self.ssrc, payload), self.target)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + len(payload)) & 0xFFFFFFFF

    def send_raw(self, datagram: bytes) -> None:
        self._sock.sendto(datagram, self.target)

    async def speak(self, payloads: list[bytes]) -> None:
        """One payload every 20 ms, on an origin-based clock."""
        began = time.monotonic()
        for number, payload in enumerate(payloads):
            await asyncio.sleep(max(0.0, began + number * 0.02 - time.monotonic()))
            self.send(payload)

    def audio(self) -> bytes:
        return b"".join(packet.payload for packet in self.heard)

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data = self._sock.recv(4096)
                if rtp.is_rtcp(data):
                    self.reports.append(data)
                    continue
                self.heard.append(rtp.parse(data))
                self.heard_at.append(time.monotonic())

    def close(self) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()


async def until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Wait until something has become true; the time-out is a failure, never a measurement."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 (anything may make it true, not one event)
            await asyncio.sleep(0.005)


@dataclass
class Bench:
    control: Control
    platform: Platform
    worker: Worker
    callers: list[Caller]

    def caller(self, target: tuple[str, int], payload_type: int = 0) -> Caller:
        self.callers.append(Caller(target, payload_type))
        return self.callers[-1]

    async def talking(
        self, codec: str = "PCMU", encoding: str = "s16le", *, rate_hz: int = 8000, sends_ahead: bool = False
    ) -> Caller:
        """A call that stands: port open, platform ready, near end started."""
        return await self.connected(self.platform.spec(encoding, rate_hz=rate_hz, sends_ahead=sends_ahead), codec)

    async def connected(self, spec: wire.FarSpec, codec: str = "PCMU") -> Caller:
        """The same with any far end."""
        target = await self.control.open()
        caller = self.caller(target, {"PCMU": 0, "PCMA": 8}[codec])
        await self.control.send(wire.ConnectFar(call="c1", far=spec))
        await self.control.next(wire.FarReady)
        await self.control.send(wire.StartNear(call="c1", near=caller.near(codec, dtmf_payload_type=101)))
        return caller


@contextlib.asynccontextmanager
async def bench(first_port: int = 0, dialects: DialectTable = DIALECTS, **options: object) -> AsyncIterator[Bench]:
    """Worker, platform and control socket; everything is closed at the end, and must close."""
    if not first_port:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            first_port = min(probe.getsockname()[1], 60000)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for sock in (ours, theirs):
        sock.setblocking(False)
    worker = Worker(theirs, dialects)
    control, platform = Control(ours), Platform()
    platform.server = await serve(platform.serve_one, "127.0.0.1", 0, compression=None, close_timeout=0.5)
    on_table = Bench(control, platform, worker, [])
    try:
        plain: dict[str, object] = {"first_port": first_port, "last_port": first_port + 40, "rest_s": 0.0}
        await control.send(wire.Setup(options=wire.WorkerOptions(**{**plain, **options}), worker=0))  # type: ignore[arg-type]
        yield on_table
    finally:
        for caller in on_table.callers:
            caller.close()
        if not worker.done.is_set():
            worker.stop()
        await worker.finish()
        platform.server.close()
        await platform.server.wait_closed()
        ours.close()
        theirs.close()
