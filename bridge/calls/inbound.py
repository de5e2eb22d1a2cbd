"""A call that came in: from INVITE to record, with the hunt for a platform in between. Pure.

    INVITE -> 180, OpenCall and CreatePlatform at once -> ConnectFar -> FarReady -> 200 and StartNear -> ACK -> ...

With `answer = "immediately"` the 200 goes out as soon as there is a port, and the hunt goes on behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from bridge.calls.hunt import Candidate, Hunt, Stage
from bridge.calls.movable import MOVABLE, MovableSession
from bridge.calls.near import NotAcceptable
from bridge.calls.routes import user_of
from bridge.calls.session import ENDING, STANDING, UNANSWERED, CallSettings, Row, State
from bridge.calls.words import Arm, Command, PlatformCreated, PlatformRefused, RingTimeout
from bridge.errors import Blame, End
from media import wire
from sip import messages as sip


class InboundSession(MovableSession):
    PEER = "caller"

    def __init__(
        self,
        incoming: sip.Incoming,
        candidates: Sequence[Candidate],
        settings: CallSettings,
        now: float,
        started_at: str,
        *,
        answer: Literal["when-ready", "immediately"] = "when-ready",
        context: Mapping[str, str] | None = None,
    ) -> None:
        """No candidates: no route takes this number."""
        super().__init__(incoming.call, "inbound", settings, now, started_at)
        self.incoming, self.answer_when = incoming, answer
        self.context = dict(context or {})
        self.hunt = Hunt(incoming.call, candidates)
        record = self.record
        record.trunk, record.source, record.sip_call_id = incoming.trunk, incoming.source, incoming.sip_call_id
        record.caller = user_of(incoming.from_uri) or incoming.from_uri
        record.dialled = user_of(incoming.request_uri)
        record.attempts = self.hunt.attempts
        self.mark("invite")

    @property
    def platform(self) -> str:
        return self.hunt.platform

    def start(self, now: float) -> list[Command]:
        self._now, self._out = now, []
        if not self.hunt.candidates:
            self.finish(End(Blame.CLIENT, "no-route", 404, f"no route for {self.record.dialled or 'this number'}"))
            return self._out
        try:
            if self.incoming.offer:
                self.near.take_offer(self.incoming.offer)
        except NotAcceptable as error:
            self.finish(error.end())
            return self._out
        self.tell_line(sip.Ring(call=self.leg))
        self.mark("ringing")
        self.open_media()
        self.ask(*self.hunt.start(now), Arm(RingTimeout(), self.settings.ring_timeout_ms))
        return self._out

    def refuse(self, end: End, now: float) -> list[Command]:
        """Instead of `start`: not a call for us just now."""
        self._now, self._out = now, []
        self.finish(end)
        return self._out

    # --- the far end ---

    def on_opened(self, opened: wire.CallOpened) -> None:
        self.mark("port")
        self.near.on_port(opened.host, opened.port)
        self.ask(*self.hunt.on_port())
        if self.answer_when == "immediately":
            self._answer()

    def on_created(self, created: PlatformCreated) -> None:
        self.ask(*self.hunt.on_created(created))

    def on_refused(self, refused: PlatformRefused) -> None:
        self._go_on_hunting(self.hunt.on_refused(refused, self._now))

    def on_far_ready(self, ready: wire.FarReady) -> None:
        self.hunt.on_far_ready(self._now)
        self.mark("far-ready")
        if self.state is State.RINGING:
            self._answer()

    def on_far_failed(self, failed: wire.FarFailed) -> None:
        if self.hunt.stage is Stage.READY:
            detail = f"{self.platform}: {failed.cause}: {failed.detail}"
            self.finish(End(Blame.UPSTREAM, "platform-lost", 503, detail, 5))
        else:
            self._go_on_hunting(self.hunt.on_far_failed(failed, self._now))

    def on_far_ended(self, ended: wire.FarEnded) -> None:
        """The agent hung up; its last words have been played out by the worker."""
        if self.hunt.stage is not Stage.READY:
            self._go_on_hunting(self.hunt.on_far_ended(ended, self._now))
        elif ended.by == "platform":
            self.finish(End(Blame.SUCCESS, "platform-hung-up", detail=ended.reason))
        else:
            self.finish(End(Blame.UPSTREAM, "platform-lost", detail=f"{self.platform}: {ended.reason}"))

    def on_ring_timeout(self, timeout: RingTimeout) -> None:
        if self.hunt.stage is not Stage.READY:
            detail = f"{self.platform}: not ready within {self.settings.ring_timeout_ms / 1000:g} s of ringing"
            self.finish(End(Blame.UPSTREAM, "platform-slow", 503, detail, 5))

    def on_ring_timeout_talking(self, timeout: RingTimeout) -> None:
        """Of a platform that was to come after the answer, or of a telephone that the call is to be moved to."""
        self.on_transfer_input(timeout)
        if self.end is None and not self._transfers:
            self.on_ring_timeout(timeout)

    def _go_on_hunting(self, commands: list[Command]) -> None:
        self.ask(*commands)
        if self.hunt.failed:
            self.finish(self.hunt.failed)

    # --- the line ---

    def _answer(self) -> None:
        self.tell_line(sip.Answer(call=self.leg, sdp=self.near.answer()))
        self.mark("answered")
        self.state = State.ANSWERING
        self.start_near()

    def on_confirmed(self, confirmed: sip.Confirmed) -> None:
        self.mark("confirmed")
        self.state = State.TALKING

    def on_cancelled(self, ended: sip.Ended) -> None:
        if ended.by == "remote" and ended.status not in (0, 200, 487):  # 422: its session timer is too short
            end = End(Blame.CLIENT, "refused-by-stack", ended.status, ended.reason)
        elif ended.by == "remote":
            self.record.outcome = "cancelled"
            end = End(Blame.CLIENT, "caller-cancelled", ended.status or 487, ended.reason)
        else:
            end = End(Blame.UPSTREAM, "line-lost", ended.status, ended.reason)
        self.finish(end, line_gone=True)

    def on_early_reoffer(self, reoffer: sip.Reoffer) -> None:
        """An offer while the INVITE's own has no answer yet (RFC 3261, 14.2; RFC 3311, 5.2)."""
        if not reoffer.answered:
            self.tell_line(sip.RefuseReoffer(call=self.leg, status=491, number=reoffer.number))

    def last_word(self, end: End, was_answered: bool) -> sip.Command:
        if was_answered:
            return sip.Hangup(call=self.leg, reason=end.reason)
        status = end.sip_status or 503
        return sip.Refuse(call=self.leg, status=status, reason="", retry_after_s=end.retry_after_s)

    def let_go(self, end: End) -> None:
        super().let_go(end)
        self.ask(*self.hunt.give_up(end, self._now))


HUNTING: Row = {
    PlatformCreated: InboundSession.on_created,
    PlatformRefused: InboundSession.on_refused,
    wire.FarReady: InboundSession.on_far_ready,
    wire.FarFailed: InboundSession.on_far_failed,
    wire.FarEnded: InboundSession.on_far_ended,
    RingTimeout: InboundSession.on_ring_timeout,
}

InboundSession.TABLE = {
    State.RINGING: {
        **UNANSWERED,
        **HUNTING,
        wire.CallOpened: InboundSession.on_opened,
        sip.Ended: InboundSession.on_cancelled,
        sip.Reoffer: InboundSession.on_early_reoffer,
    },
    State.ANSWERING: {**STANDING, **HUNTING, sip.Confirmed: InboundSession.on_confirmed},
    State.TALKING: {**STANDING, **HUNTING, **MOVABLE, RingTimeout: InboundSession.on_ring_timeout_talking},
    State.CLOSING: {**ENDING, PlatformCreated: InboundSession.on_created},
    State.CLOSED: {PlatformCreated: InboundSession.on_created},
}
