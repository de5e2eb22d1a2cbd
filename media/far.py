"""The far end of a call: the seam between the worker and a voice platform's socket.

A platform is a *dialect*: a pure class without socket and clock that turns what arrives into events and what we want to
say into frames. The worker owns the WebSocket and never knows which platform it speaks to. Audio itself does not pass
through the dialect on platforms whose binary frames are raw samples (`raw_audio`): that is the hot path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from media.wire import FarSpec

FarCause = Literal["refused", "slow", "lost", "nonsense"]
Frame = bytes | str
"What goes onto or comes off the socket: a binary or a text frame."


@dataclass(frozen=True, slots=True)
class Ready:
    """The platform is listening: the caller may be answered."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Agent's voice in the spec's encoding and rate (only from dialects without `raw_audio`)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Flush:
    """Barge-in: drop all agent audio that is not yet on the wire. May come when nothing is queued."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The platform wants this name back when the audio before it has been sent to the caller, or will never be."""

    name: str


@dataclass(frozen=True, slots=True)
class Transcript:
    who: str
    "`caller` or `agent`"
    text: str
    final: bool
    whole: bool = True
    "False: `text` is to be appended to what came before."


@dataclass(frozen=True, slots=True)
class State:
    """What the agent is doing: `idle`, `listening`, `thinking`, `speaking`."""

    name: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    name: str
    call_id: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlatformHungUp:
    """The platform ends the call. What it has said so far is still to be played."""

    reason: str


@dataclass(frozen=True, slots=True)
class PressKeys:
    """The far end wants DTMF digits to be sent to the caller's side (RFC 4733)."""

    digits: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What the far end itself makes of the caller: `speech-started` or `speech-ended`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that the protocol does not allow, in a short sentence without the payload. Counted, never fatal."""

    detail: str


FarHappening = (
    Ready | Audio | Flush | Mark | Transcript | State | ToolCalled | PressKeys | Heard | PlatformHungUp | Trouble
)


class Dialect(Protocol):
    """What makes one voice platform different on its socket. One object per call; no socket, no clock."""

    raw_audio: bool
    "True: every binary frame, both ways, is nothing but samples; the worker then skips the dialect for them."
    ready_when_open: bool
    "True: this platform has no word for being ready, an open socket that stays open is it. False: the dialect says so."

    def on_open(self) -> list[Frame]:
        """The socket is up: what we say first."""

    def on_text(self, text: str) -> list[FarHappening]:
        """A text frame has come. Never raises: nonsense is `Trouble`."""

    def on_binary(self, data: bytes) -> list[FarHappening]:
        """A binary frame has come (not called when `raw_audio`)."""

    def audio(self, data: bytes, at_ms: int) -> list[Frame]:
        """Caller's audio in frames, `at_ms` since the socket opened in time of sound (not called when `raw_audio`).

        Asked when the frames are sent. Audio that had to be dropped leaves a gap before `at_ms`.
        """

    def on_digit(self, digit: str) -> list[Frame]:
        """The caller pressed a key."""

    def on_mark(self, name: str) -> list[Frame]:
        """All audio before this mark has left. Marks come in their order, each once."""

    def on_close(self, code: int, reason: str) -> PlatformHungUp | None:
        """The socket was closed by the platform: a hang-up of theirs, or None if it must count as lost."""

    def goodbye(self) -> list[Frame]:
        """The caller is gone: what we say before closing with 1000."""


class FarEar(Protocol):
    """Who listens to a far end: the call."""

    def on_far_audio(self, data: bytes) -> None: ...
    def on_far_happening(self, happening: FarHappening) -> None: ...
    def on_far_lost(self, reason: str) -> None: ...


class FarEnd(Protocol):
    """What a call holds as its far end: a platform's socket, or a tape."""

    backlog_dropped_ms: float

    @property
    def direct(self) -> Callable[[bytes], object] | None:
        """What takes audio in the platform's format as it is, now; None: all of it goes through `send_audio`."""

    async def open(self, timeout_s: float) -> None: ...
    def send_audio(self, data: bytes) -> None: ...
    def send_digit(self, digit: str) -> None: ...
    def send_mark(self, name: str) -> None: ...
    def tick(self, now: float) -> None: ...
    def close(self) -> None: ...


OpenFar = Callable[[FarSpec, FarEar], FarEnd]
"Builds the far end of a spec; it is not connected yet."


class FarFailure(Exception):
    """The far end did not come up. `cause` is one of FarFailed.cause; the text never holds the URL."""

    def __init__(self, cause: FarCause, detail: str, status: int = 0) -> None:
        super().__init__(detail)
        self.cause: FarCause = cause
        self.detail, self.status = detail, status


DialectTable = dict[str, Callable[[FarSpec], Dialect]]
"Handed to the worker by name (`media.worker --dialects bridge.platforms:DIALECTS`): media knows no platform."
