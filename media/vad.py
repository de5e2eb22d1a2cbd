"""Energy-based speech detection: enough to say when somebody begins and stops to speak on a test call."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Change = Literal["started", "ended"]


class SpeechDetector:
    """Frames in, changes out. Speech is `start_ms` of frames above the threshold, its end `end_ms` below it."""

    def __init__(self, *, threshold: int = 500, start_ms: int = 60, end_ms: int = 300) -> None:
        self._threshold = threshold
        self._start_ms = start_ms
        self._end_ms = end_ms
        self._run_ms = 0.0
        self.speaking = False

    def hear(self, pcm: npt.NDArray[np.int16], duration_ms: float) -> Change | None:
        """The next frame: int16 samples lasting `duration_ms`."""
        loud = bool(len(pcm)) and float(np.abs(pcm.astype(np.int32)).mean()) > self._threshold
        if loud == self.speaking:
            self._run_ms = 0.0
            return None
        self._run_ms += duration_ms
        if self._run_ms < (self._end_ms if self.speaking else self._start_ms):
            return None
        self.speaking = not self.speaking
        self._run_ms = 0.0
        return "started" if self.speaking else "ended"
