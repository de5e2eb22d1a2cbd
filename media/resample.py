"""A streaming resampler with little delay: polyphase FIR, state kept between frames.

Streaming soxr holds back 22-86 ms, per-frame resampling without state is audible, interpolation without a filter
aliases. A windowed-sinc FIR of 48 taps at the lower rate delays by 3 ms at 8 kHz, and keeps images and aliases 60 dB
down outside the transition band (about 3.4 to 4.6 kHz towards 8 kHz).
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float32]

TAPS_PER_PHASE = 48
KAISER_BETA = 6.0
"About 63 dB of stop band (Kaiser 1974)."
BLOCK_SAMPLES = 8192
"So much at a time, however long the audio is: what is needed beside it stays within the cache."
FEW_PHASES = 8
"""Every so many outputs the filter's phase comes round, and those of one phase are one strided product over the samples
as they lie: 0.9 ms for a second from 48 to 8 kHz. With more phases than this (44.1 kHz) there are too few of each in a
frame, and windows and taps are gathered: 2.7 ms."""


@lru_cache(maxsize=16)
def _prototype(up: int, down: int) -> Floats:
    """The low-pass at `up` times the input rate; cut at the lower of the two Nyquist frequencies."""
    widest = max(up, down)
    length = TAPS_PER_PHASE * widest
    # A little below Nyquist, so that the transition band is centred on it from inside.
    cutoff = 0.95 / widest
    n = np.arange(length) - (length - 1) / 2
    taps = np.sinc(cutoff * n) * cutoff * np.kaiser(length, KAISER_BETA)
    return np.asarray(taps * up / taps.sum(), np.float32)


class Resampler:
    """One direction of one call. `push` takes any number of int16 samples and returns what is ready."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if from_hz <= 0 or to_hz <= 0:
            raise ValueError(f"cannot resample {from_hz} Hz to {to_hz} Hz")
        common = gcd(from_hz, to_hz)
        self._up, self._down = to_hz // common, from_hz // common
        taps = _prototype(self._up, self._down)
        self._length = -(-len(taps) // self._up)
        padded = np.zeros(self._length * self._up, np.float32)
        padded[: len(taps)] = taps
        # Row p holds the taps that meet input samples when the output falls on phase p; newest sample last.
        self._phases = np.ascontiguousarray(padded.reshape(self._length, self._up).T[:, ::-1])
        self.delay_ms = 1000 * (len(taps) - 1) / 2 / self._up / from_hz
        self.reset()

    def reset(self) -> None:
        """Forget the past: what is pushed next follows silence."""
        self._history = np.zeros(self._length - 1, np.float32)
        self._phase = 0
        "Position of the next output, in 1/up of an input sample, relative to the next new input sample."

    def push(self, pcm: Samples) -> Samples:
        """Resample the next samples (int16, any length, mono)."""
        parts = [self._push(pcm[at : at + BLOCK_SAMPLES]) for at in range(0, len(pcm), BLOCK_SAMPLES)]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def _push(self, pcm: Samples) -> Samples:
        up, down, length = self._up, self._down, self._length
        line = np.concatenate((self._history, pcm), dtype=np.float32)
        span = len(pcm) * up
        count = max(0, -((self._phase - span) // down))
        windows = np.lib.stride_tricks.as_strided(line, (len(pcm), length), (4, 4), writeable=False)
        mixed = np.empty(count, np.float32)
        if up <= FEW_PHASES:
            for first in range(min(up, count)):
                newest, phase = divmod(self._phase + first * down, up)
                out = mixed[first::up]
                np.einsum("ij,j->i", windows[newest::down][: len(out)], self._phases[phase], out=out)
        else:
            positions = np.arange(self._phase, span, down)
            np.einsum("ij,ij->i", windows[positions // up], self._phases[positions % up], out=mixed)
        self._phase += count * down - span
        self._history = line[len(line) - length + 1 :].copy()
        np.rint(mixed, out=mixed)
        np.clip(mixed, -32768, 32767, out=mixed)
        return mixed.astype(np.int16)
