"""A test call that we place: `puente call`. Pure, and small: there is one far end and it is known beforehand.

    OpenCall -> CallOpened -> INVITE -> 180 -> 200 -> StartNear and ConnectFar -> ... -> FarEnded -> BYE -> record

The far end is connected after the answer, so that its script starts when there is somebody to hear it.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.calls.near import NotAcceptable
from bridge.calls.session import ENDING, STANDING, UNANSWERED, CallSettings, Session, State
from bridge.calls.words import Arm, Command, RingTimeout, TimeUp
from bridge.errors import Blame, End
from media import wire
from sip import messages as sip


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Whom to call and what to do there."""

    uri: str
    far: wire.FarSpec
    from_user: str = "puente"
    talk_ms: int = 0
    "Hang up this long after the answer. 0: when the far end does, or the callee."


class OutboundSession(Session):
    PEER = "callee"

    def __init__(self, call: str, order: Order, settings: CallSettings, now: float, started_at: str) -> None:
        super().__init__(call, "outbound", settings, now, started_at)
        self.order = order
        self.record.caller, self.record.dialled = order.from_user, order.uri

    @property
    def platform(self) -> str:
        return self.order.far.platform

    def start(self, now: float) -> list[Command]:
        self._now, self._out = now, []
        self.open_media()
        self.ask(Arm(RingTimeout(), self.settings.ring_timeout_ms))
        return self._out

    def on_opened(self, opened: wire.CallOpened) -> None:
        self.mark("port")
        self.near.on_port(opened.host, opened.port)
        offer = self.near.offer()
        self.mark("invite")
        self.tell_line(sip.Dial(call=self.call, uri=self.order.uri, sdp=offer, from_user=self.order.from_user))

    def on_ringing(self, ringing: sip.Ringing) -> None:
        self.mark("ringing")

    def on_answered(self, answered: sip.Answered) -> None:
        self.mark("answered")
        try:
            self.near.take_answer(answered.sdp)
        except NotAcceptable as error:
            self.finish(error.end())
            return
        self.state = State.TALKING
        self.start_near()
        self.tell_worker(wire.ConnectFar(call=self.call, far=self.order.far))
        if self.order.talk_ms:
            self.ask(Arm(TimeUp(), self.order.talk_ms))

    def on_confirmed(self, confirmed: sip.Confirmed) -> None:
        self.mark("confirmed")

    def on_refused(self, ended: sip.Ended) -> None:
        blame = Blame.UPSTREAM if ended.status >= 500 or ended.by == "error" else Blame.CLIENT
        self.finish(End(blame, "refused", ended.status, ended.reason), line_gone=True)

    def on_ring_timeout(self, timeout: RingTimeout) -> None:
        detail = f"no answer in {self.settings.ring_timeout_ms / 1000:g} s"
        self.finish(End(Blame.CLIENT, "no-answer", 408, detail))

    def on_time_up(self, time_up: TimeUp) -> None:
        self.finish(End(Blame.SUCCESS, "time-up"))

    def on_far_ready(self, ready: wire.FarReady) -> None:
        self.mark("far-ready")

    def on_far_ended(self, ended: wire.FarEnded) -> None:
        if ended.by == "platform":
            self.finish(End(Blame.SUCCESS, "script-ended", detail=ended.reason))
        else:
            self.finish(End(Blame.SERVER, "script-failed", detail=ended.reason))

    def on_far_failed(self, failed: wire.FarFailed) -> None:
        self.finish(End(Blame.SERVER, "script-failed", detail=f"{failed.cause}: {failed.detail}"))


OutboundSession.TABLE = {
    State.RINGING: {
        **UNANSWERED,
        wire.CallOpened: OutboundSession.on_opened,
        sip.Ringing: OutboundSession.on_ringing,
        sip.Answered: OutboundSession.on_answered,
        sip.Ended: OutboundSession.on_refused,
        RingTimeout: OutboundSession.on_ring_timeout,
    },
    State.ANSWERING: {},
    State.TALKING: {
        **STANDING,
        sip.Confirmed: OutboundSession.on_confirmed,
        wire.FarReady: OutboundSession.on_far_ready,
        wire.FarEnded: OutboundSession.on_far_ended,
        wire.FarFailed: OutboundSession.on_far_failed,
        TimeUp: OutboundSession.on_time_up,
    },
    State.CLOSING: ENDING,
    State.CLOSED: {},
}
