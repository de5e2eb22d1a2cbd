"""What a call session is told and what it asks for: the vocabulary between the pure machines and the desk.

Told: everything in `sip.messages` and `media.wire` that names the call, and the inputs below. Asked: the commands
below, performed by `bridge.calls.desk` in the order given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bridge.calls.trunks import TrunkOutcome, Way
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
class TrunkDown:
    """This trunk has just been found dead; whose is it to say that is `bridge.trunks`."""

    trunk: str
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


TransferMode = Literal["blind", "attended", "bridge"]
"""blind: the peer is asked to call the target. attended: we call it first, and ask the peer to take that call over.
bridge: we call it and stay in between, which is also what is done when the peer will not."""


@dataclass(frozen=True, slots=True)
class TransferWanted:
    """Somebody wants the other side of this call to talk to `to` (E.164 or a SIP URI)."""

    to: str
    mode: TransferMode


@dataclass(frozen=True, slots=True)
class WaysFound:
    """The answer to FindWays. Best first; none: nothing leads there."""

    number: int
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class LegAnswered:
    """The call that was placed beside this one is answered; `leg` is its dialog."""

    leg: str


@dataclass(frozen=True, slots=True)
class LegJoined:
    """It and this call hear each other."""


@dataclass(frozen=True, slots=True)
class LegFailed:
    """It is over, and was never joined."""

    end: End


@dataclass(frozen=True, slots=True)
class Join:
    """To the call beside: now hear each other."""


@dataclass(frozen=True, slots=True)
class TransferTimeout:
    """The peer should have said by now what has become of its transfer. Only the last one armed counts."""

    number: int


@dataclass(frozen=True, slots=True)
class ByeTimeout:
    """Who was replaced should have hung up by now."""

    leg: str


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


Timer = RingTimeout | SetupTimeout | CloseTimeout | TimeUp | TransferTimeout | ByeTimeout
Beside = LegAnswered | LegJoined | LegFailed | Join
"What two calls that are to be joined tell each other."
Input = (
    PlatformCreated
    | PlatformRefused
    | TrunkTaken
    | TrunkFull
    | TrunkDown
    | WorkerLost
    | LineLost
    | Shutdown
    | HangUp
    | TransferWanted
    | WaysFound
    | Beside
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
class FindWays:
    """Which ways lead to `to`, those over `trunk` before all others? Answered by WaysFound with the same number."""

    number: int
    to: str
    trunk: str


@dataclass(frozen=True, slots=True)
class PlaceBeside:
    """Place a call of its own, by the name of `call`, at the same worker: the two are to be joined."""

    call: str
    to: str
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class TellCall:
    """For another call; one that is over hears nothing."""

    call: str
    received: Beside | HangUp


@dataclass(frozen=True, slots=True)
class Arm:
    """Feed `timer` back after `after_ms`. Timers of an ended call are dropped by the desk."""

    timer: Timer
    after_ms: int


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """The last command of every call."""

    record: CallRecord


Command = (
    ToSip
    | ToWorker
    | CreatePlatform
    | AbandonPlatform
    | TakeTrunk
    | TellTrunks
    | FindWays
    | PlaceBeside
    | TellCall
    | Arm
    | WriteRecord
)
