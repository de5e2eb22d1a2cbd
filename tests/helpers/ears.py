"""Ears for whole calls: G.711 both ways, and which tones follow each other in what was heard.

The tables are deliberately not the product's own, so that a mistake there cannot hide behind the same mistake here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.helpers.audio import Samples, level_db, loudest_hz, tone

PCMU, PCMA = 0, 8
RATE_HZ = 8000


def _mulaw_values() -> Samples:
    """G.711, table 2a."""
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code >> 4) & 0x07)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_values() -> Samples:
    """G.711, table 1a: even bits are inverted on the wire."""
    code = np.arange(256) ^ 0x55
    segment, step = (code >> 4) & 0x07, code & 0x0F
    magnitude = np.where(segment == 0, (step << 4) + 8, ((step << 4) + 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


VALUES: dict[int, Samples] = {PCMU: _mulaw_values(), PCMA: _alaw_values()}
"By payload type: what each code sounds like."


def _codes(values: Samples) -> NDArray[np.uint8]:
    """For each 16-bit sample, seen as unsigned, the code whose value is nearest."""
    order = np.argsort(values, kind="stable")
    ladder = values[order].astype(np.int32)
    borders = (ladder[:-1] + ladder[1:]) / 2
    return order[np.searchsorted(borders, np.arange(65536, dtype=np.uint16).view(np.int16))].astype(np.uint8)


CODES = {payload_type: _codes(values) for payload_type, values in VALUES.items()}


def encode(samples: Samples, payload_type: int) -> bytes:
    return CODES[payload_type][samples.view(np.uint16)].tobytes()


def decode(payload: bytes, payload_type: int) -> Samples:
    return VALUES[payload_type][np.frombuffer(payload, np.uint8)]


@dataclass(frozen=True, slots=True)
class Note:
    """One tone and how long it lasted, to 10 ms."""

    hz: int
    ms: int


def melody(*notes: tuple[int, int]) -> Samples:
    """Tones one after the other, (Hz, ms) each: every piece of it is known by its pitch."""
    return np.concatenate([tone(hz, ms / 1000) for hz, ms in notes])


def notes(sound: Samples, known_hz: tuple[int, ...], *, window_ms: int = 20, shortest_ms: int = 40) -> list[Note]:
    """What was heard, as a list of the known tones in their order; silence is 0 Hz and left out at both ends.

    A window that falls on a change holds both tones and is given to the louder; what is shorter than `shortest_ms`
    is such an edge and is left out.
    """
    size = window_ms * RATE_HZ // 1000
    heard: list[Note] = []
    for start in range(0, len(sound) - size + 1, size // 2):
        hz = _pitch(sound[start : start + size], known_hz)
        if heard and heard[-1].hz == hz:
            heard[-1] = Note(hz, heard[-1].ms + window_ms // 2)
        else:
            heard.append(Note(hz, window_ms // 2))
    heard = _joined([note for note in heard if note.ms >= shortest_ms])
    while heard and heard[0].hz == 0:
        heard.pop(0)
    while heard and heard[-1].hz == 0:
        heard.pop()
    return heard


def _pitch(window: Samples, known_hz: tuple[int, ...]) -> int:
    if level_db(window) < -45:
        return 0
    padded = np.zeros(RATE_HZ // 5, np.int16)
    padded[: len(window)] = (window * np.hanning(len(window))).astype(np.int16)
    heard_hz = loudest_hz(padded)
    return min(known_hz, key=lambda hz: abs(hz - heard_hz))


def _joined(heard: list[Note]) -> list[Note]:
    out: list[Note] = []
    for note in heard:
        if out and out[-1].hz == note.hz:
            out[-1] = Note(note.hz, out[-1].ms + note.ms)
        else:
            out.append(note)
    return out


def with_one_pause(heard: list[Note], most_ms: int) -> list[Note]:
    """The same without a pause of up to `most_ms`, at most one.

    An echo in real time comes without any cushion, and nothing says beforehand when its frames will come: the first one
    that misses its tick costs one frame of silence, once in a call.
    """
    pauses = [number for number, note in enumerate(heard) if note.hz == 0 and note.ms <= most_ms]
    return _joined([note for number, note in enumerate(heard) if number not in pauses[:1]])
