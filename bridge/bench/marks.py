"""Marked audio: how the benchmark recognises one 20 ms frame on its way through everything.

A mark is one frame of loud square wave in mu-law. Its samples carry three numbers as *magnitudes* (the seven bits under
the sign): which mark it is, and, in two digits, which call it belongs to. They come in turns of eight samples, four
positive and four negative, the index first:

    sample     0..3    4..7    8..11    12..15   16..19   20..23   24..
    value      +index  -index  +high    -high    +low     -low     +index ...

The three live in ranges of their own, so any part of the frame tells them apart. All magnitudes are below 0x50: they
survive mu-law -> 16 bit -> mu-law bit for bit (G.711 loses only negative zero, 0x7F), and nothing quiet looks like
them. Between marks the line is silent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

FRAME_SAMPLES = 160
SAMPLES_PER_MS = 8
SILENCE = b"\xff" * FRAME_SAMPLES

MARK_EVERY = 10
"Packets from one mark to the next: five marks a second."
INDEXES = 32
"An index comes again after 6.4 s: longer than any round trip that is still a conversation."
CALLS = 16 * 32

_HIGH, _LOW, _END = 0x20, 0x30, 0x50
"Where the ranges of the two call digits begin; the index has the range below."
_TURN = 8
_LEAST = 8
"So many marked samples make an arrival (1 ms): a re-framing bridge may cut a frame anywhere."


def linear(code: int) -> int:
    """The 16-bit value of one mu-law code (ITU-T G.711, table 2a)."""
    inverted = ~code & 0xFF
    magnitude = ((((inverted & 0x0F) << 3) + 0x84) << ((inverted & 0x70) >> 4)) - 0x84
    return -magnitude if inverted & 0x80 else magnitude


MAGNITUDES = {abs(linear(code)): code for code in range(_END)}
"From the amplitude of a 16-bit sample back to the magnitude it came from."


def mark(call: int, index: int) -> bytes:
    """The marked frame as mu-law."""
    if not (0 <= call < CALLS and 0 <= index < INDEXES):
        raise ValueError(f"no mark for call {call}, index {index}")
    high, low = divmod(call, _END - _LOW)
    period = b"".join(bytes([v | 0x80] * 4 + [v] * 4) for v in (index, _HIGH + high, _LOW + low))
    return (period * (FRAME_SAMPLES // len(period) + 1))[:FRAME_SAMPLES]


def find(payload: bytes, index: int) -> int:
    """The sample at which the mark begins in a mu-law payload, -1 if there is too little of it."""
    positive, negative = bytes((index | 0x80,)), bytes((index,))
    if payload.count(positive) + payload.count(negative) < _LEAST:
        return -1
    return min(at for at in (payload.find(positive), payload.find(negative)) if at >= 0)


def read(magnitudes: Iterable[int]) -> tuple[int, int] | None:
    """(call, index) of the first mark among these magnitudes, None if there is no whole one."""
    index = high = low = -1
    for value in magnitudes:
        if value < 0 or value >= _END:
            continue
        if value < _HIGH:
            index = value if index < 0 else index
        elif value < _LOW:
            high = value - _HIGH
        else:
            low = value - _LOW
        if index >= 0 and high >= 0 and low >= 0:
            return high * (_END - _LOW) + low, index
    return None


def vote(payload: bytes) -> tuple[int, int] | None:
    """(call, index) that most of a mu-law payload speaks for, None if less than a millisecond does.

    For a stream in which every frame is a mark: where a bridge has cut or blended two of them, the larger part wins.
    """
    seen = Counter(code & 0x7F for code in payload)
    winners = []
    for low, high in ((0, _HIGH), (_HIGH, _LOW), (_LOW, _END)):
        value = max(range(low, high), key=lambda code: seen[code])
        if seen[value] < _LEAST:
            return None
        winners.append(value)
    index, first, second = winners
    return (first - _HIGH) * (_END - _LOW) + second - _LOW, index


def read_mulaw(frame: bytes) -> tuple[int, int] | None:
    return read(code & 0x7F for code in frame[:: _TURN // 2])


def read_s16le(frame: bytes) -> tuple[int, int] | None:
    samples = memoryview(frame[: len(frame) & ~1]).cast("h")[:: _TURN // 2]
    return read(MAGNITUDES.get(abs(sample), -1) for sample in samples)
