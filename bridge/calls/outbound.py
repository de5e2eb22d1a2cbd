"""A call that we place: over one trunk after another until one carries it, then to a platform. Pure.

    OpenCall -> CallOpened -> TakeTrunk -> TrunkTaken -> INVITE -> 180 -> 200 -> StartNear and ConnectFar -> ...
                                 ^                         |
                                 +--- refused, slow, dead -+

Which trunk is found by `trunkhunt`, which platform by `hunt`. The platform's call is made when the callee answers or,
by order, while his telephone rings. Its socket comes up after the answer in both cases, so that the greeting has
somebody to hear it. Early media (183 with SDP) is recorded, and heard by a far end that only listens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from bridge.calls.hunt import Candidate, Hunt, Stage
from bridge.calls.movable import MOVABLE, MovableSession
from bridge.calls.near import NearSide, NotAcceptable
from bridge.calls.session import ENDING, STANDING, UNANSWERED, CallSettings, State
from bridge.calls.trunkhunt import TrunkHunt
from bridge.calls.trunks import Way
from bridge.calls.words import (
    Arm,
    Command,
    PlatformCreated,
    PlatformRefused,
    RingTimeout,
    SetupTimeout,
    TimeUp,
    TrunkDown,
    TrunkFull,
    TrunkTaken,
)
from bridge.errors import Blame, End
from media import wire
from sip import messages as sip

Connect = Literal["when-answered", "while-ringing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Whom to call, which ways lead there, and who is to talk."""

    to: str
    "E.164 or a SIP URI, for the record."
    ways: tuple[Way, ...]
    candidates: tuple[Candidate, ...]
    "Platforms, in order."
    connect: Connect = "when-answered"
    caller: str = ""
    "Who is shown as calling, for the record."
    country: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    talk_ms: int = 0
    "Hang up this long after the answer. 0: when the far end does, or the callee."
    listener: wire.FarSpec | None = None
    "Hears early media. It cannot be a platform: one that is connected begins to talk."
    request_id: str = ""
    "Idempotency key of the request."


