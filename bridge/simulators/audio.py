"""Sound as a platform keeps it: clips of 16-bit mono at their own rate, encoded once per wire format.

The mu-law of this file is deliberately its own (G.711, table 2a), so that a mistake in the bridge's codec cannot hide
behind the same mistake in the peer it is tested with.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Encoding = Literal["s16le", "mulaw"]

FRAME_MS = 20

SPEECH_DIR = Path(__file__).parent / "speech"


@dataclass(frozen=True, slots=True)
class Format:
    """What binary frames hold, the same both ways."""

    encoding: Encoding = "s16le"
    rate_hz: int = 8000

    @property
    def bytes_per_sample(self) -> int:
        return 1 if self.encoding == "mulaw" else 2

    @property
    def frame_bytes(self) -> int:
        return self.rate_hz * FRAME_MS // 1000 * self.bytes_per_sample

    def duration_ms(self, size_bytes: int) -> float:
        return size_bytes * 1000 / (self.rate_hz * self.bytes_per_sample)

    def encode(self, samples: Samples) -> bytes:
        if self.encoding == "mulaw":
            return _MULAW_CODES[samples.view(np.uint16)].tobytes()
        return samples.astype("<i2").tobytes()

    def decode(self, data: bytes) -> Samples:
        if self.encoding == "mulaw":
            return _MULAW_VALUES[np.frombuffer(data, np.uint8)]
        return np.frombuffer(data, "<i2", len(data) // 2).astype(np.int16)

    def silence(self, frames: int = 1) -> bytes:
        return self.silence_of(frames * self.frame_bytes)

    def silence_of(self, size_bytes: int) -> bytes:
        return (b"\xff" if self.encoding == "mulaw" else b"\x00") * size_bytes


@dataclass(frozen=True, eq=False)
class Utterance:
    """Something the agent can say: the sound, and the words that go with it."""

    samples: Samples
    rate_hz: int
    text: str = ""

    @property
    def duration_ms(self) -> float:
        return len(self.samples) * 1000 / self.rate_hz

    @lru_cache(maxsize=256)  # noqa: B019  utterances live as long as their simulator
    def encoded(self, form: Format) -> bytes:
        """In the wire's format, filled up with silence to whole frames."""
        data = form.encode(resample(self.samples, self.rate_hz, form.rate_hz))
        missing = -len(data) % form.frame_bytes
        return data + form.silence_of(missing)


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """A whole clip at another rate, band-limited, by way of its spectrum."""
    if from_hz == to_hz or not len(samples):
        return samples
    length = round(len(samples) * to_hz / from_hz)
    spectrum = np.fft.rfft(samples.astype(np.float64))
    kept = np.zeros(length // 2 + 1, np.complex128)
    bins = min(len(kept), len(spectrum))
    kept[:bins] = spectrum[:bins]
    sound = np.fft.irfft(kept, length) * (length / len(samples))
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def tone(hz: float, duration_ms: float, *, rate_hz: int = 8000, level: float = 0.25) -> Samples:
    """A sine with 5 ms of fade at both ends, so that it does not click."""
    count = round(rate_hz * duration_ms / 1000)
    fade = max(1, min(rate_hz // 200, count // 2))
    envelope = np.ones(count)
    envelope[:fade] = np.linspace(0, 1, fade, endpoint=False)[: len(envelope[:fade])]
    envelope[count - fade :] = envelope[:fade][::-1]
    wave_form = np.sin(2 * np.pi * hz * np.arange(count) / rate_hz)
    return np.rint(wave_form * envelope * level * 32767).astype(np.int16)


def tone_utterance(hz: float, duration_ms: float, text: str = "", *, rate_hz: int = 8000) -> Utterance:
    return Utterance(tone(hz, duration_ms, rate_hz=rate_hz), rate_hz, text)


def hum(text: str) -> Utterance:
    """Words we have no recording of: a syllable of 220 Hz for each, so that their number can be heard and measured."""
    syllable = np.concatenate([tone(220, 240), np.zeros(640, np.int16)])
    return Utterance(np.tile(syllable, len(text.split())), 8000, text)


def load_wav(path: Path) -> Utterance:
    """A mono 16-bit WAV; the transcript is read from the `.txt` beside it, if there is one."""
    with wave.open(str(path), "rb") as file:
        if file.getnchannels() != 1 or file.getsampwidth() != 2:
            raise ValueError(f"{path.name}: mono 16-bit PCM is needed")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
        rate_hz = file.getframerate()
    if not len(samples):
        raise ValueError(f"{path.name}: there is no sound in it")
    transcript = path.with_suffix(".txt")
    text = transcript.read_text(encoding="utf-8").strip() if transcript.exists() else ""
    return Utterance(samples, rate_hz, text)


def _mulaw_values() -> Samples:
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code >> 4) & 0x07)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _mulaw_codes(values: Samples) -> NDArray[np.uint8]:
    """For each 16-bit sample, seen as unsigned, the code whose value is nearest. 0 becomes 0xFF, never 0x7F."""
    codes = np.setdiff1d(np.arange(256), [0x7F])
    codes = codes[np.argsort(values[codes])]
    ladder = values[codes].astype(np.int32)
    borders = (ladder[:-1] + ladder[1:]) / 2
    samples = np.arange(65536, dtype=np.uint16).view(np.int16)
    return codes[np.searchsorted(borders, samples)].astype(np.uint8)


_MULAW_VALUES = _mulaw_values()
_MULAW_CODES = _mulaw_codes(_MULAW_VALUES)
