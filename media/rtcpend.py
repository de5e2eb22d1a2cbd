"""One call's RTCP on the wire: the port beside the RTP port (RFC 3550, 11), and the reports that go through it.

Where both sides want it the RTP port itself carries them (RFC 5761); the other one stays bound, for whoever sends there
all the same. Reports are few and small: two or three packets in ten seconds. When the odd port cannot be had (somebody
else has bound it) the call goes on without them.
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

    def __init__(self, near: NearEnd, audio: socket.socket, host: str, rtp_port: int) -> None:
        """`audio` is the socket of the call's RTP, bound to `rtp_port`."""
        now = time.monotonic()
        self._near, self._audio = near, audio
        self._loop = asyncio.get_running_loop()
        self._session = RtcpSession(near.ssrc, near.codec.clock_rate_hz, now, wall_s=time.time() - now)
        self._heard_from: Address | None = None
        "Where their reports come from, which symmetric RTP believes more than the SDP."
        self._told: Address = ("", 0)
        "Where the SDP wanted ours when that was learnt."
        self._is_over = False
        self._sock: socket.socket | None = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._sock.bind((host, rtp_port + 1))
        except OSError as error:
            log.debug("! no RTCP: port %d: %s", rtp_port + 1, error.strerror)
            self._sock.close()
            self._sock = None
        else:
            self._loop.add_reader(self._sock.fileno(), self._readable)

    @property
    def feedback(self) -> Feedback | None:
        """What the far side last said about our stream."""
        return self._session.feedback

    @property
    def round_trip_ms(self) -> float:
        """0: not known."""
        told = self._session.feedback
        return (told.round_trip_ms or 0.0) if told is not None else 0.0

    @property
    def next_tick_at(self) -> float:
        """Before then `tick` has nothing to do."""
        return self._session.next_deadline()

    def tick(self, now: float) -> None:
        """Asked every tick; nearly always it is too early for a report."""
        if now >= self._session.next_deadline() and self._near.started:
            self._session.use_rate(self._near.codec.clock_rate_hz)
            self._send(self._session.report)

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """One RTCP datagram, by whichever port it came (RFC 5761)."""
        near = self._near
        if source[0] not in (near.peer[0], near.rtcp_peer[0]):
            return
        if near.srtp is not None:
            try:
                data = near.srtp.unprotect_rtcp(data)
            except Refused:
                return
        self._session.receive(data, now)
        if source != near.peer:
            self._heard_from, self._told = source, near.rtcp_peer

    def close(self) -> None:
        """Say BYE and close the port. Twice does nothing."""
        if self._is_over:
            return
        if self._near.started:
            self._send(self._session.bye)
        self._is_over = True
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _send(self, compose: Callable[..., bytes]) -> None:
        now, near = time.monotonic(), self._near
        data = compose(now, near.as_sent(now), near.as_received())
        sock = self._audio if near.rtcp_peer == near.peer else self._sock
        if sock is None:
            return
        if near.srtp is not None:
            data = near.srtp.protect_rtcp(data)
        try:
            sock.sendto(data, self._peer)
        except OSError as error:
            log.debug("! RTCP not sent: %s", error.strerror)

    @property
    def _peer(self) -> Address:
        """Where their reports come from, unless they have moved since, or want ours with the audio."""
        told = self._near.rtcp_peer
        return self._heard_from if self._heard_from and told == self._told != self._near.peer else told

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
