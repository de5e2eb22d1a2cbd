"""RTP (RFC 3550): headers, wrap-around arithmetic, and what a receiver counts.

Pure: bytes and clock readings in, numbers out.
"""

from __future__ import annotations

import struct

VERSION = 2
HEADER_BYTES = 12
_HEADER = struct.Struct(">BBHII")
_EXTENSION = struct.Struct(">HH")

MAX_DROPOUT = 3000
"A jump ahead of more packets than this (60 s) is a new stream, or a stray packet, not loss (RFC 3550, A.1)."
MAX_MISORDER = 100
"A packet older than this many is the same, not reordering (RFC 3550, A.1)."


def seq_diff(a: int, b: int) -> int:
    """How far sequence number `a` is ahead of `b`, in -32768..32767."""
    return ((a - b + 0x8000) & 0xFFFF) - 0x8000


def ts_diff(a: int, b: int) -> int:
    """How far timestamp `a` is ahead of `b`, in -2**31..2**31-1."""
    return ((a - b + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class Malformed(ValueError):
    """Not an RTP packet we can use. The text says why, in a few words that can be counted."""


class Packet:
    """One parsed RTP packet. `payload` is without padding and extension."""

    __slots__ = ("marker", "payload", "payload_type", "sequence", "ssrc", "timestamp")

    def __init__(
        self, payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool = False
    ) -> None:
        self.payload_type = payload_type
        self.sequence = sequence
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.payload = payload
        self.marker = marker

    def __repr__(self) -> str:
        mark = " M" if self.marker else ""
        return (
            f"<Packet pt={self.payload_type} seq={self.sequence} ts={self.timestamp} {len(self.payload)} bytes{mark}>"
        )


def is_rtcp(data: bytes) -> bool:
    """RTCP on the RTP port (RFC 5761, 4): packet types 192..223 sit where marker and payload type would be."""
    return len(data) >= 2 and 192 <= data[1] <= 223


def parse(data: bytes) -> Packet:
    """Read one datagram. Raises Malformed for anything that RFC 3550, 5.1 does not allow."""
    if len(data) < HEADER_BYTES:
        raise Malformed("shorter than an RTP header")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first == 0x80:  # no padding, no extension, no CSRC: nearly every packet there is
        return Packet(second & 0x7F, sequence, timestamp, ssrc, data[HEADER_BYTES:], second >= 0x80)
    if first >> 6 != VERSION:
        raise Malformed("not RTP version 2")
    start = HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < start + 4:
            raise Malformed("truncated header extension")
        _, words = _EXTENSION.unpack_from(data, start)
        start += 4 + 4 * words
    end = len(data)
    if start > end:
        raise Malformed("truncated CSRC list or header extension")
    if first & 0x20:
        padding = data[-1] if end > start else 0
        if not 0 < padding <= end - start:
            raise Malformed("padding longer than the payload")
        end -= padding
    return Packet(second & 0x7F, sequence, timestamp, ssrc, data[start:end], second >= 0x80)


def serialize(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool = False
) -> bytes:
    """One datagram. The counters must already be inside 16 and 32 bits."""
    return _HEADER.pack(0x80, payload_type | (0x80 if marker else 0), sequence, timestamp, ssrc) + payload


class Reception:
    """What RFC 3550 lets a receiver know about one source: expected, lost, late, duplicate, jitter.

    `arrive` is called for every packet with the right SSRC and says what the packet is to the stream.
    """

    __slots__ = (
        "_base",
        "_cycles",
        "_last_transit",
        "_max_seq",
        "_rate_hz",
        "_seen",
        "_stray_next",
        "duplicate",
        "jitter",
        "late",
        "received",
        "resyncs",
        "retired_expected",
    )

    IN_ORDER, AHEAD, LATE, DUPLICATE, RESTART, STRAY = range(6)

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._base: int | None = None
        "Extended number of the first packet; None before it. Negative when one from before a wrap came after it."
        self._max_seq = 0
        self._cycles = 0
        self._seen = 0
        "Bit n: the packet n before the newest one has come. 128 packets, so that MAX_MISORDER fits."
        self._stray_next = -1
        "What must follow the last stray packet for both to be a new stream."
        self._last_transit: float | None = None
        self.received = 0
        self.late = 0
        self.duplicate = 0
        self.resyncs = 0
        self.jitter = 0.0
        "In samples (RFC 3550, A.8)."
        self.retired_expected = 0
        "Packets expected from streams before the last restart."

    @property
    def expected(self) -> int:
        if self._base is None:
            return self.retired_expected
        return self.retired_expected + self._cycles + self._max_seq - self._base + 1

    @property
    def lost(self) -> int:
        """Never came at all. Late ones did come; RFC 3550 counts them as received."""
        return max(0, self.expected - self.received)

    @property
    def jitter_ms(self) -> float:
        return self.jitter * 1000 / self._rate_hz

    @property
    def highest(self) -> int:
        """Extended highest sequence number (RFC 3550, A.1)."""
        return self._cycles + self._max_seq

    @property
    def next_sequence(self) -> int:
        return (self._max_seq + 1) & 0xFFFF

    def use_rate(self, rate_hz: int) -> None:
        """Another codec, another clock: jitter is measured in its units from now on."""
        self.jitter = self.jitter * rate_hz / self._rate_hz
        self._rate_hz = rate_hz
        self._last_transit = None

    def is_near(self, sequence: int) -> bool:
        """Could this sequence number continue the stream, after a pause of any kind?"""
        return self._base is not None and -MAX_MISORDER <= seq_diff(sequence, self._max_seq) <= MAX_DROPOUT

    def restart(self) -> None:
        """The next packet begins a new stream (new SSRC, or the far side began anew), and is a RESTART."""
        self.retired_expected = self.expected
        self._base = None
        self._cycles = 0
        self._seen = 0
        self._stray_next = -1
        self._last_transit = None

    def arrive(self, sequence: int, timestamp: int, now: float, timed: bool = True) -> int:
        """Classify one packet: IN_ORDER, AHEAD (something before it is missing), LATE, DUPLICATE, RESTART or STRAY.

        One whose number is far off is a STRAY, and no more than late; a second one right behind it is a RESTART.
        `timed` is False for a packet whose timestamp does not say when it was sent (RFC 4733: all packets of one event
        bear that of its beginning); it tells nothing about jitter.
        """
        if self._base is None:
            self._begin(sequence)
            verdict = self.RESTART if self.retired_expected else self.IN_ORDER
        else:
            step = ((sequence - self._max_seq + 0x8000) & 0xFFFF) - 0x8000
            if step == 1:
                if sequence == 0:
                    self._cycles += 0x10000
                self._max_seq = sequence
                self._seen = (self._seen << 1 | 1) & ((1 << 128) - 1)
                verdict = self.IN_ORDER
            elif step > MAX_DROPOUT or step < -MAX_MISORDER:
                if sequence != self._stray_next:
                    self._stray_next = (sequence + 1) & 0xFFFF
                    self.late += 1
                    return self.STRAY
                self.restart()
                self.resyncs += 1
                self._begin(sequence)
                verdict = self.RESTART
            elif step > 0:
                if sequence < self._max_seq:
                    self._cycles += 0x10000
                self._max_seq = sequence
                self._seen = (self._seen << step | 1) & ((1 << 128) - 1)
                verdict = self.AHEAD
            elif self._seen >> -step & 1:
                self.duplicate += 1
                return self.DUPLICATE
            else:
                self._seen |= 1 << -step
                # Of what was sent before the packet that came first, the earliest is the beginning.
                self._base = min(self._base, self._cycles + self._max_seq + step)
                self.late += 1
                self.received += 1
                return self.LATE
        self.received += 1
        if not timed:
            return verdict
        transit = now * self._rate_hz - timestamp
        if self._last_transit is not None:
            change = abs(transit - self._last_transit)
            if change < self._rate_hz:  # a second or more is a new talkspurt clock or a wrap, not jitter
                self.jitter += (change - self.jitter) / 16
        self._last_transit = transit
        return verdict

    def _begin(self, sequence: int) -> None:
        self._base = self._max_seq = sequence
        self._seen = 1
