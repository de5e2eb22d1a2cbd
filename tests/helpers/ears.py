"""Ears for whole calls: G.711 both ways, and which tones follow each other in what was heard.

The tables are deliberately not the product's own, so that a mistake there cannot hide behind the same mistake here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.wire import CallReport
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


@dataclass(frozen=True, slots=True)
class Strain:
    """How tones that came in the right order differ from what was sung. Zeros: not at all."""

    silent_ms: int
    "Between them."
    held_ms: int
    "By which they lasted longer: where a frame is missing the sound before it goes on."

    @property
    def ms(self) -> int:
        return self.silent_ms + self.held_ms


def strain(heard: list[Note], sung: list[tuple[int, int]], edge_ms: int) -> Strain:
    """Fails unless it is these tones, (Hz, ms) each, in this order, none of them cut short by more than an edge."""
    tones = _joined([note for note in heard if note.hz])
    assert [note.hz for note in tones] == [hz for hz, _ in sung], heard
    over_ms = [note.ms - ms for note, (_, ms) in zip(tones, sung, strict=True)]
    assert min(over_ms) >= -edge_ms, heard
    held_ms = sum(over for over in over_ms if over > edge_ms)
    return Strain(sum(note.ms for note in heard if not note.hz), held_ms)


STALL_MS = 8.0
"About what the bridge waits for a platform's frame. A process that is held up for longer makes somebody miss his turn."
WINDOW_MS = 20
"Either end of a note is told to 10 ms."


def assert_counted(heard: Strain, media: CallReport, ptime_ms: int) -> None:
    """What a listener may notice is what the bridge has counted: a frame for each time that its queue ran dry."""
    late_ms = max(0.0, media.near.max_gap_ms - ptime_ms)
    assert heard.ms <= media.far.underruns * (ptime_ms + late_ms) + WINDOW_MS, (heard, media)


def assert_unstrained(heard: Strain, media: CallReport, ptime_ms: int) -> None:
    """Of an echo in real time. Nothing says beforehand when its frames will come: for the first that misses its tick
    the sound before it is held, as long as one frame and once in a call, and there is no silence.

    More only where the bridge's own report says that this machine was held up: a tick was late, or the caller's packets
    came with a gap that he did not make.
    """
    assert_counted(heard, media, ptime_ms)
    if max(media.tick_late_ms.max, media.near.max_gap_ms - ptime_ms) <= STALL_MS:
        assert heard.silent_ms == 0, (heard, media)
        assert heard.held_ms <= ptime_ms + WINDOW_MS, (heard, media)
