"""Ears for tests: make a tone, and ask of a recording which tone it is, how loud, and where it breaks off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]


def tone(hz: float, duration_s: float, rate_hz: int = 8000, *, peak: int = 8000, phase: float = 0.0) -> Samples:
    """A pure tone of constant amplitude."""
    at = np.arange(round(duration_s * rate_hz)) / rate_hz
    wave: Samples = np.rint(peak * np.sin(2 * np.pi * hz * at + phase)).astype(np.int16)
    return wave


def silence(duration_s: float, rate_hz: int = 8000) -> Samples:
    return np.zeros(round(duration_s * rate_hz), np.int16)


def loudest_hz(pcm: Samples, rate_hz: int = 8000) -> float:
    """Frequency of the strongest line, right to within one bin (1 / duration)."""
    if not len(pcm):
        return 0.0
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    spectrum[0] = 0.0
    return float(np.argmax(spectrum)) * rate_hz / len(pcm)


def level_db(pcm: Samples) -> float:
    """RMS level in dB below full scale of a square wave; -inf would be awkward in tests, so silence is -120."""
    if not len(pcm):
        return -120.0
    rms = float(np.sqrt(np.mean(pcm.astype(np.float64) ** 2)))
    return max(-120.0, 20 * float(np.log10(max(rms, 1e-9) / 32768)))


def part_db(pcm: Samples, hz: float, rate_hz: int = 8000) -> float:
    """How strong the tone of `hz` is in this sound, in dB below a full-scale sine."""
    at = np.arange(len(pcm)) / rate_hz
    window = np.kaiser(len(pcm), 14)
    amplitude = 2 * abs(np.sum(pcm * window * np.exp(-2j * np.pi * hz * at))) / np.sum(window)
    return 20 * float(np.log10(max(amplitude, 1e-9) / 32768))


@dataclass(frozen=True)
class Gap:
    """A stretch of silence inside a sound."""

    at_ms: float
    lasts_ms: float


def gaps(pcm: Samples, rate_hz: int = 8000, *, longer_than_ms: float = 2.0, quieter_than: int = 64) -> list[Gap]:
    """Where the sound is silent for longer than a tone's own zero crossings. Silence at either end is no gap."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) >= quieter_than)
    steps = np.diff(loud)
    found = np.flatnonzero(steps > longer_than_ms * rate_hz / 1000)
    return [
        Gap(round((int(loud[i]) + 1) * 1000 / rate_hz, 3), round((int(steps[i]) - 1) * 1000 / rate_hz, 3))
        for i in found
    ]
