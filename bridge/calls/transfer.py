"""A call is transferred: two small machines, one for each side that may ask. Pure.

Our peer asks (REFER, RFC 3515): `Move`. A new dialog takes the place of the old one, the call and its agent stay.

    FINDING -> DIALLING -> ANSWERED        NOTIFY 200; the referrer hangs up, or we do
       |          |
       +----------+-----> FAILED           NOTIFY 4xx-6xx; the old dialog goes on

We ask (an agent's tool, or HTTP): `HandOver`. What the peer will not do the bridge does itself, and stays in the path.

    blind      FINDING -> REFERRING -> DONE                               the peer has called the target: our leg ends
                              | refused, failed, silent
                              v
    bridge     FINDING -> DIALLING -> JOINING -> JOINED              a call beside this one, joined at the worker
    attended   FINDING -> DIALLING -> REFERRING (in place of the call beside) -> DONE
                                          | refused, failed, silent
                                          +--> JOINING -> JOINED
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum, auto
from typing import Any, ClassVar

from bridge.calls.near import NearSide, NotAcceptable
from bridge.calls.trunkhunt import TrunkHunt
from bridge.calls.trunks import Way
from bridge.calls.words import (
    Arm,
    Command,
    FindWays,
    HangUp,
    Input,
    Join,
    LegAnswered,
    LegFailed,
    LegJoined,
    PlaceBeside,
    RingTimeout,
    SetupTimeout,
    TellCall,
    ToSip,
    TransferTimeout,
    TransferWanted,
    TrunkFull,
    TrunkTaken,
    WaysFound,
)
from sip import messages as sip

ANSWER_MS = 10_000
"How long the peer may take to say whether it will transfer at all."
PROGRESS_MS = 90_000
"And then, until it says what has become of it. Longer than any telephone rings."
SAID_BY_THE_TARGET = (486, 600, 603)
"In a NOTIFY these are the words of the one who was called: calling once more would not change them."


class Stage(Enum):
    FINDING = auto()
    DIALLING = auto()
    ANSWERED = auto()
    REFERRING = auto()
    JOINING = auto()
    JOINED = auto()
    DONE = auto()
    FAILED = auto()


Handler = Callable[[Any, Any], None]
Table = Mapping[Stage, Mapping[type, Handler]]


class _Machine:
    TABLE: ClassVar[Table] = {}

    def __init__(self) -> None:
        self.stage = Stage.FINDING
        self.status, self.reason = 0, ""
        "What has become of it, as SIP says it."
        self._now = 0.0
        self._out: list[Command] = []

    def feed(self, received: Input, now: float) -> list[Command]:
        """What is not in the table is nothing to this machine."""
        self._now, self._out = now, []
        handler = self.TABLE[self.stage].get(type(received))
        if handler is not None:
            handler(self, received)
        return self._out

    def _fail(self, status: int, reason: str) -> None:
        self.stage, self.status, self.reason = Stage.FAILED, status, reason


class Move(_Machine):
    """The peer wants this call to go on with somebody else."""

    def __init__(
        self, call: str, number: int, referred: sip.Referred, trunk: str, near: NearSide, timeouts: Mapping[str, int]
    ) -> None:
        """`near` is what is agreed on with the peer now; `timeouts` are those of TrunkHunt."""
        super().__init__()
        self.referred, self.number, self.trunk = referred, number, trunk
        self.referrer_gone = False
        "It has hung up without waiting for the outcome, as many telephones do."
        self.near = near
        self._timeouts = timeouts
        self.hunt = TrunkHunt(f"{call}.t{number}", ())

    @property
    def leg(self) -> str:
        return self.hunt.leg

    def start(self) -> list[Command]:
        leg = self.referred.call
        return [
            ToSip(sip.AnswerRefer(call=leg)),
            ToSip(sip.NotifyRefer(call=leg, status=100)),
            FindWays(self.number, self.referred.to_uri, self.trunk),
        ]

    def give_up(self) -> list[Command]:
        """The call itself is over."""
        return [ToSip(sip.Hangup(call=self.leg))] if self.stage is Stage.DIALLING and self.hunt.is_dialled else []

    def notify(self, status: int, reason: str = "") -> Command:
        return ToSip(sip.NotifyRefer(call=self.referred.call, status=status, reason=reason))

    def on_ways(self, found: WaysFound) -> None:
        if found.number != self.number:
            return
        self.stage = Stage.DIALLING
        ways = [replace(way, headers=way.headers + self._headers) for way in found.ways]
        self.hunt = TrunkHunt(self.hunt.call, ways, **self._timeouts)
        self._go_on(self.hunt.start(self._now))

    def on_taken(self, taken: TrunkTaken) -> None:
        if not self.hunt.is_taken(taken.attempt):
            return
        way = self.hunt.way
        self.near = self.near.another(way.codecs, way.public_host, way.srtp)
        self._out += self.hunt.dial(self.near.offer(), self._now)

    def on_full(self, full: TrunkFull) -> None:
        self._go_on(self.hunt.on_full(full, self._now))

    def on_ringing(self, ringing: sip.Ringing) -> None:
        self._out += [*self.hunt.on_ringing(self._now), self.notify(ringing.status)]

    def on_answered(self, answered: sip.Answered) -> None:
        self._out += self.hunt.on_answered(self._now)
        try:
            self.near.take_answer(answered.sdp)
        except NotAcceptable as error:
            self._out.append(ToSip(sip.Hangup(call=self.leg)))
            self._fail(error.status, error.reason)
            return
        self.stage, self.status = Stage.ANSWERED, 200

    def on_ended(self, ended: sip.Ended) -> None:
        self._go_on(self.hunt.on_ended(ended, self._now))

    def on_setup_timeout(self, timeout: SetupTimeout) -> None:
        self._go_on(self.hunt.on_setup_timeout(timeout, self._now))

    def on_ring_timeout(self, timeout: RingTimeout) -> None:
        leg = self.leg
        self._go_on(self.hunt.on_ring_timeout(self._now))
        if self.stage is Stage.FAILED:
            self._out.append(ToSip(sip.Hangup(call=leg)))

    @property
    def _headers(self) -> tuple[tuple[str, str], ...]:
        headers: tuple[tuple[str, str], ...] = ()
        if self.referred.referred_by:  # RFC 3892
            headers += (("Referred-By", f"<{self.referred.referred_by}>"),)
        if self.referred.replaces_header:
            headers += (("Replaces", self.referred.replaces_header), ("Require", "replaces"))
        return headers

    def _go_on(self, commands: list[Command]) -> None:
        self._out += commands
        if self.hunt.failure:
            end = self.hunt.failure.end
            self._fail(end.sip_status or 503, end.reason)

    TABLE: ClassVar[Table] = {
        Stage.FINDING: {WaysFound: on_ways},
        Stage.DIALLING: {
            TrunkTaken: on_taken,
            TrunkFull: on_full,
            SetupTimeout: on_setup_timeout,
            RingTimeout: on_ring_timeout,
            sip.Ringing: on_ringing,
            sip.Answered: on_answered,
            sip.Ended: on_ended,
        },
        Stage.ANSWERED: {},
        Stage.FAILED: {},
    }


class HandOver(_Machine):
    """We want the peer to talk to somebody else."""

    def __init__(self, call: str, leg: str, number: int, wanted: TransferWanted, trunk: str) -> None:
        super().__init__()
        self.wanted, self.number, self.leg, self.trunk = wanted, number, leg, trunk
        self._name, self._dials = f"{call}.b{number}", 0
        self.is_accepted = False
        "The peer has said that it will try."
        self._ways: tuple[Way, ...] = ()
        self._has_beside = False
        self._is_answered = False
        self._clock = 0

    @property
    def beside(self) -> str:
        """The call that is placed beside this one, if one is."""
        return f"{self._name}-{self._dials}"

    @property
    def is_taken(self) -> bool:
        """The peer has taken the transfer on. When it hangs up now, it is with the target."""
        return self.stage is Stage.REFERRING and self.is_accepted

    def start(self) -> list[Command]:
        return [FindWays(self.number, self.wanted.to, self.trunk)]

    def give_up(self) -> list[Command]:
        """This call is over; one that was joined hears it from the worker."""
        return [TellCall(self.beside, HangUp())] if self._has_beside and self.stage is not Stage.JOINED else []

    def on_ways(self, found: WaysFound) -> None:
        if found.number != self.number:
            return
        self._ways = found.ways
        same = next((way for way in found.ways if way.trunk == self.trunk), None)
        if not found.ways:
            self._fail(404, "no trunk leads there")
        elif self.wanted.mode == "blind" and same is not None:
            self._refer(sip.Refer(call=self.leg, to_uri=same.uri))
        else:
            self._dial()

    def on_progress(self, progress: sip.ReferProgress) -> None:
        if not progress.final:
            self.is_accepted = True
            self._arm(PROGRESS_MS)
        elif progress.status // 100 == 2:
            self.stage, self.status, self.reason = Stage.DONE, progress.status, progress.reason
            self._out += [TellCall(self.beside, HangUp())] if self._has_beside else []
        elif self.is_accepted and progress.status in SAID_BY_THE_TARGET and not self._has_beside:
            self._fail(progress.status, progress.reason)
        else:
            self._do_it_ourselves()

    def on_timeout(self, timeout: TransferTimeout) -> None:
        if timeout.number == self._clock:
            self._do_it_ourselves()

    def on_answered(self, answered: LegAnswered) -> None:
        self._is_answered = True
        if self.wanted.mode == "attended":
            self._refer(sip.Refer(call=self.leg, replaces=answered.leg))
        else:
            self._join()

    def on_joined(self, joined: LegJoined) -> None:
        self.stage, self.status = Stage.JOINED, 200

    def on_failed(self, failed: LegFailed) -> None:
        self._has_beside = False
        self._fail(failed.end.sip_status or 480, failed.end.reason)

    def on_replaced(self, failed: LegFailed) -> None:
        """Its peer has hung up the call beside while ours is asked to take it over: that is how it begins."""
        self._has_beside = self._is_answered = False

    def _refer(self, refer: sip.Refer) -> None:
        self.stage, self.is_accepted = Stage.REFERRING, False
        self._out.append(ToSip(refer))
        self._arm(ANSWER_MS)

    def _do_it_ourselves(self) -> None:
        if self._is_answered:
            self._join()
        else:
            self._dial()

    def _dial(self) -> None:
        self.stage, self._has_beside = Stage.DIALLING, True
        self._dials += 1
        self._out.append(PlaceBeside(self.beside, self.wanted.to, self._ways))

    def _join(self) -> None:
        self.stage = Stage.JOINING
        self._out.append(TellCall(self.beside, Join()))

    def _arm(self, after_ms: int) -> None:
        self._clock += 1
        self._out.append(Arm(TransferTimeout(self._clock), after_ms))

    TABLE: ClassVar[Table] = {
        Stage.FINDING: {WaysFound: on_ways},
        Stage.REFERRING: {
            sip.ReferProgress: on_progress,
            TransferTimeout: on_timeout,
            LegFailed: on_replaced,
        },
        Stage.DIALLING: {LegAnswered: on_answered, LegFailed: on_failed},
        Stage.JOINING: {LegJoined: on_joined, LegFailed: on_failed},
        Stage.JOINED: {},
        Stage.DONE: {},
        Stage.FAILED: {},
    }
