"""Test signals and what is left of them: signal to noise by fitting the sine sent, delay by correlation. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
Wave = npt.NDArray[np.float64]

SINE_HZ: Final = 1020.0
"ITU-T O.132: no divisor of a sampling rate, so every code of the table is used."
LEVEL: Final = 10_360
"-10 dB below full scale."
SKIP_S: Final = 0.3
"Filters and codecs fill first."
SPEECH_BAND_HZ: Final = (300, 3400)


def sine(rate_hz: int, seconds: float, hz: float = SINE_HZ) -> Samples:
    return _rounded(LEVEL * np.sin(2 * np.pi * hz * _times(rate_hz, seconds)))


def speech_band(rate_hz: int, seconds: float) -> Samples:
    """Noise between 300 and 3400 Hz, a sum of sines: the same sound at every rate."""
    dice = np.random.default_rng(1)
    times, wave = _times(rate_hz, seconds), np.zeros(int(rate_hz * seconds))
    for hz in range(*SPEECH_BAND_HZ, 37):
        wave += np.sin(2 * np.pi * (hz + dice.uniform(0, 30)) * times + dice.uniform(0, 2 * np.pi))
    return _rounded(wave * LEVEL / np.abs(wave).max())


def snr_db(heard: Samples, rate_hz: int, hz: float = SINE_HZ) -> float:
    """Of a sine: the best fit in amplitude, phase and offset is the signal, all the rest is noise."""
    wave = heard[int(SKIP_S * rate_hz) :].astype(np.float64)
    phase = 2 * np.pi * hz * np.arange(len(wave)) / rate_hz
    basis = np.column_stack((np.sin(phase), np.cos(phase), np.ones_like(phase)))
    fit, *_ = np.linalg.lstsq(basis, wave, rcond=None)
    signal = basis[:, :2] @ fit[:2]
    return _db(float(np.mean(signal**2)), float(np.mean((wave - signal - fit[2]) ** 2)))


def level_db(heard: Samples, rate_hz: int) -> float:
    """Loudness of whatever is there, against the sine that was sent."""
    wave = heard[int(SKIP_S * rate_hz) :].astype(np.float64)
    return _db(float(np.mean(wave**2)), LEVEL**2 / 2)


def delay_ms(sent: Samples, heard: Samples, rate_hz: int) -> float:
    """How much later `heard` is than `sent`, both at this rate, to one sample."""
    size = 2 * max(len(sent), len(heard))
    spectrum = np.fft.rfft(heard.astype(np.float64), size) * np.conj(np.fft.rfft(sent.astype(np.float64), size))
    shift = int(np.argmax(np.fft.irfft(spectrum, size)))
    return 1000 * (shift if shift < size // 2 else shift - size) / rate_hz


def _rounded(wave: Wave) -> Samples:
    return np.asarray(np.rint(wave), np.int16)


def _times(rate_hz: int, seconds: float) -> Wave:
    return np.asarray(np.arange(int(rate_hz * seconds)) / rate_hz, np.float64)


def _db(signal: float, noise: float) -> float:
    """At most 120: 16 bits hold no more than that."""
    return 10 * float(np.log10(max(signal, 1e-12) / max(noise, signal * 1e-12, 1e-12)))
