"""What a call session is told and what it asks for: the vocabulary between the pure machines and the desk.

Told: everything in `sip.messages` and `media.wire` that names the call, and the inputs below. Asked: the commands
below, performed by `bridge.calls.desk` in the order given.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.calls.trunks import TrunkOutcome
from bridge.errors import End
from bridge.records import CallRecord
from media import wire
from sip import messages as sip

# --- inputs ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlatformCreated:
    """A platform has made its call: the socket may be connected."""

    attempt: int
    spec: wire.FarSpec
    reference: str
    "The platform's own id of the call."


@dataclass(frozen=True, slots=True)
class PlatformRefused:
    attempt: int
    end: End


@dataclass(frozen=True, slots=True)
class TrunkTaken:
    """There is room on the trunk, and it is kept for this attempt."""

    attempt: int


@dataclass(frozen=True, slots=True)
class TrunkFull:
    attempt: int
    why: str


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The media worker that carried this call has died; the audio is gone with it."""

    why: str


@dataclass(frozen=True, slots=True)
class LineLost:
    """The sip process has died. The caller hears no difference: audio does not pass through it."""

    why: str


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The bridge is stopping."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Somebody wants this call to end: an operator, over HTTP or on the keyboard."""


@dataclass(frozen=True, slots=True)
class RingTimeout:
    """Inbound: nobody was ready in the time that a caller is let ring. Outbound: nobody has answered."""


@dataclass(frozen=True, slots=True)
class SetupTimeout:
    """The trunk of this attempt should have said by now that it rings."""

    attempt: int


@dataclass(frozen=True, slots=True)
class CloseTimeout:
    """The worker has not given its report: the record is written without."""


@dataclass(frozen=True, slots=True)
class TimeUp:
    """A call that we placed has lasted as long as it may."""


Timer = RingTimeout | SetupTimeout | CloseTimeout | TimeUp
Input = (
    PlatformCreated
    | PlatformRefused
    | TrunkTaken
    | TrunkFull
    | WorkerLost
    | LineLost
    | Shutdown
    | HangUp
    | Timer
    | sip.Event
    | wire.Event
)


# --- commands -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToSip:
    message: sip.Command


@dataclass(frozen=True, slots=True)
class ToWorker:
    """`OpenCall` makes the desk choose a worker; all that follows goes to the same one."""

    message: wire.Command


@dataclass(frozen=True, slots=True)
class CreatePlatform:
    """Ask `platform` to take the call. Answered by PlatformCreated or PlatformRefused with the same `attempt`."""

    attempt: int
    platform: str


@dataclass(frozen=True, slots=True)
class AbandonPlatform:
    """A platform's call was created and nobody will ever open its socket: the caller has gone in the meantime.

    No vendor here ends a call by request; each drops it within its join time-out. Noted, so that a bill can
    be explained.
    """

    platform: str
    reference: str


@dataclass(frozen=True, slots=True)
class TakeTrunk:
    """Keep room on `trunk` for the dialog `leg`, until that one is over. Answered by TrunkTaken or TrunkFull."""

    attempt: int
    trunk: str
    leg: str


@dataclass(frozen=True, slots=True)
class TellTrunks:
    """How an attempt fared, for those who rank the trunks."""

    outcome: TrunkOutcome


@dataclass(frozen=True, slots=True)
class Arm:
    """Feed `timer` back after `after_ms`. Timers of an ended call are dropped by the desk."""

    timer: Timer
    after_ms: int


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """The last command of every call."""

    record: CallRecord


Command = ToSip | ToWorker | CreatePlatform | AbandonPlatform | TakeTrunk | TellTrunks | Arm | WriteRecord
