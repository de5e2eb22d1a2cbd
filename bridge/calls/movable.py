"""What a session does about transfers: the machines of `transfer` meet the call's state, its dialog and its end. Pure.

The dialog with the peer (`leg`) and what is agreed on in it (`near`) may be replaced while the call, its worker and its
agent stay: by a REFER that we follow, or by an INVITE with Replaces that takes the call over (RFC 3891).
"""

from __future__ import annotations

from typing import Literal

from bridge.calls.near import NearSide, NotAcceptable
from bridge.calls.session import CallSettings, Row, Session, State
from bridge.calls.transfer import HandOver, Move, Stage
from bridge.calls.words import (
    Arm,
    ByeTimeout,
    Input,
    LegAnswered,
    LegFailed,
    LegJoined,
    RingTimeout,
    SetupTimeout,
    ToSip,
    TransferTimeout,
    TransferWanted,
    TrunkFull,
    TrunkTaken,
    WaysFound,
)
from bridge.errors import Blame, End
from media import wire
from sip import messages as sip

BYE_MS = 2000
"Who was replaced may hang up by itself (RFC 5589, 6.1); after this we do."


class MovableSession(Session):
    """A call that may be transferred while it stands, one transfer at a time."""

    def __init__(
        self, call: str, direction: Literal["inbound", "outbound"], settings: CallSettings, now: float, started_at: str
    ) -> None:
        super().__init__(call, direction, settings, now, started_at)
        self.move: Move | None = None
        self.hand_over: HandOver | None = None
        self._transfers = 0
        self._replaced: set[str] = set()
        "Dialogs that were ours and are not over yet."
        self._far_gone = False
        "The agent has hung up in the belief that the transfer was done."

    @property
    def why_no_transfer(self) -> str:
        """Empty: it may be transferred now."""
        if self.state is not State.TALKING:
            return "nobody talks in this call just now"
        return "it is being transferred already" if self.move or self.hand_over else ""

    # --- the peer asks

    def on_referred(self, referred: sip.Referred) -> None:
        self._transfers += 1
        if self.why_no_transfer:
            self.tell_line(sip.AnswerRefer(call=self.leg, status=491))
        elif not self.settings.allow_refer or referred.replaces:  # of two agents none would be left to listen to
            self.tell_line(sip.AnswerRefer(call=self.leg, status=603))
            self._note_transfer("refused", referred.to_uri, status=603)
        else:
            timeouts = {
                "setup_timeout_ms": self.settings.setup_timeout_ms,
                "ring_timeout_ms": self.settings.ring_timeout_ms,
                "most_attempts": self.settings.attempts,
            }
            self.move = Move(self.call, self._transfers, referred, self.record.trunk, self.near, timeouts)
            self._note_transfer("asked-by-peer", referred.to_uri)
            self.ask(*self.move.start())

    def _feed_move(self, received: Input) -> None:
        move = self.move
        if move is None:
            return
        self.ask(*move.feed(received, self._now))
        if move.stage is Stage.ANSWERED:
            self._on_moved(move)
        elif move.stage is Stage.FAILED:
            self._on_not_moved(move)

    def _on_moved(self, move: Move) -> None:
        self.move = None
        self._end_move(move, "moved")
        before = self.leg
        self._use(move.leg, move.near)
        if not move.referrer_gone:
            self.ask(move.notify(200), Arm(ByeTimeout(before), BYE_MS))

    def _on_not_moved(self, move: Move) -> None:
        """The dialog that we have goes on, if it is still there."""
        self.move = None
        self._end_move(move, "failed")
        if move.referrer_gone:
            detail = f"{move.referred.to_uri}: {move.status} {move.reason}"
            self.finish(End(Blame.UPSTREAM, "transfer-failed", detail=detail), line_gone=True)
        else:
            self.ask(move.notify(move.status))

    def _end_move(self, move: Move, how: str) -> None:
        self.record.trunk_attempts += move.hunt.attempts
        self._note_transfer(how, move.referred.to_uri, status=move.status)

    def _take_over(self, incoming: sip.Incoming) -> None:
        """INVITE with Replaces: who calls takes the place of our peer."""
        near = self.near.another((), "", self.near.srtp)
        status = 481 if self.state is not State.TALKING else 0 if self.settings.allow_refer else 603
        try:
            if incoming.offer and not status:
                near.take_offer(incoming.offer)
        except NotAcceptable as error:
            status = error.status
        if status:
            self.ask(ToSip(sip.Refuse(call=incoming.call, status=status)))
            return
        before = self.leg
        self.ask(ToSip(sip.Answer(call=incoming.call, sdp=near.answer())))
        self._use(incoming.call, near)
        self._note_transfer("replaced", incoming.from_uri, status=200)
        self.ask(ToSip(sip.Hangup(call=before, reason="replaced")))

    def _use(self, leg: str, near: NearSide) -> None:
        """The call goes on in another dialog."""
        self._replaced.add(self.leg)
        self.leg, self.near = leg, near
        self.start_near()

    def on_other_leg(self, event: sip.Event) -> None:
        """A dialog that is to be ours, or was: by itself it does nothing to the call."""
        match event:
            case sip.Incoming():
                self._take_over(event)
            case _ if self.move is not None and getattr(event, "call", "") == self.move.leg:
                self._feed_move(event)
            case sip.Answered(call=leg):  # it was given up, and has crossed our CANCEL
                self.tell_line(sip.Hangup(call=leg, reason="answered too late"))
            case sip.Ended(call=leg):
                self._replaced.discard(leg)
            case sip.Reoffer(call=leg, answered=False, number=number):
                self.tell_line(sip.RefuseReoffer(call=leg, status=488, number=number))
            case sip.Referred(call=leg):
                self.tell_line(sip.AnswerRefer(call=leg, status=603))

    def on_bye_timeout(self, timeout: ByeTimeout) -> None:
        if timeout.leg in self._replaced:
            self.tell_line(sip.Hangup(call=timeout.leg, reason="transferred"))

    # --- we ask

    def on_transfer_wanted(self, wanted: TransferWanted) -> None:
        if self.why_no_transfer:
            return
        self._transfers += 1
        self.hand_over = HandOver(self.call, self.leg, self._transfers, wanted, self.record.trunk)
        self._note_transfer("asked", wanted.to, mode=wanted.mode)
        self.ask(*self.hand_over.start())

    def _feed_hand_over(self, received: Input) -> None:
        hand_over = self.hand_over
        if hand_over is None:
            return
        before = hand_over.stage
        self.ask(*hand_over.feed(received, self._now))
        if hand_over.stage is before:
            return
        to, status = hand_over.wanted.to, hand_over.status
        match hand_over.stage:
            case Stage.DONE:
                self._note_transfer("done", to, status=status)
                self.finish(End(Blame.SUCCESS, "transferred", detail=to))
            case Stage.JOINED:
                self._note_transfer("joined", to, status=status)
            case Stage.FAILED:
                self.hand_over = None
                self._note_transfer("failed", to, status=status, reason=hand_over.reason)
                if self._far_gone:
                    self.finish(End(Blame.UPSTREAM, "transfer-failed", detail=f"{to}: {status} {hand_over.reason}"))

    # --- either

    def on_transfer_input(self, received: Input) -> None:
        self._feed_move(received)
        if self.end is None:
            self._feed_hand_over(received)

    def on_far_ended(self, ended: wire.FarEnded) -> None:
        """For subclasses: the agent has hung up, or is lost."""

    def on_far_ended_moving(self, ended: wire.FarEnded) -> None:
        if self.hand_over is None:
            self.on_far_ended(ended)
        elif self.hand_over.stage is Stage.JOINED:
            self.finish(End(Blame.SUCCESS, "other-party-hung-up", detail=ended.reason))
        else:
            self._far_gone = True

    def on_hung_up_moving(self, ended: sip.Ended) -> None:
        if self.move is not None and ended.by == "remote":
            self.move.referrer_gone = True
        elif self.hand_over is not None and self.hand_over.is_taken:
            self.hand_over.stage = Stage.DONE
            self._note_transfer("done", self.hand_over.wanted.to)
            self.finish(End(Blame.SUCCESS, "transferred", detail=self.hand_over.wanted.to), line_gone=True)
        else:
            self.on_hung_up(ended)

    def on_near_quiet_moving(self, quiet: wire.NearQuiet) -> None:
        """While nobody is on the line yet who could be heard, silence is no sign of anything."""
        if self.move is None or not self.move.referrer_gone:
            self.on_near_quiet(quiet)

    def let_go(self, end: End) -> None:
        if self.move is not None:
            self.ask(*self.move.give_up())
        if self.hand_over is not None:
            self.ask(*self.hand_over.give_up())
        for leg in sorted(self._replaced):
            self.tell_line(sip.Hangup(call=leg))

    def _note_transfer(self, how: str, to: str, **data: str | int) -> None:
        moment = wire.Moment(kind="transfer", at_s=self._now, text=to, data={"how": how, **data})
        self.on_far_event(wire.FarEvent(call=self.call, moment=moment))


MOVABLE: Row = {
    # while TALKING, over the rows of either direction
    sip.Referred: MovableSession.on_referred,
    sip.ReferProgress: MovableSession.on_transfer_input,
    sip.Ended: MovableSession.on_hung_up_moving,
    wire.FarEnded: MovableSession.on_far_ended_moving,
    wire.NearQuiet: MovableSession.on_near_quiet_moving,
    TransferWanted: MovableSession.on_transfer_wanted,
    TransferTimeout: MovableSession.on_transfer_input,
    WaysFound: MovableSession.on_transfer_input,
    TrunkTaken: MovableSession.on_transfer_input,
    TrunkFull: MovableSession.on_transfer_input,
    SetupTimeout: MovableSession.on_transfer_input,
    RingTimeout: MovableSession.on_transfer_input,
    LegAnswered: MovableSession.on_transfer_input,
    LegJoined: MovableSession.on_transfer_input,
    LegFailed: MovableSession.on_transfer_input,
    ByeTimeout: MovableSession.on_bye_timeout,
}
