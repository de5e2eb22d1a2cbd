"""A tone that rises steadily: its pitch says at any point of a recording which moment of the original is heard.

So one look at what came out tells whether a piece is missing, is heard twice or comes later than before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.helpers.audio import Samples

LOWEST_HZ = 400
RISE_HZ_PER_S = 400
TURN_S = 7.0
"After so long it begins again at the lowest; 3200 Hz is the highest that a telephone lets through."
Seconds = npt.NDArray[np.float64]
STEP_S = 0.01
WINDOW_S = 0.03


def rising(lasts_s: float, rate_hz: int = 8000, *, peak: int = 8000) -> Samples:
    at = np.arange(round(lasts_s * rate_hz)) / rate_hz % TURN_S
    phase = 2 * np.pi * (LOWEST_HZ * at + RISE_HZ_PER_S / 2 * at**2)
    sound: Samples = np.rint(peak * np.sin(phase)).astype(np.int16)
    return sound


def steepest(peak: int, rate_hz: int) -> float:
    """The largest step between two samples of an undisturbed rising tone."""
    highest_hz = LOWEST_HZ + RISE_HZ_PER_S * TURN_S
    return 2 * peak * float(np.sin(min(np.pi / 2, np.pi * highest_hz / rate_hz)))


@dataclass(frozen=True)
class Readings:
    """Every 10 ms of a recording: when, and which moment of the original is heard there (NaN: silence)."""

    at_s: Seconds
    original_s: Seconds

    @property
    def delay_s(self) -> Seconds:
        """How much later than in the original; NaN in silence. Right to within a turn of the tone."""
        delay: Seconds = (self.at_s - self.original_s + TURN_S / 2) % TURN_S - TURN_S / 2
        return delay

    def first(self, lasts_s: float) -> Readings:
        """Of the tone's first seconds, however much silence is before it."""
        began = np.flatnonzero(~np.isnan(self.original_s))[0]
        end = began + round(lasts_s / STEP_S)
        return Readings(self.at_s[:end], self.original_s[:end])

    def delay_ms(self, begin_s: float, end_s: float, *, since_s: float = 0.0) -> float:
        """The usual delay in this part of the recording, of a tone that began at `since_s`."""
        inside = (self.at_s >= begin_s) & (self.at_s < end_s) & ~np.isnan(self.original_s)
        assert inside.any(), f"nothing is heard between {begin_s} and {end_s} s"
        late_s = float(np.median(self.delay_s[inside])) - since_s
        return ((late_s + TURN_S / 2) % TURN_S - TURN_S / 2) * 1000

    def off_ms(self) -> float:
        """How far any moment is from where the usual delay would have it."""
        delay_s = self.delay_s[~np.isnan(self.original_s)]
        return float(np.abs(delay_s - np.median(delay_s)).max()) * 1000

    def silent_ms(self) -> float:
        """How long it is silent between the first and the last sound."""
        sounding = np.flatnonzero(~np.isnan(self.original_s))
        inside = self.original_s[sounding[0] : sounding[-1] + 1]
        return float(np.isnan(inside).sum()) * STEP_S * 1000

    def steps_ms(self) -> Seconds:
        """From one reading to the next, how far the original went on beyond the recording; not at edges of silence."""
        sounding = ~np.isnan(self.original_s)
        edge = round(WINDOW_S / STEP_S)
        whole = np.convolve(np.pad(sounding, edge), np.ones(2 * edge + 1), "valid") == 2 * edge + 1
        steps: Seconds = -np.diff(self.delay_s[whole]) * 1000
        return steps


def read(sound: Samples, rate_hz: int = 8000, *, quieter_than: float = 200) -> Readings:
    size, step = round(WINDOW_S * rate_hz), round(STEP_S * rate_hz)
    windows = np.lib.stride_tricks.sliding_window_view(sound, size)[::step].astype(np.float64)
    padded = 8192 * max(1, rate_hz // 8000)
    bin_hz = rate_hz / padded
    pitches = np.empty(len(windows))
    for first in range(0, len(windows), 256):
        spectra = np.abs(np.fft.rfft(windows[first : first + 256] * np.hanning(size), padded, axis=1))
        spectra[:, : round(LOWEST_HZ / 2 / bin_hz)] = 0
        pitches[first : first + 256] = np.argmax(spectra, axis=1) * bin_hz
    loudness = np.sqrt((windows**2).mean(axis=1))
    original = (pitches - LOWEST_HZ) / RISE_HZ_PER_S
    at = np.arange(len(windows), dtype=np.float64) * STEP_S + WINDOW_S / 2
    original[loudness < quieter_than] = np.nan
    return Readings(at, original)
