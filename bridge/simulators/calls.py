"""What the platform remembers of its calls, whoever the vendor is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from bridge.simulators.audio import Format
from bridge.simulators.failures import NONE, Failures

MOST_NOTES = 1000
"Texts and warnings kept of one call."
MOST_CALLS = 20_000
"Ended calls are forgotten, oldest first, so that a benchmark of days does not fill the memory."


def wall_clock() -> str:
    """As both vendors write it: 2026-11-22T18:44:01.123456Z."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation, for whoever asks after the call."""

    role: str
    "`user` or `agent`"
    text: str


@dataclass
class SimulatedCall:
    """One call. Tests read it to see what the platform has heard and said."""

    id: str
    form: Format
    number: int
    "Running number at this simulator, beginning at 1."
    failures: Failures = NONE
    request: dict[str, Any] = field(default_factory=dict)
    created: str = field(default_factory=wall_clock)
    joined: str = ""
    ended: str = ""
    end_reason: str = ""
    "In the vendor's own words; empty while the call lives."
    received_bytes: int = 0
    sent_bytes: int = 0
    messages: list[Message] = field(default_factory=list)
    received_texts: list[str] = field(default_factory=list)
    "The client's last text frames as they came, at most `MOST_NOTES`."
    warnings: list[str] = field(default_factory=list)
    "What the platform had to complain of: `underflow`, `overflow`, nonsense."

    def __repr__(self) -> str:
        state = self.end_reason or ("joined" if self.joined else "waiting")
        return f"<SimulatedCall {self.number} {state} {self.form.encoding}/{self.form.rate_hz}>"

    @property
    def received_ms(self) -> float:
        return self.form.duration_ms(self.received_bytes)

    @property
    def sent_ms(self) -> float:
        return self.form.duration_ms(self.sent_bytes)

    def note_text(self, text: str) -> None:
        if len(self.received_texts) < MOST_NOTES:
            self.received_texts.append(text)

    def warn(self, warning: str) -> None:
        if len(self.warnings) < MOST_NOTES:
            self.warnings.append(warning)

    def end(self, reason: str) -> bool:
        """True the first time; what ends a call a second time does not change how it ended."""
        if self.ended:
            return False
        self.ended, self.end_reason = wall_clock(), reason
        return True


@dataclass(frozen=True, slots=True)
class Refusal:
    """The upgrade to a media socket is answered with an HTTP error."""

    status: int


class CallBook:
    """All calls by their id."""

    def __init__(self, on_forget: Callable[[str], object] = lambda _: None) -> None:
        self._calls: dict[str, SimulatedCall] = {}
        self.on_forget = on_forget
        self.created = 0

    def add(self, make: Callable[[int], SimulatedCall]) -> SimulatedCall:
        self.created += 1
        call = make(self.created)
        self._calls[call.id] = call
        if len(self._calls) > MOST_CALLS:
            oldest = next((old.id for old in self._calls.values() if old.ended), "")
            self.forget(oldest)
        return call

    def find(self, call_id: str) -> SimulatedCall | None:
        return self._calls.get(call_id)

    def to_join(self, call_id: str) -> SimulatedCall | Refusal:
        """The call whose media socket somebody wants to open: each may be joined once."""
        call = self.find(call_id)
        if call is None:
            return Refusal(404)
        if call.failures.socket == "refuse":
            return Refusal(call.failures.upgrade_status)
        return Refusal(409) if call.joined or call.ended else call

    def forget(self, call_id: str) -> None:
        if self._calls.pop(call_id, None) is not None:
            self.on_forget(call_id)

    def __iter__(self) -> Iterator[SimulatedCall]:
        return iter(list(self._calls.values()))

    def __len__(self) -> int:
        return len(self._calls)


@dataclass(frozen=True, slots=True)
class Close:
    """The platform closes the socket."""

    code: int | None = 1000
    "None: a close frame without a code, which the other side reads as 1005."


Out = bytes | str | Close
"What a session wants on the socket: audio, text, or its end."


class Session(Protocol):
    """One media socket of one vendor. Pure: no socket, no clock."""

    echoes: bool
    "Binary frames go straight back, and `on_binary` is not called."
    audio_is_text: bool
    "Audio travels inside text frames: the session itself counts it, and notes the other texts."

    def on_open(self, now: float) -> list[Out]: ...

    def on_binary(self, data: bytes, now: float) -> list[Out]: ...

    def on_text(self, text: str, now: float) -> list[Out]: ...

    def on_timer(self, now: float) -> list[Out]: ...

    def next_deadline(self) -> float | None: ...

    def on_close(self, code: int) -> None:
        """The client has closed (1000, 1001, 1005) or is lost (1006)."""


@dataclass(frozen=True, slots=True)
class Knock:
    """A client asks for a media socket."""

    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    "By their names in lower case."


Opened = tuple[SimulatedCall, Session] | Refusal
