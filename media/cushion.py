"""How many frames of a platform in real time may stand at a tick, the one that it takes among them.

One, and the jitter of the platform's way to us, as far as it is rarer than what the tick's phase follows (media.clock).
It is measured by its damage: audio that came late (the queue ran dry) and then all at once (it stands) is a peak. Each
is drained like any stall; when there are `PEAKS_TO_LEARN` within `PEAKS_WITHIN_S`, so much is kept as all of them had,
and the next ones are not heard. What no dip has used for `MEMORY_MS` is given up. Pure.
"""

from __future__ import annotations

from collections import deque

JITTER_MS = 120
"Peaks up to this are worth a standing delay of their length; what is longer is a stall, and costs its pause alone."
PEAKS_WITHIN_S = 10.0
PEAKS_TO_LEARN = 4
"Fewer are accidents: each costs a pause of its own length, a frame that stands costs its delay all the time."
MEMORY_MS = 10_000
DIP_MS = 500
"The low points of the queue are compared, one for each of these."
NEVER_SO_DEEP = 1 << 30


class Cushion:
    __slots__ = ("_crest", "_dip", "_low", "_peaks", "_ptime_ms", "_ticks", "frames")

    def __init__(self, ptime_ms: int) -> None:
        self.frames = 1
        self._ptime_ms = ptime_ms
        self._peaks: deque[tuple[float, int]] = deque(maxlen=PEAKS_TO_LEARN)
        "The last peaks of jitter: when, and how many frames."
        self._ticks, self._low = 0, NEVER_SO_DEEP
        self._dip, self._crest = NEVER_SO_DEEP, 0
        "The lowest and the highest of the queue's low points."

    def learn(self, standing: int, dry_s: float, now: float) -> int:
        """So many frames stand above it. If they came late (the queue was dry so long) and others lately, they stay."""
        dry = round(dry_s * 1000 / self._ptime_ms)
        peak = self.frames - 1 + min(dry, standing)
        if dry and peak * self._ptime_ms <= JITTER_MS:
            self._peaks.append((now, peak))
            if len(self._peaks) == PEAKS_TO_LEARN and now - self._peaks[0][0] <= PEAKS_WITHIN_S:
                self.frames = max(self.frames, 1 + min(peak for _, peak in self._peaks))
                self._forget()
        return self.frames

    def remember(self, depth: int) -> int:
        """Asked every tick while frames stand by intent: has any dip needed them?"""
        self._low = min(self._low, depth)
        self._ticks += 1
        at_ms = self._ticks * self._ptime_ms
        if at_ms % DIP_MS < self._ptime_ms:
            self._dip, self._crest = min(self._dip, self._low), max(self._crest, self._low)
            self._low = NEVER_SO_DEEP
        if at_ms >= MEMORY_MS:
            self.frames = min(self.frames, 1 + self._crest - self._dip)
            self._forget()
        return self.frames

    def _forget(self) -> None:
        self._ticks, self._low = 0, NEVER_SO_DEEP
        self._dip, self._crest = NEVER_SO_DEEP, 0