class OutboundSession(MovableSession):
    PEER = "callee"

    def __init__(self, call: str, order: Order, settings: CallSettings, now: float, started_at: str) -> None:
        super().__init__(call, "outbound", settings, now, started_at)
        self.order, self.context = order, dict(order.context)
        self.trunks = TrunkHunt(
            call,
            order.ways,
            setup_timeout_ms=settings.setup_timeout_ms,
            ring_timeout_ms=settings.ring_timeout_ms,
            most_attempts=settings.attempts,
        )
        self.hunt = Hunt(call, order.candidates)
        self.is_heard = False
        "The callee has heard the far end: it can no longer be replaced as if nothing had been."
        self._port = ("", 0)
        self._is_early = False
        record = self.record
        record.caller, record.dialled = order.caller, order.to
        record.country, record.request_id = order.country, order.request_id
        record.trunk_attempts, record.attempts = self.trunks.attempts, self.hunt.attempts

    @property
    def platform(self) -> str:
        return self.hunt.platform

    def start(self, now: float) -> list[Command]:
        self._now, self._out = now, []
        self.open_media()
        return self._out

    # --- one trunk after another

    def on_opened(self, opened: wire.CallOpened) -> None:
        self.mark("port")
        self._port = opened.host, opened.port
        self._go_on(self.trunks.start(self._now))

    def on_trunk_taken(self, taken: TrunkTaken) -> None:
        if not self.trunks.is_taken(taken.attempt):
            return
        way, settings = self.trunks.way, self.settings
        self._hush()
        self.near = NearSide(way.codecs or settings.codecs, way.public_host or settings.public_host, way.srtp)
        self.near.on_port(*self._port)
        self.settings = replace(settings, allow_refer=way.allow_refer)
        record = self.record
        record.caller = self.order.caller or way.from_user
        record.trunk, record.region, record.source, record.sip_call_id = way.trunk, way.region, way.address, ""
        self.mark("invite")
        self.ask(*self.trunks.dial(self.near.offer(), self._now))

    def on_trunk_full(self, full: TrunkFull) -> None:
        self._go_on(self.trunks.on_full(full, self._now), line_gone=True)

    def on_dialled(self, dialled: sip.Dialled) -> None:
        self.record.sip_call_id = dialled.sip_call_id

    def on_ringing(self, ringing: sip.Ringing) -> None:
        self.mark("ringing")
        self.ask(*self.trunks.on_ringing(self._now))
        if ringing.sdp:
            self._hear_early(ringing.sdp)
        if self.order.connect == "while-ringing" and self.hunt.stage is Stage.IDLE:
            self._go_on_hunting(self.hunt.start(self._now))

    def on_refused(self, ended: sip.Ended) -> None:
        self._go_on(self.trunks.on_ended(ended, self._now), line_gone=True)

    def on_setup_timeout(self, timeout: SetupTimeout) -> None:
        self._go_on(self.trunks.on_setup_timeout(timeout, self._now))

    def on_trunk_down(self, down: TrunkDown) -> None:
        self._go_on(self.trunks.on_trunk_down(down, self._now))

    def on_ring_timeout(self, timeout: RingTimeout) -> None:
        self._go_on(self.trunks.on_ring_timeout(self._now))

    def _go_on(self, commands: list[Command], *, line_gone: bool = False) -> None:
        self.ask(*commands)
        self.leg = self.trunks.leg  # at once: an answer of the one before, however soon it comes, is too late
        if self.trunks.failure:
            self.finish(self.trunks.failure.end, line_gone=line_gone)

    # --- early media and answer

    def _hear_early(self, sdp: str) -> None:
        """The announcement or the ringing tone that a network plays itself (RFC 3960, 3)."""
        try:
            if not self.near.take_answer(sdp):
                return
        except NotAcceptable:
            return  # the final answer may be a better one
        self.start_near()
        if self.order.listener and not self._is_early:
            self.tell_worker(wire.ConnectFar(call=self.call, far=self.order.listener))
        self._is_early = True

    def _hush(self) -> None:
        """Nothing more is sent to a partner that we have left."""
        spec = self.near.spec() if self._is_early else None
        if spec is not None:
            on_hold = msgspec.structs.replace(spec, sends=False, receives=False)
            self.tell_worker(wire.StartNear(call=self.call, near=on_hold))

    def on_answered(self, answered: sip.Answered) -> None:
        if not self.trunks.is_dialled:
            return
        self.mark("answered")
        self.ask(*self.trunks.on_answered(self._now))
        try:
            self.near.take_answer(answered.sdp)
        except NotAcceptable as error:
            self.finish(error.end())
            return
        self.state = State.TALKING
        self.start_near()
        self.on_talking()

    def on_talking(self) -> None:
        begun = self.hunt.start(self._now) if self.hunt.stage is Stage.IDLE else []
        self._go_on_hunting([*begun, *self.hunt.on_port()])
        if self.order.talk_ms and self.end is None:
            self.ask(Arm(TimeUp(), self.order.talk_ms))

    def on_confirmed(self, confirmed: sip.Confirmed) -> None:
        self.mark("confirmed")

    def on_time_up(self, time_up: TimeUp) -> None:
        self.finish(End(Blame.SUCCESS, "time-up"))

    # --- the far end

    @property
    def _is_scripted(self) -> bool:
        return any(candidate.spec for candidate in self.hunt.candidates)

    def on_created(self, created: PlatformCreated) -> None:
        self.ask(*self.hunt.on_created(created))

    def on_platform_refused(self, refused: PlatformRefused) -> None:
        self._go_on_hunting(self.hunt.on_refused(refused, self._now))

    def on_far_ready(self, ready: wire.FarReady) -> None:
        self.hunt.on_far_ready(self._now)
        self.mark("far-ready")

    def on_far_failed(self, failed: wire.FarFailed) -> None:
        if self._is_scripted:
            self.finish(End(Blame.SERVER, "script-failed", detail=f"{failed.cause}: {failed.detail}"))
        else:
            self._go_on_hunting(self.hunt.on_far_failed(failed, self._now))

    def on_far_ended(self, ended: wire.FarEnded) -> None:
        """The far end hung up, its last words have been played out; or it is lost."""
        if self.hunt.stage is not Stage.READY and not self._is_scripted:
            self._go_on_hunting(self.hunt.on_far_ended(ended, self._now))
        elif ended.by == "platform":
            reason = "script-ended" if self._is_scripted else "platform-hung-up"
            self.finish(End(Blame.SUCCESS, reason, detail=ended.reason))
        elif self._is_scripted:
            self.finish(End(Blame.SERVER, "script-failed", detail=ended.reason))
        else:
            detail = f"{self.platform}: {ended.reason}"
            self._on_platform_lost(End(Blame.UPSTREAM, "platform-lost", 503, detail, 5, try_next=True))

    def _on_platform_lost(self, end: End) -> None:
        if self.is_heard:
            self.finish(end)
        else:
            self._go_on_hunting(self.hunt.on_lost(end, self._now))

    def on_far_event(self, event: wire.FarEvent) -> None:
        self.is_heard = self.is_heard or event.moment.kind == "first-audio"
        super().on_far_event(event)

    def _go_on_hunting(self, commands: list[Command]) -> None:
        """Without a platform there is no use in a telephone that rings, nor in a callee who says hello to nobody."""
        self.ask(*commands)
        if self.hunt.failed:
            self.finish(self.hunt.failed)

    def let_go(self, end: End) -> None:
        super().let_go(end)
        self.ask(*self.trunks.give_up(end, self._now), *self.hunt.give_up(end, self._now))

    def _note_end(self, end: End, was_answered: bool) -> None:
        if self.trunks.failure:
            self.record.outcome = self.trunks.failure.outcome
        super()._note_end(end, was_answered)


OutboundSession.TABLE = {
    State.RINGING: {
        **UNANSWERED,
        wire.CallOpened: OutboundSession.on_opened,
        wire.FarEvent: OutboundSession.on_far_event,
        TrunkTaken: OutboundSession.on_trunk_taken,
        TrunkFull: OutboundSession.on_trunk_full,
        TrunkDown: OutboundSession.on_trunk_down,
        PlatformCreated: OutboundSession.on_created,
        PlatformRefused: OutboundSession.on_platform_refused,
        sip.Dialled: OutboundSession.on_dialled,
        sip.Ringing: OutboundSession.on_ringing,
        sip.Answered: OutboundSession.on_answered,
        sip.Ended: OutboundSession.on_refused,
        sip.Reoffer: OutboundSession.on_reoffer,
        sip.Negotiated: OutboundSession.on_negotiated,
        SetupTimeout: OutboundSession.on_setup_timeout,
        RingTimeout: OutboundSession.on_ring_timeout,
    },
    State.ANSWERING: {},
    State.TALKING: {
        **STANDING,
        **MOVABLE,
        wire.FarEvent: OutboundSession.on_far_event,
        PlatformCreated: OutboundSession.on_created,
        PlatformRefused: OutboundSession.on_platform_refused,
        sip.Confirmed: OutboundSession.on_confirmed,
        wire.FarReady: OutboundSession.on_far_ready,
        wire.FarFailed: OutboundSession.on_far_failed,
        TimeUp: OutboundSession.on_time_up,
    },
    State.CLOSING: {**ENDING, PlatformCreated: OutboundSession.on_created},
    State.CLOSED: {PlatformCreated: OutboundSession.on_created},
}
