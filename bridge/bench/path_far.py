"""Far ends to compare with the product's: the same seam (media.far.FarEnd), other WebSocket libraries below it.

They carry raw audio and nothing else: what they leave out (a limit on the backlog, pings, how a call ended) would only
make them slower.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

from media.far import Dialect, FarEar, Ready
from media.wire import FarSpec


class _Compared:
    """What both of them share: nothing is said but audio."""

    def __init__(self, spec: FarSpec, dialect: Dialect, ear: FarEar) -> None:
        self._spec, self._ear = spec, ear
        self.direct: Callable[[bytes], object] | None = None
        self.backlog_dropped_ms = 0.0

    def send_audio(self, data: bytes) -> None:
        if self.direct is not None:
            self.direct(data)

    def send_digit(self, digit: str) -> None:
        """No digits here."""

    def send_mark(self, name: str) -> None:
        """No marks here."""

    def tick(self, now: float) -> None:
        """A platform needs no clock of ours."""


class AsyncioFar(_Compared):
    """`websockets`' asyncio client, as its documentation shows it: a task that reads, a queue and a task that write."""

    _tasks: tuple[asyncio.Task[None], ...] = ()

    async def open(self, timeout_s: float) -> None:
        from websockets.asyncio.client import connect

        socket = await connect(self._spec.url, compression=None, ping_interval=None)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.direct = queue.put_nowait
        self._ear.on_far_happening(Ready())
        loop = asyncio.get_running_loop()
        self._tasks = (loop.create_task(self._read(socket)), loop.create_task(self._write(socket, queue)))

    async def _read(self, socket: Any) -> None:
        async for message in socket:
            self._ear.on_far_audio(message)

    async def _write(self, socket: Any, queue: asyncio.Queue[bytes]) -> None:
        while True:
            await socket.send(await queue.get())

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()


class SansIoFar(_Compared, asyncio.Protocol):
    """`websockets`' pure protocol in an asyncio protocol of our own: no task, no queue."""

    _transport: asyncio.Transport | None = None

    async def open(self, timeout_s: float) -> None:
        from websockets.client import ClientProtocol
        from websockets.uri import parse_uri

        self._protocol: Any = ClientProtocol(parse_uri(self._spec.url))
        self._is_open = asyncio.Event()
        where = urlsplit(self._spec.url)
        await asyncio.get_running_loop().create_connection(lambda: self, where.hostname or "", where.port or 80)
        await self._is_open.wait()
        self.direct = self._send
        self._ear.on_far_happening(Ready())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._protocol.send_request(self._protocol.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        from websockets.frames import Opcode

        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if not self._is_open.is_set():
                self._is_open.set()
            elif event.opcode is Opcode.BINARY:
                self._ear.on_far_audio(bytes(event.data))

    def _send(self, data: bytes) -> None:
        self._protocol.send_binary(data)
        self._flush()

    def _flush(self) -> None:
        if self._transport is not None:
            for part in self._protocol.data_to_send():
                self._transport.write(part)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


CLIENTS: dict[str, Callable[[FarSpec, Dialect, FarEar], _Compared]] = {"asyncio": AsyncioFar, "sans-io": SansIoFar}
