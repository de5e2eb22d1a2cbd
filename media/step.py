"""The packet step of one call: the shell around its RTP socket, and the short way of the ordinary packet through it.

    RTP socket  -> readable -> ordinary? -> far.direct            else receive(datagram, source, now)
    far socket  -> audio    -> ordinary? -> RTP socket            else hear(data)
    alarm       -> tick     -> ordinary? -> RTP socket            else False: the caller does it

Two of them: `PlainStep` in Python, for which no packet is ordinary, and the compiled one (media/native/step.c), which
does for the ordinary ones what NearEnd, Uplink, Playout and Pacer would do, in their own slots. The Python path is the
reference; a worker runs the same without the compiled step, for one and a half times the CPU time.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from media import native
from media.clock import Bell, Pacer
from media.dtmf import DigitReceiver, DigitSender
from media.mender import Mender
from media.near import Address, NearEnd
from media.playout import Playout
from media.reorder import Reorder
from media.rtp import Reception
from media.stats import Histogram
from media.summary import Tally
from media.turns import TurnMeter
from media.uplink import Uplink

if TYPE_CHECKING:
    from media.far import FarEnd

log = logging.getLogger(__name__)

MAX_DATAGRAM = 2048

Receive = Callable[[bytes, Address, float], None]
Hear = Callable[[bytes], None]
Attend = Callable[[float], None]
Broke = Callable[[BaseException], None]

OWNERS = {
    "near": NearEnd,
    "reception": Reception,
    "reorder": Reorder,
    "uplink": Uplink,
    "mender": Mender,
    "turns": TurnMeter,
    "sender": DigitSender,
    "digits": DigitReceiver,
    "tally": Tally,
    "histogram": Histogram,
    "bell": Bell,
    "playout": Playout,
    "pacer": Pacer,
}
"Whose slots the compiled step reads and writes."


class Step(Protocol):
    """What a call holds. The attributes say what is joined now; None: nothing, or not for the short way."""

    far: FarEnd | None
    "Whose `direct` takes the caller's audio. None: it is gone or not there yet, and `attend` is asked once in a frame."
    tap: Callable[[bytes], None] | None
    "Told the caller's audio (for the recording)."
    playout: Playout | None
    pacer: Pacer | None
    bell: Bell | None
    up_table: bytes | None
    down_table: bytes | None
    "Of the transcoder, see media.transcode."
    attend_at: float
    "When `attend` wants to be called at the latest; before that only when there may be something to do."

    def readable(self) -> None: ...
    def audio(self, data: bytes) -> None: ...
    def tick(self, now: float, early: float) -> bool: ...
    def send(self, packet: bytes, address: Address) -> None: ...
    def close(self) -> None: ...


class PlainStep:
    """The shell alone: everything takes the Python path."""

    def __init__(
        self,
        sock: socket.socket,
        near: NearEnd,
        tally: Tally,
        receive: Receive,
        hear: Hear,
        attend: Attend,
        broke: Broke,
    ) -> None:
        self._sock = sock
        self._receive, self._hear = receive, hear
        self.far: FarEnd | None = None
        self.tap: Callable[[bytes], None] | None = None
        self.playout: Playout | None = None
        self.pacer: Pacer | None = None
        self.bell: Bell | None = None
        self.up_table: bytes | None = None
        self.down_table: bytes | None = None
        self.attend_at = 0.0

    def readable(self) -> None:
        """A datagram is waiting.

        One at a time: asking whether there is another costs as much as being told, and a flood on one port must not
        starve the other calls.
        """
        try:
            data, source = self._sock.recvfrom(MAX_DATAGRAM)
        except OSError:  # nothing there after all, or an ICMP error of an earlier send; the next read will work
            return
        self._receive(data, source, time.monotonic())

    def audio(self, data: bytes) -> None:
        """The agent's voice has come."""
        self._hear(data)

    def tick(self, now: float, early: float) -> bool:
        """One frame is due, or early. False: nothing has been done; True: it has left, and `attend` was asked."""
        return False

    def send(self, packet: bytes, address: Address) -> None:
        """Raises OSError."""
        self._sock.sendto(packet, address)

    def close(self) -> None:
        """Let go of the call."""
        self._receive, self._hear = _not_received, _not_heard
        self.far = self.tap = None


def packet_step(
    sock: socket.socket, near: NearEnd, tally: Tally, receive: Receive, hear: Hear, attend: Attend, broke: Broke
) -> Step:
    """The best there is. `receive`, `hear` and `attend` catch their own errors; those of the step go to `broke`."""
    if COMPILED is None:
        return PlainStep(sock, near, tally, receive, hear, attend, broke)
    step: Step = COMPILED(sock.fileno(), near, tally, receive, hear, attend, broke)
    return step


def _compiled() -> type | None:
    try:
        module = native.load()
    except native.NotBuilt as why:
        log.info("the packet step runs in Python: %s", why)
        return None
    module.learn(OWNERS)
    found: type = module.Step
    return found


def _not_received(data: bytes, source: Address, now: float) -> None:
    return None


def _not_heard(data: bytes) -> None:
    return None


COMPILED = _compiled()
