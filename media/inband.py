"""DTMF as tones in the audio (ITU-T Q.23, Q.24), for trunks that negotiate no telephone-event.

    tone        |<----------- 40 ms or more ----------->|      pause of 40 ms or more
    windows  [....]                                          24 ms each (Hann), a new one every 4 ms
                 [xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]       what hears the digit: MIN_RUN in a row are a key press,
                                                     [....]  told when MIN_MISSES in a row have heard it no longer

A window hears a digit when its strongest row and its strongest column are in tune, in balance, and all there is. How
far a tone is off is measured, not guessed from what a filter lets through: by how its phase advances from window to
window. So +-1.5 % is taken and +-3.5 % refused for each of the eight alike, which no filter of 24 ms can do at 697 Hz.

The eight filters are the Goertzel algorithm's, all windows of a frame in one matrix product. Measured per 20 ms frame
at 8 and 16 kHz: silence 13 us, speech 24 us, a key that is down 130 to 160 us.

A digit is told about 40 ms after the key is released, with its duration, as one of RFC 4733 is. The tones themselves
stay in the audio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from media.dtmf import Press

Samples = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float32]
Complexes = npt.NDArray[np.complex64]

RATES_HZ: Final = (8000, 16000)
"Of the lines that are listened to."
ROWS_HZ: Final = (697.0, 770.0, 852.0, 941.0)
COLUMNS_HZ: Final = (1209.0, 1336.0, 1477.0, 1633.0)
TONES_HZ: Final = ROWS_HZ + COLUMNS_HZ
KEYS: Final = ("123A", "456B", "789C", "*0#D")
"By row and column (Q.23)."

WINDOW_MS: Final = 24
"Short enough that several lie wholly inside 40 ms, long enough to tell 697 from 770 Hz."
STEP_MS: Final = 4

TUNE: Final = 0.025
"Half-way between what must be taken (1.5 %) and what must be refused (3.5 %)."
QUIETEST: Final = 0.5 * (32768 * 10 ** (-40 / 20)) ** 2
"Power of a tone of 40 dB below full scale, about -37 dBm0. Q.24's administrations take tones down to -25 or -29 dBm."
COLUMN_OVER_ROW: Final = 10 ** (5 / 10)
"4 dB, and 1 dB for what noise and quantizing add."
ROW_OVER_COLUMN: Final = 10 ** (9 / 10)
"8 dB, and the same 1 dB. Lines lose the high tones more than the low ones."
PURITY: Final = 0.7
"Share of the two tones in all that is heard. Noise 10 dB below them leaves 0.9, a third tone as loud 0.67."
FIRST_PURITY: Final = 0.45
"The same before the tuning is known: a tone that is off by 1.5 % stands 2 dB lower in its filter."
HARMONIC: Final = 10 ** (-15 / 10)
"Voices have a second harmonic, tone generators do not."
APART_HZ: Final = 2.2 * 1000 / WINDOW_MS
"Nearer than this, twice the row cannot be told from the column itself (2 x 697 from 1336 and 1477, 2 x 770 from 1477)."

MIN_RUN: Final = 6
"Windows. Tones of 40 ms give 7 to 9, of 30 ms 4 to 6, of 23 ms 3 or 4."
MIN_MISSES: Final = 8
"Windows. A pause of 40 ms gives 11 to 13, a break of 10 ms inside a tone, which must not make it two, 4 or 5."
EDGES_MS: Final = 10
"What a tone is longer than its windows' steps, on the average."


@dataclass(frozen=True, slots=True)
class _Tables:
    """What depends on the sample rate alone."""

    window: int
    step: int
    basis: Complexes
    "Window and oscillator of each tone, window x 8."
    squared: Floats
    "The window's squares."
    tone_share: float
    "Energy that a tone leaves in the squared window, to |filter output|^2."
    power: float
    "Power of a tone, to |filter output|^2."
    turn: Complexes
    "How much each oscillator turns from window to window, backwards."
    times_s: npt.NDArray[np.float64]
    shape: Floats


@lru_cache(maxsize=4)
def _tables(rate_hz: int) -> _Tables:
    size, step = rate_hz * WINDOW_MS // 1000, rate_hz * STEP_MS // 1000
    shape = np.hanning(size + 2)[1:-1]
    times_s = np.arange(size) / rate_hz
    tones = np.array(TONES_HZ)
    squared = shape**2
    gain = 2 / shape.sum()
    return _Tables(
        window=size,
        step=step,
        basis=(shape[:, None] * np.exp(-2j * np.pi * np.outer(times_s, tones))).astype(np.complex64),
        squared=squared.astype(np.float32),
        tone_share=float(gain**2 / 2 * squared.sum()),
        power=float(gain**2 / 2),
        turn=np.exp(-2j * np.pi * tones * step / rate_hz).astype(np.complex64),
        times_s=times_s,
        shape=shape.astype(np.float32),
    )


class InbandDetector:
    """One direction of one call. `hear` takes frames of any length."""

    def __init__(self, rate_hz: int) -> None:
        self._tables = _tables(rate_hz)
        self.reset()

    def reset(self) -> None:
        """Forget the past: another stream follows. A key that is down is not told."""
        self._line: Floats = np.zeros(0, np.float32)
        "What the next windows still need."
        self._before: Complexes = np.zeros((1, 8), np.complex64)
        "What the last window heard."
        self._digit = ""
        "Heard by the last windows."
        self._run = 0
        self._misses = 0

    @property
    def is_down(self) -> bool:
        """A key is pressed: what is heard now is its tones."""
        return self._run >= MIN_RUN

    def hear(self, pcm: Samples) -> list[Press]:
        """The next samples. Returns the keys that have been released."""
        tables = self._tables
        line = np.concatenate((self._line, pcm)).astype(np.float32, copy=False)
        count = (len(line) - tables.window) // tables.step + 1
        if count <= 0:
            self._line = line
            return []
        windows = np.lib.stride_tricks.sliding_window_view(line, tables.window)[:: tables.step][:count]
        presses: list[Press] = []
        for digit in self._digits(windows):
            presses += self._step(digit)
        self._line = line[count * tables.step :].copy()
        return presses

    def _digits(self, windows: Floats) -> list[str]:
        """What each window hears: a digit or "". Cheap for windows that cannot hold one, which is nearly all."""
        tables = self._tables
        energies = (windows * windows) @ tables.squared
        loud = energies > QUIETEST * tables.tone_share / tables.power
        if not loud.any():
            self._before = np.zeros((1, 8), np.complex64)
            return [""] * len(windows)
        outputs = windows @ tables.basis
        before = np.concatenate((self._before, outputs[:-1]))
        self._before = outputs[-1:]
        powers = outputs.real**2 + outputs.imag**2
        loudest = (powers[:, :4].max(axis=1) + powers[:, 4:].max(axis=1)) * tables.tone_share
        hopeful = loud & (loudest > FIRST_PURITY * energies)
        digits = [""] * len(windows)
        for n in np.flatnonzero(hopeful):
            digits[n] = self._digit_of(windows[n], outputs[n], before[n], powers[n], float(energies[n]))
        return digits

    def _digit_of(self, window: Floats, outputs: Complexes, before: Complexes, powers: Floats, energy: float) -> str:
        row, column = int(powers[:4].argmax()), 4 + int(powers[4:].argmax())
        found = [self._tone(tone, outputs, before, powers) for tone in (row, column)]
        (row_hz, row_power), (column_hz, column_power) = found
        if not row_power or not column_power:
            return ""
        level = self._tables.power
        if min(row_power, column_power) * level < QUIETEST:
            return ""
        if column_power > row_power * COLUMN_OVER_ROW or row_power > column_power * ROW_OVER_COLUMN:
            return ""
        if (row_power + column_power) * self._tables.tone_share < PURITY * energy:
            return ""
        if self._is_heard(window, 2 * column_hz, HARMONIC * column_power):
            return ""
        if abs(2 * row_hz - column_hz) > APART_HZ and self._is_heard(window, 2 * row_hz, HARMONIC * row_power):
            return ""
        return KEYS[row][column - 4]

    def _tone(self, tone: int, outputs: Complexes, before: Complexes, powers: Floats) -> tuple[float, float]:
        """Frequency and |filter output|^2, put right for the distance from the filter's middle; (0, 0): out of tune."""
        tables = self._tables
        advance = outputs[tone] * before[tone].conjugate() * tables.turn[tone]
        off_hz = math.atan2(advance.imag, advance.real) / (2 * math.pi * STEP_MS / 1000)
        if abs(off_hz) > TUNE * TONES_HZ[tone]:
            return 0.0, 0.0
        bins = off_hz * WINDOW_MS / 1000
        response = float(np.sinc(bins)) / (1 - bins * bins)
        return TONES_HZ[tone] + off_hz, float(powers[tone]) / response**2

    def _is_heard(self, window: Floats, hz: float, power: float) -> bool:
        """Is there a tone of more than this |filter output|^2?"""
        oscillator = np.exp(-2j * np.pi * hz * self._tables.times_s)
        return bool(abs(np.dot(window * self._tables.shape, oscillator)) ** 2 > power)

    def _step(self, digit: str) -> list[Press]:
        """One window further: it prolongs the run, or interrupts it, or ends it."""
        if digit and digit == self._digit:
            self._run += 1 + self._misses
            self._misses = 0
            return []
        if not self.is_down:  # what there was before was too short to be a key
            self._digit, self._run = digit, len(digit)
            return []
        self._misses += 1
        if self._misses < MIN_MISSES:
            return []
        press = Press(self._digit, self._run * STEP_MS + EDGES_MS)
        self._digit, self._run, self._misses = digit, len(digit), 0
        return [press]
