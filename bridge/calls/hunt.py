"""Finds one platform that takes the call, in the route's order, inside the ringing time.

    IDLE -> CREATING -> CREATED -> CONNECTING -> READY
               |           |           |
               +-----------+-----------+--> CREATING the next one, or FAILED

CREATED waits for the RTP port: creating the platform's call (HTTPS) and opening the port go on in parallel, and the
worker connects the socket when both are there. On calls that we place it waits for the callee's answer instead, so that
no greeting is spoken to a ringing tone. Pure: facts in, commands out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from bridge.calls.words import AbandonPlatform, Command, CreatePlatform, PlatformCreated, PlatformRefused, ToWorker
from bridge.errors import End, PlatformDown, PlatformError, PlatformSlow
from bridge.records import Attempt
from media import wire

TELLING = (503, 486, 480)
"""Which of several refusals the caller's trunk is told: the most hopeful. 503 makes it try another route, 486 says that
we are full, 480 only remains when no platform will ever take this call as we are set up."""

FAR_FAILURES: dict[str, type[PlatformError]] = {
    "refused": PlatformDown,
    "slow": PlatformSlow,
    "lost": PlatformDown,
    "nonsense": PlatformDown,
}


class Stage(Enum):
    IDLE = auto()
    CREATING = auto()
    CREATED = auto()
    CONNECTING = auto()
    READY = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Candidate:
    platform: str
    connect_timeout_ms: int = 5000
    spec: wire.FarSpec | None = None
    "Known beforehand: nothing has to be created. So with the tape of a test call."


class Hunt:
    def __init__(self, call: str, candidates: Sequence[Candidate]) -> None:
        self.call, self.candidates = call, tuple(candidates)
        self.stage = Stage.IDLE
        self.attempts: list[Attempt] = []
        self.failed: End | None = None
        "Set with stage FAILED: what the caller is to be told."
        self.reference = ""
        self._number = -1
        self._since = 0.0
        self._port_open = False
        self._spec: wire.FarSpec | None = None
        self._causes: list[End] = []

    @property
    def platform(self) -> str:
        """The one we are at; empty before the first and after the last."""
        return self.candidates[self._number].platform if 0 <= self._number < len(self.candidates) else ""

    def start(self, now: float) -> list[Command]:
        assert self.stage is Stage.IDLE
        return self._next(now)

    def on_port(self) -> list[Command]:
        """There is somebody to be connected to: the port is open, or the callee has answered."""
        self._port_open = True
        return self._connect() if self.stage is Stage.CREATED else []

    def on_created(self, created: PlatformCreated) -> list[Command]:
        if self.stage is not Stage.CREATING or created.attempt != self._number:
            # Whoever asked has gone meanwhile (CANCEL, ring timeout); the platform's call must not stay behind.
            return [AbandonPlatform(self.candidates[created.attempt].platform, created.reference)]
        self.stage, self._spec, self.reference = Stage.CREATED, created.spec, created.reference
        return self._connect() if self._port_open else []

    def on_refused(self, refused: PlatformRefused, now: float) -> list[Command]:
        if self.stage is not Stage.CREATING or refused.attempt != self._number:
            return []
        return self._refused(refused.end, now)

    def on_far_ready(self, now: float) -> None:
        if self.stage is Stage.CONNECTING:
            self.stage = Stage.READY
            self._note("ready", now)

    def on_far_failed(self, failed: wire.FarFailed, now: float) -> list[Command]:
        if self.stage is not Stage.CONNECTING:
            return []
        error = FAR_FAILURES[failed.cause](self.platform, f"media socket {failed.cause}: {failed.detail}")
        return self._refused(error.end(), now)

    def on_far_ended(self, ended: wire.FarEnded, now: float) -> list[Command]:
        """The platform hung up before it ever was ready."""
        if self.stage is not Stage.CONNECTING:
            return []
        return self._refused(PlatformDown(self.platform, f"hung up before it was ready: {ended.reason}").end(), now)

    def on_lost(self, end: End, now: float) -> list[Command]:
        """It was ready and has gone before anybody heard it: the next one may still be in time."""
        return self._refused(end, now) if self.stage is Stage.READY else []

    def give_up(self, end: End, now: float) -> list[Command]:
        """The call ends before a platform was ready. A connected socket is closed with the call by the worker."""
        if self.stage in (Stage.READY, Stage.FAILED, Stage.IDLE):
            return []
        created = self.stage is Stage.CREATED
        self._note(end.reason, now, end.detail)
        self.stage, self.failed = Stage.FAILED, end
        return [AbandonPlatform(self.platform, self.reference)] if created and self.reference else []

    def _next(self, now: float) -> list[Command]:
        self._number += 1
        if self._number >= len(self.candidates):
            self.stage, self.failed = Stage.FAILED, most_telling(self._causes)
            return []
        self.stage, self._since = Stage.CREATING, now
        if (spec := self.candidates[self._number].spec) is not None:
            return self.on_created(PlatformCreated(self._number, spec, ""))
        return [CreatePlatform(self._number, self.platform)]

    def _connect(self) -> list[Command]:
        assert self._spec is not None
        self.stage = Stage.CONNECTING
        timeout_ms = self.candidates[self._number].connect_timeout_ms
        return [ToWorker(wire.ConnectFar(call=self.call, far=self._spec, timeout_ms=timeout_ms))]

    def _refused(self, end: End, now: float) -> list[Command]:
        self._note(end.reason, now, end.detail)
        self._causes.append(end)
        if end.try_next:
            return self._next(now)
        self.stage, self.failed = Stage.FAILED, end
        return []

    def _note(self, outcome: str, now: float, detail: str = "") -> None:
        took_ms = round((now - self._since) * 1000, 3)
        self.attempts.append(Attempt(platform=self.platform, outcome=outcome, took_ms=took_ms, detail=detail))


def most_telling(causes: Sequence[End]) -> End:
    """The cause the caller is told when no platform took the call; of equal ones the last."""
    known = [(TELLING.index(end.sip_status), end) for end in reversed(causes) if end.sip_status in TELLING]
    return min(known, key=lambda pair: pair[0])[1] if known else causes[-1]
