"""A far end without a platform: plays a script towards the line and listens. Test calls and the demo's caller use it.

[{"wait_for": "speech"}, {"wait_for": "silence", "for_ms": 700}, {"play": "question.wav"}, {"digits": "1"},
 {"wait_ms": 500}, {"hangup": true}]
"""

from __future__ import annotations

import time
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from media.dtmf import DIGITS
from media.far import FarEar, FarFailure, Heard, PlatformHungUp, PressKeys, Ready
from media.resample import Resampler
from media.vad import SpeechDetector
from media.wire import FarSpec

DEFAULT_TIMEOUT_MS = 10_000


class ScriptError(ValueError):
    """A step that cannot be played. The text names its number and what is wrong."""


@dataclass(frozen=True, slots=True)
class Play:
    name: str
    pcm: bytes
    duration_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    for_s: float


@dataclass(frozen=True, slots=True)
class WaitFor:
    speech: bool
    lasting_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Digits:
    digits: str


@dataclass(frozen=True, slots=True)
class Hangup:
    pass


Step = Play | Wait | WaitFor | Digits | Hangup


def read_wav(path: Path, rate_hz: int) -> bytes:
    """A WAV file as mono s16le at `rate_hz`. Raises ScriptError for what is not 16-bit PCM."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise ScriptError(f"{path}: {8 * file.getsampwidth()}-bit samples; 16-bit PCM is needed")
            channels, own_rate_hz = file.getnchannels(), file.getframerate()
            frames = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise ScriptError(f"{path}: {error}") from error
    whole = len(frames) - len(frames) % (2 * channels)  # a file cut off in the middle of a frame
    mono = np.frombuffer(frames[:whole], np.int16).reshape(-1, channels)[:, 0]
    return (mono if own_rate_hz == rate_hz else Resampler(own_rate_hz, rate_hz).push(mono)).tobytes()


def parse_script(raw: list[dict[str, Any]], rate_hz: int) -> list[Step]:
    """Check and load every step before the call begins. Raises ScriptError."""
    return [_parse_step(number, step, rate_hz) for number, step in enumerate(raw, 1)]


def _parse_step(number: int, raw: dict[str, Any], rate_hz: int) -> Step:
    try:
        match raw:
            case {"play": str(name)}:
                pcm = read_wav(Path(name), rate_hz)
                return Play(Path(name).stem, pcm, len(pcm) / 2 / rate_hz)
            case {"wait_ms": int(ms)}:
                return Wait(ms / 1000)
            case {"wait_for": ("speech" | "silence") as what}:
                return WaitFor(
                    what == "speech", _seconds(raw, "for_ms", 0), _seconds(raw, "timeout_ms", DEFAULT_TIMEOUT_MS)
                )
            case {"digits": str(digits)}:
                return Digits(_keys(digits))
            case {"hangup": True}:
                return Hangup()
    except ScriptError as error:
        raise ScriptError(f"step {number}: {error}") from error
    raise ScriptError(f"step {number}: {raw!r} is none of play, wait_ms, wait_for, digits, hangup")


def _seconds(raw: dict[str, Any], key: str, default_ms: int) -> float:
    value = raw.get(key, default_ms)
    if not isinstance(value, int | float):
        raise ScriptError(f"{key} is {value!r}, not a number")
    return value / 1000


def _keys(digits: str) -> str:
    """Checked here, because a digit that no telephone has would fail only in mid-call."""
    for digit in digits:
        if digit not in DIGITS:
            raise ScriptError(f"{digit!r} is no DTMF digit")
    return digits


class Script:
    """Where we are in the script. Pure: `step` is asked every tick and says what is to be done now."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps
        self._at = 0
        self._began: float | None = None

    def step(self, now: float, speaking: bool, since: float) -> list[Step]:
        """Steps that begin now. `speaking` since `since` is what is heard from the other side."""
        begun: list[Step] = []
        while self._at < len(self._steps):
            current = self._steps[self._at]
            if self._began is None:
                self._began = now
                if isinstance(current, Play | Digits | Hangup):
                    begun.append(current)
            if not self._over(current, now - self._began, speaking, now - since):
                break
            self._at, self._began = self._at + 1, None
        return begun

    @staticmethod
    def _over(step: Step, elapsed: float, speaking: bool, lasted: float) -> bool:
        match step:
            case Play(duration_s=duration_s):
                return elapsed >= duration_s
            case Wait(for_s=for_s):
                return elapsed >= for_s
            case WaitFor(speech=speech, lasting_s=lasting_s, timeout_s=timeout_s):
                return (speaking == speech and lasted >= lasting_s) or elapsed >= timeout_s
            case _:
                return True


class Tape:
    """The far end that plays a script. Audio is s16le at the spec's rate."""

    def __init__(self, spec: FarSpec, ear: FarEar) -> None:
        self._spec = spec
        self._ear = ear
        self._script = Script([])
        self._detector = SpeechDetector()
        self._changed_at = 0.0
        self.backlog_dropped_ms = 0.0

    @property
    def direct(self) -> None:
        """A tape is no socket."""

    async def open(self, timeout_s: float) -> None:
        """Load the script. Raises FarFailure naming the bad step."""
        try:
            self._script = Script(parse_script(self._spec.options.get("script", []), self._spec.rate_hz))
        except ScriptError as error:
            raise FarFailure("nonsense", str(error)) from error
        self._changed_at = time.monotonic()
        self._ear.on_far_happening(Ready())

    def send_audio(self, data: bytes) -> None:
        pcm = np.frombuffer(data, np.int16)
        change = self._detector.hear(pcm, len(pcm) * 1000 / self._spec.rate_hz)
        if change is not None:
            self._changed_at = time.monotonic()
            self._ear.on_far_happening(Heard(f"speech-{change}"))

    def send_digit(self, digit: str) -> None:
        """A tape has nobody to tell; the call reports the digit itself."""

    def send_mark(self, name: str) -> None:
        """A tape puts no marks."""

    def tick(self, now: float) -> None:
        for step in self._script.step(now, self._detector.speaking, self._changed_at):
            match step:
                case Play(name=name, pcm=pcm):
                    self._ear.on_far_happening(Heard(f"play {name}"))
                    self._ear.on_far_audio(pcm)
                case Digits(digits=digits):
                    self._ear.on_far_happening(PressKeys(digits))
                case Hangup():
                    self._ear.on_far_happening(PlatformHungUp("script ended"))

    def close(self) -> None:
        self._script = Script([])
