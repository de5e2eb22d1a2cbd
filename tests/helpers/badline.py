"""A bad telephone line: UDP between a caller and the bridge, with faults that come by chance and are always the same.

    caller <--> caller_side | worker_side <--> bridge         up: caller to bridge, down: bridge to caller

Which packets are lost, doubled or late follows from the seeds. When a test is slow they are later, never earlier.
"""

from __future__ import annotations

import asyncio
import heapq
import socket
from collections.abc import Callable

from tests.helpers.wire import Faults, Line

Address = tuple[str, int]


class BadLine:
    """Both ways of one call. The SDP names `worker_side` as the caller's address."""

    def __init__(self, bridge: Address, up: Faults, down: Faults) -> None:
        self._loop = asyncio.get_running_loop()
        self._to_caller, self._to_bridge = _socket(), _socket()
        self._bridge = bridge
        self._caller: Address = ("", 0)
        self.up, self.down = Line(up), Line(down)
        self._way_up = _Way(self.up, lambda data: self._to_bridge.sendto(data, self._bridge))
        self._way_down = _Way(self.down, lambda data: self._to_caller.sendto(data, self._caller))
        self._loop.add_reader(self._to_caller.fileno(), self._from_caller)
        self._loop.add_reader(self._to_bridge.fileno(), self._from_bridge)

    @property
    def caller_side(self) -> Address:
        return _address(self._to_caller)

    @property
    def worker_side(self) -> Address:
        return _address(self._to_bridge)

    def ends_at(self, caller: Address) -> None:
        self._caller = caller

    def _from_caller(self) -> None:
        self._way_up.send(self._to_caller.recv(4096))

    def _from_bridge(self) -> None:
        self._way_down.send(self._to_bridge.recv(4096))

    def close(self) -> None:
        for sock in (self._to_caller, self._to_bridge):
            self._loop.remove_reader(sock.fileno())
            sock.close()
        self._way_up.close()
        self._way_down.close()


class _Way:
    """One direction. Timers of the same moment may ring in any order, datagrams must not: they stand in a heap."""

    def __init__(self, line: Line, deliver: Callable[[bytes], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._line, self._deliver = line, deliver
        self._heap: list[tuple[float, int, bytes]] = []
        self._order = 0
        self._is_open = True

    def send(self, datagram: bytes) -> None:
        for at in self._line.arrivals(self._loop.time()):
            self._order += 1
            heapq.heappush(self._heap, (at, self._order, datagram))
            self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        """One of them is due: the earliest."""
        if self._is_open:
            self._deliver(heapq.heappop(self._heap)[2])

    def close(self) -> None:
        self._is_open = False


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def _address(sock: socket.socket) -> Address:
    host, port = sock.getsockname()
    return host, port
