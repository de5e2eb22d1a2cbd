"""Two calls of one worker, each the other's far end: the bridge stays in the path between two telephones.

    one --RTP--> Call --> Half . Half --> Call --RTP--> other        and back again

What each side speaks (codec, packet time, keys) is its own affair: audio crosses as samples, at the lower rate of the
two, or as mu-law where both speak that. Digits cross as digits. Whoever goes first ends the other.
"""

from __future__ import annotations

from typing import Protocol

from media.codecs import Codec
from media.far import FarEar, FarEnd, Flush, OpenFar, PlatformHungUp, PressKeys, Ready
from media.wire import FarSpec

DIALECT = "pair"
"Of a FarSpec whose `options` name the other call: `{'with': call}`."
GONE = "the other party has gone"


class Half:
    """One call's far end: what it is sent, the other call hears."""

    def __init__(self, ear: FarEar) -> None:
        self._ear: FarEar | None = ear
        self._other: Half | None = None
        self.backlog_dropped_ms = 0.0

    @property
    def direct(self) -> None:
        """The other call has a queue of its own, which has to be asked."""

    def join(self, other: Half) -> None:
        self._other, other._other = other, self

    async def open(self, timeout_s: float) -> None:
        """Ready at once. What the far end before has queued would stand between the two: it is not played."""
        if self._ear is not None:
            self._ear.on_far_happening(Flush())
            self._ear.on_far_happening(Ready())

    def send_audio(self, data: bytes) -> None:
        if self._other is not None and self._other._ear is not None:
            self._other._ear.on_far_audio(data)

    def send_digit(self, digit: str) -> None:
        if self._other is not None and self._other._ear is not None:
            self._other._ear.on_far_happening(PressKeys(digit))

    def send_mark(self, name: str) -> None:
        """A telephone puts no marks."""

    def tick(self, now: float) -> None:
        """Audio crosses when it comes; the other call has a clock of its own."""

    def close(self) -> None:
        """Nothing is left between the two, in either direction."""
        other, self._other, self._ear = self._other, None, None
        if other is not None:
            other._other = None
            if other._ear is not None:
                other._ear.on_far_happening(PlatformHungUp(GONE))


class Side(Protocol):
    """What is needed of a call."""

    @property
    def codec(self) -> Codec: ...

    async def attach(self, spec: FarSpec, open_far: OpenFar, timeout_s: float) -> None: ...


async def join(one: Side, other: Side, timeout_s: float) -> None:
    """Both hear each other from here on; what was their far end before has gone.

    Raises FarFailure or ValueError as `attach` does.
    """
    halves: list[Half] = []

    def half(spec: FarSpec, ear: FarEar) -> FarEnd:
        halves.append(Half(ear))
        return halves[-1]

    spec = between(one.codec, other.codec)
    await one.attach(spec, half, timeout_s)
    await other.attach(spec, half, timeout_s)
    halves[0].join(halves[1])


def between(one: Codec, other: Codec) -> FarSpec:
    """The form in which audio crosses: nothing is resampled twice, and what both speak is not touched."""
    if one.name == other.name == "PCMU":
        return FarSpec(platform="", dialect=DIALECT, encoding="mulaw", rate_hz=8000)
    return FarSpec(platform="", dialect=DIALECT, rate_hz=min(one.line_rate_hz, other.line_rate_hz))
