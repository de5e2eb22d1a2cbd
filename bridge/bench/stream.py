"""One call's RTP as the load caller sends and hears it. Knows no socket and no clock; times are monotonic nanoseconds.

The cost counts: the next packet is the same buffer with a new header, and a silent packet that comes back is looked at
with two comparisons.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from bridge.bench.marks import FRAME_SAMPLES, INDEXES, MARK_EVERY, SAMPLES_PER_MS, SILENCE, find, mark

_HEADER = struct.Struct("!BBHII")
_RTP_HEADER_BYTES = 12
_MARKER = 0x80
_LONGEST_JUMP = 500
"More missing sequence numbers than ten seconds hold are a new stream, not a loss."


@dataclass(slots=True)
class MarkTimes:
    """What one mark has been through."""

    index: int
    sent_ns: int
    returned_ns: int = 0
    "Arrival of the first packet with the mark, plus how far into that packet it begins. 0: never came."


class Outgoing:
    """The packets of one call, in the order in which they are to be sent."""

    def __init__(self, call: int, *, ssrc: int, first_sequence: int = 0, first_timestamp: int = 0) -> None:
        self.sent = 0
        self.marks: list[MarkTimes] = []
        self._ssrc, self._sequence, self._timestamp = ssrc, first_sequence, first_timestamp
        self._frames = [mark(call, index) for index in range(INDEXES)]
        # Calls speak up in turn, so that their marks do not make a rhythm of their own.
        self._turn = call % MARK_EVERY
        self._packet = bytearray(_RTP_HEADER_BYTES) + bytearray(SILENCE)
        self._marked = False

    def next(self, now_ns: int) -> bytearray:
        """The packet to send now. The buffer is ours again at the next call."""
        packet, turn = self._packet, self.sent % MARK_EVERY
        if turn == self._turn:
            index = len(self.marks) % INDEXES
            self.marks.append(MarkTimes(index, now_ns))
            packet[_RTP_HEADER_BYTES:] = self._frames[index]
            self._marked = True
        elif self._marked:
            packet[_RTP_HEADER_BYTES:] = SILENCE
            self._marked = False
        payload_type = 0 if self.sent else _MARKER
        _HEADER.pack_into(packet, 0, 0x80, payload_type, self._sequence, self._timestamp, self._ssrc)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        self.sent += 1
        return packet

    def skip(self, packets: int) -> None:
        """We slept: time has passed on the line too, but nothing is sent in a burst."""
        self._timestamp = (self._timestamp + packets * FRAME_SAMPLES) & 0xFFFFFFFF


class Incoming:
    """What comes back, counted, and matched with the marks that were sent."""

    def __init__(self, outgoing: Outgoing) -> None:
        self.received = self.duplicate = self.reordered = self.restarts = self.malformed = 0
        self.gaps_ms: list[float] = []
        self.turns: list[tuple[int, bool]] = []
        "(arrival, is it loud) of each packet that is silent after a loud one, or loud after a silent one."
        self._is_loud = False
        self._missing: set[int] = set()
        self._sequence = -1
        self._at_ns = 0
        self._marks = outgoing.marks
        self._next_mark = 0
        "Marks before this one have come back or are given up."

    @property
    def lost(self) -> int:
        return len(self._missing)

    def receive(self, data: bytes, at_ns: int) -> None:
        if len(data) <= _RTP_HEADER_BYTES or data[0] >> 6 != 2:
            self.malformed += 1
            return
        self.received += 1
        self._count(data[2] << 8 | data[3])
        if self._at_ns:
            self.gaps_ms.append((at_ns - self._at_ns) / 1e6)
        self._at_ns = at_ns
        is_loud = not data.endswith(SILENCE)
        if is_loud is not self._is_loud:
            self._is_loud = is_loud
            self.turns.append((at_ns, is_loud))
        if is_loud:
            self._look_for_marks(data[_RTP_HEADER_BYTES:], at_ns)

    def _count(self, sequence: int) -> None:
        step = (sequence - self._sequence) & 0xFFFF if self._sequence >= 0 else 1
        if step == 1:
            self._sequence = sequence
        elif 1 < step <= _LONGEST_JUMP:
            self._missing.update((self._sequence + n) & 0xFFFF for n in range(1, step))
            self._sequence = sequence
        elif sequence in self._missing:
            self._missing.discard(sequence)
            self.reordered += 1
        elif step == 0 or step > 0x8000:
            self.duplicate += 1
        else:
            self.restarts += 1
            self._sequence = sequence

    def _look_for_marks(self, payload: bytes, at_ns: int) -> None:
        """The oldest mark under way that is in this packet; those sent before it will not come any more."""
        for number in range(max(self._next_mark, len(self._marks) - INDEXES), len(self._marks)):
            sent = self._marks[number]
            at = find(payload, sent.index)
            if at >= 0:
                sent.returned_ns = at_ns + at * 1_000_000 // SAMPLES_PER_MS
                self._next_mark = number + 1
                return
