"""UDP sockets of the load tools: non-blocking, on loopback, RTP stamped by the kernel on arrival."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

Address = tuple[str, int]

# Linux, include/uapi/asm-generic/socket.h; the socket module has no name for it.
SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("qq")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
LONGEST_RTP_BYTES = 512


def udp_socket(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.setblocking(False)
    return sock


def rtp_socket(host: str) -> socket.socket:
    sock = udp_socket(host)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return sock


def arrived(sock: socket.socket) -> Iterator[tuple[bytes, int]]:
    """All that waits in an RTP socket, with the monotonic time (ns) at which the kernel had it."""
    wall_to_monotonic = wall_to_monotonic_ns()
    receive, unpack = sock.recvmsg, _TIMESPEC.unpack
    while True:
        try:
            data, ancillary, _, _ = receive(LONGEST_RTP_BYTES, _ANCILLARY_BYTES)
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            continue
        seconds, nanoseconds = unpack(ancillary[0][2])
        yield data, seconds * 1_000_000_000 + nanoseconds + wall_to_monotonic


def wall_to_monotonic_ns() -> int:
    """Kernel time stamps are wall clock; this is what to add. Measured once per batch, exact to a microsecond."""
    before = time.monotonic_ns()
    wall = time.time_ns()
    return (before + time.monotonic_ns()) // 2 - wall


def send_all(sock: socket.socket, messages: list[bytes]) -> None:
    """SIP over UDP: what is lost here is sent again when its timer says so."""
    for message in messages:
        try:
            sock.send(message)
        except (BlockingIOError, ConnectionRefusedError):
            return


def address(text: str) -> Address:
    """`host:port` of a command line."""
    host, _, port = text.rpartition(":")
    return host, int(port)
