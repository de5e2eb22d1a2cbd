"""RTP ports: a configured range, bound once per call and kept, rested before they are used again."""

from __future__ import annotations

import socket
from collections import deque

RECEIVE_BUFFER_BYTES = 262_144
"About 13 s of G.711 packets: a stall of ours must not lose what the kernel could have kept."


class NoPort(Exception):
    """No port of the range is free. The text says how many are in use, resting or taken by others."""


class PortPool:
    """Even ports of one range (RFC 3550, 11), handed out in turn so that each rests as long as possible."""

    def __init__(self, host: str, first: int, last: int, rest_s: float) -> None:
        self._host = host
        self._rest_s = rest_s
        self._free: deque[tuple[int, float]] = deque((port, 0.0) for port in range(first + first % 2, last + 1, 2))
        self._size = len(self._free)
        self.in_use = 0

    def take(self, now: float) -> tuple[socket.socket, int]:
        """A bound non-blocking UDP socket and its port. Raises NoPort."""
        taken_by_others = 0
        for _ in range(len(self._free)):
            port, free_from = self._free[0]
            if free_from > now:
                break  # the queue is in order of release: all behind it rest longer
            self._free.popleft()
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                sock.bind((self._host, port))
            except OSError:
                sock.close()
                taken_by_others += 1
                self._free.append((port, now))
                continue
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            self.in_use += 1
            return sock, port
        resting = sum(1 for _, free_from in self._free if free_from > now)
        raise NoPort(
            f"no RTP port free: {self._size} in the range, {self.in_use} in use, {resting} resting, "
            f"{taken_by_others} taken by other programs"
        )

    def give_back(self, sock: socket.socket, port: int, now: float) -> None:
        """Close the socket; the port may be used again when it has rested."""
        sock.close()
        self.in_use -= 1
        self._free.append((port, now + self._rest_s))
