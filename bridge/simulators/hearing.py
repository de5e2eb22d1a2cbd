"""The platform's ear, and the clock that checks whether the caller's audio comes in real time. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bridge.simulators.audio import Format

BLOCK_MS = 10
ONSET_MS = 30
"Sound shorter than this is a click."
SPEECH_RMS = 330.0
"-40 dB of full scale: far above the noise of G.711, below any speech a caller would send."

WARN_AFTER_MS = 500
DROP_AFTER_MS = 2000
"Neither figure is documented; the API only says that an excess is warned of first and dropped in the end."


class Ear:
    """Is the caller talking? Fed with audio, asked after each block of 10 ms.

    sound     ...-------.---------........................
    talk_ms   000  30.. grows through short pauses         0
    quiet_ms  000  000  100       10 20 30 .. endpoint     0
    """

    def __init__(self, form: Format) -> None:
        self._format = form
        self._block_bytes = form.rate_hz * BLOCK_MS // 1000 * form.bytes_per_sample
        self._rest = b""
        self._onset_ms = 0
        self.talk_ms = 0
        "From the onset to the last block with sound in it; 0 while nobody talks."
        self.quiet_ms = 0
        "Since that last block."

    def blocks(self, data: bytes) -> Iterator[None]:
        """Takes frames of any size, the empty one included; yields after each block that they complete."""
        data = self._rest + data
        whole = len(data) // self._block_bytes * self._block_bytes
        self._rest = data[whole:]
        if not whole:
            return
        samples = self._format.decode(data[:whole]).astype(np.float64)
        levels = np.sqrt(np.mean(samples.reshape(whole // self._block_bytes, -1) ** 2, axis=1))
        for level in levels.tolist():
            self._step(level >= SPEECH_RMS)
            yield

    def forget(self) -> None:
        """The turn is over: the next sound begins a new one."""
        self._onset_ms = self.talk_ms = self.quiet_ms = 0

    def _step(self, sound: bool) -> None:
        if self.talk_ms:
            if sound:
                self.talk_ms += self.quiet_ms + BLOCK_MS
                self.quiet_ms = 0
            else:
                self.quiet_ms += BLOCK_MS
            return
        self._onset_ms = self._onset_ms + BLOCK_MS if sound else 0
        if self._onset_ms >= ONSET_MS:
            self.talk_ms = self._onset_ms


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the clock has to say about a frame, and whether it lets it in."""

    warning: str = ""
    dropped: bool = False


class InputClock:
    """One second of audio is expected each second. Warns once per excess or gap, and drops what is far too much."""

    def __init__(self) -> None:
        self._origin: float | None = None
        self._heard_ms = 0.0
        self._overflowed = False
        self.last_at: float | None = None

    def receive(self, duration_ms: float, now: float) -> Accepted:
        if self._origin is None:
            self._origin = now
        self.last_at = now
        ahead_ms = self._heard_ms + duration_ms - (now - self._origin) * 1000
        warning = self._warning(ahead_ms)
        if ahead_ms < -WARN_AFTER_MS:
            # What did not come in time is gone: the clock starts anew, a late burst would be an excess.
            self._origin, self._heard_ms = now, 0.0
        if ahead_ms > DROP_AFTER_MS:
            return Accepted(warning, dropped=True)
        self._heard_ms += duration_ms
        return Accepted(warning)

    def _warning(self, ahead_ms: float) -> str:
        if ahead_ms < -WARN_AFTER_MS:
            self._overflowed = False
            return "underflow"
        first, self._overflowed = not self._overflowed, ahead_ms > WARN_AFTER_MS
        return "overflow" if first and self._overflowed else ""
