"""DTMF as RTP events (RFC 4733, telephone-event): receiving, and sending for our own test calls.

packet   1      2 ..  n    n+1   n+2   n+3
end      0      0     0     1     1     1       the end is sent three times, the timestamp is that of packet 1
marker   1      0     0     0     0     0       throughout, only the duration grows
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

DIGITS = "0123456789*#ABCD"
_EVENT = struct.Struct(">BBH")
END_PACKETS = 3
REMEMBERED = 8
"Events whose packets may still come late, or twice."
LOST_END_S = 0.2
"An event without news for this long has ended, its three end packets lost."


@dataclass(frozen=True, slots=True)
class Press:
    digit: str
    duration_ms: int


class DigitReceiver:
    """Turns event packets into key presses, each told once however often its packets come."""

    __slots__ = ("_duration", "_event", "_heard_at", "_rate_hz", "_timestamp", "_told")

    def __init__(self, clock_rate_hz: int) -> None:
        self._rate_hz = clock_rate_hz
        self._timestamp: int | None = None
        self._event = 0
        self._duration = 0
        self._told: deque[int] = deque(maxlen=REMEMBERED)
        "Timestamps of the last events."
        self._heard_at = 0.0

    def use_rate(self, clock_rate_hz: int) -> None:
        """Events come in another clock from now on (RFC 4733, 2.1: the clock of the audio beside them)."""
        self._rate_hz = clock_rate_hz

    @property
    def pending(self) -> bool:
        """A key is down as far as we know."""
        return self._timestamp is not None

    def receive(self, timestamp: int, payload: bytes, now: float) -> list[Press]:
        """One telephone-event packet. Events that are no digits (flash, tones) and short payloads say nothing."""
        if len(payload) < _EVENT.size:
            return []
        event, flags, duration = _EVENT.unpack_from(payload)
        if event >= len(DIGITS) or timestamp in self._told:
            return []
        presses = []
        if self._timestamp is not None and timestamp != self._timestamp:
            presses += self._finish()  # a new event: the end of the last one was lost
        if self._timestamp is None:
            self._timestamp, self._event, self._duration = timestamp, event, 0
        self._duration = max(self._duration, duration)  # packets of one event may overtake each other
        self._heard_at = now
        if flags & 0x80:
            presses += self._finish()
        return presses

    def overdue(self, now: float) -> list[Press]:
        """Asked every tick: an event whose end packets were all lost."""
        return self._finish() if now - self._heard_at >= LOST_END_S else []

    def _finish(self) -> list[Press]:
        if self._timestamp is None:
            return []
        self._told.append(self._timestamp)
        self._timestamp = None
        return [Press(DIGITS[self._event], self._duration * 1000 // self._rate_hz)]


@dataclass(frozen=True, slots=True)
class EventPacket:
    payload: bytes
    marker: bool
    "The event begins: its RTP timestamp is the present one, and all its other packets bear it too."


class DigitSender:
    """Sends queued digits, one packet per tick; between two digits it pauses. Poll once per ptime."""

    __slots__ = (
        "_at",
        "_digits",
        "_is_understood",
        "_pause",
        "_pause_ms",
        "_press",
        "_press_ms",
        "_rate_hz",
        "_rest",
        "_step",
    )

    def __init__(self, clock_rate_hz: int, ptime_ms: int, *, press_ms: int = 100, pause_ms: int = 60) -> None:
        self._press_ms, self._pause_ms = press_ms, pause_ms
        self.use(clock_rate_hz, ptime_ms)
        self._digits: deque[str] = deque()
        self._at = 0
        self._rest = 0

    def use(self, clock_rate_hz: int, ptime_ms: int, is_understood: bool = True) -> None:
        """Clock and distance of packets from now on (re-INVITE); what is queued stays."""
        self._rate_hz, self._is_understood = clock_rate_hz, is_understood
        self._step = self._rate_hz * ptime_ms // 1000
        self._press = max(1, self._press_ms // ptime_ms)
        self._pause = max(1, self._pause_ms // ptime_ms)

    def press(self, digits: str) -> bool:
        """False: the peer knows no events, it must be told in another way.

        Raises ValueError naming the first character that no telephone has.
        """
        for digit in digits:
            if digit not in DIGITS:
                raise ValueError(f"{digit!r} is no DTMF digit")
        if self._is_understood:
            self._digits.extend(digits)
        return self._is_understood

    @property
    def busy(self) -> bool:
        return bool(self._digits)

    def poll(self) -> EventPacket | None:
        """The event packet of this tick, or None: audio may go out."""
        if self._rest:
            self._rest -= 1
            return None
        if not self._digits:
            return None
        self._at += 1
        ending = self._at > self._press
        length = min(self._at, self._press) * self._step
        packet = EventPacket(
            _EVENT.pack(DIGITS.index(self._digits[0]), 0x8A if ending else 0x0A, length),
            self._at == 1,
        )
        if self._at >= self._press + END_PACKETS:
            self._digits.popleft()
            self._at, self._rest = 0, self._pause
        return packet
