"""One call's RTCP on the wire: the port beside the RTP port (RFC 3550, 11), and the reports that go through it.

Reports are few and small: two or three packets in ten seconds. When the odd port cannot be had (somebody else has bound
it) the call goes on without them.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable

from media import rtp
from media.near import Address, NearEnd
from media.reporting import Feedback, RtcpSession
from media.srtp import Refused

log = logging.getLogger(__name__)

MAX_DATAGRAM = 2048


class RtcpEnd:
    """Sends our reports when they are due, and keeps what the far side tells about our stream."""

    def __init__(self, near: NearEnd, host: str, rtp_port: int, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        self._near, self._loop = near, loop
        self._session = RtcpSession(near.ssrc, near.codec.clock_rate_hz, now, wall_s=time.time() - now)
        self._heard_from: Address | None = None
        self._sock: socket.socket | None = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._sock.bind((host, rtp_port + 1))
        except OSError as error:
            log.debug("! no RTCP: port %d: %s", rtp_port + 1, error.strerror)
            self._sock.close()
            self._sock = None
        else:
            loop.add_reader(self._sock.fileno(), self._readable)

    @property
    def feedback(self) -> Feedback | None:
        """What the far side last said about our stream."""
        return self._session.feedback

    @property
    def round_trip_ms(self) -> float:
        """0: not known."""
        told = self._session.feedback
        return (told.round_trip_ms or 0.0) if told is not None else 0.0

    def tick(self, now: float) -> None:
        """Asked every tick; nearly always it is too early for a report."""
        if now >= self._session.next_deadline() and self._near.started:
            self._session.use_rate(self._near.codec.clock_rate_hz)
            self._send(self._session.report)

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """One RTCP datagram, by whichever port it came (RFC 5761)."""
        if source[0] != self._near.peer[0]:
            return
        if self._near.srtp is not None:
            try:
                data = self._near.srtp.unprotect_rtcp(data)
            except Refused:
                return
        self._session.receive(data, now)
        if source != self._near.peer:
            self._heard_from = source

    def close(self) -> None:
        """Say BYE and close the port."""
        if self._sock is None:
            return
        if self._near.started:
            self._send(self._session.bye)
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        self._sock = None

    def _send(self, compose: Callable[..., bytes]) -> None:
        now = time.monotonic()
        data = compose(now, self._near.as_sent(now), self._near.as_received())
        if self._sock is None:
            return
        if self._near.srtp is not None:
            data = self._near.srtp.protect_rtcp(data)
        host, port = self._near.peer
        try:
            self._sock.sendto(data, self._heard_from or (host, port + 1))
        except OSError as error:
            log.debug("! RTCP not sent: %s", error.strerror)

    def _readable(self) -> None:
        while self._sock is not None:
            try:
                data, source = self._sock.recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier send
                continue
            if rtp.is_rtcp(data) or self._near.srtp is not None:
                self.receive(data, source, time.monotonic())
