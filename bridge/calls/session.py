"""One call as a state machine: what both directions share. Pure: inputs and `now` in, commands out.

                 inbound                         outbound
    RINGING      180 sent; port and platform     port asked for, then INVITE sent
                 asked for in parallel
    ANSWERING    200 sent, no ACK yet            -
    TALKING      the dialog stands               the dialog stands
    CLOSING      both ends told; waiting for the worker's report
    CLOSED       the record is written

A subclass has a TABLE: state -> type of input -> what is done. An input that is not in its row does nothing: a BYE can
cross anything on its way. Every call ends exactly once, by `finish()`, with an `End`.

When the sip process dies, the audio of a standing call flows on (design: planes apart) until the caller's RTP stops;
then it ends as `sip-process-lost`. A call that still rings ends at once: nobody could answer it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar, Literal

from bridge.calls.near import NearSide, NotAcceptable
from bridge.calls.words import (
    Arm,
    CloseTimeout,
    Command,
    HangUp,
    Input,
    LineLost,
    Shutdown,
    ToSip,
    ToWorker,
    WorkerLost,
    WriteRecord,
)
from bridge.errors import Blame, End, MediaError
from bridge.records import CallRecord, Milestone
from media import wire
from sip import messages as sip
from sip.sdp import Srtp

MAX_MOMENTS = 5000
"Of one call in its record: about an hour of lively talk. What comes after is counted in the last one."


class State(Enum):
    RINGING = auto()
    ANSWERING = auto()
    TALKING = auto()
    CLOSING = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """What a session must know of the configuration."""

    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    public_host: str = ""
    "Written into our SDP. Empty: the address the worker has bound."
    srtp: Srtp = "off"
    "The trunk's policy."
    recording: str = ""
    "Path of the stereo WAV. Empty: none."
    ring_timeout_ms: int = 20000
    setup_timeout_ms: int = 4000
    "Outbound: a trunk that has not said 18x by then loses the call to the next."
    attempts: int = 4
    "Outbound: trunks and addresses dialled, at most."
    allow_refer: bool = True
    "The peer may have its call transferred (REFER, Replaces)."
    close_timeout_ms: int = 3000
    "How long the worker's report is waited for."


Handler = Callable[[Any, Any], None]
Row = Mapping[type, Handler]


class Session:
    TABLE: ClassVar[Mapping[State, Row]] = {}
    PEER: ClassVar[str] = "peer"
    "Who is at the other end of the line, for the reason of the end."

    def __init__(
        self, call: str, direction: Literal["inbound", "outbound"], settings: CallSettings, now: float, started_at: str
    ) -> None:
        self.call, self.settings = call, settings
        self.leg = call
        "The name of our dialog at the sip process. Another one after a transfer, or when another trunk is tried."
        self.state = State.RINGING
        self.end: End | None = None
        self.near = NearSide(settings.codecs, settings.public_host, settings.srtp)
        self.beside = ""
        "Another call, whose worker this one has to be at."
        self.context: dict[str, str] = {}
        "For the agent."
        self.record = CallRecord(call=call, direction=direction, started_at=started_at)
        self.ignored = 0
        "Inputs that came in a state that has no use for them."
        self._now = now
        self._out: list[Command] = []
        self._media_open = False
        self._line_lost = False
        self._moments_dropped = 0

    def __repr__(self) -> str:
        end = f" {self.end.reason}" if self.end else ""
        return f"<Call {self.call} {self.state.name}{f' {self.platform}' if self.platform else ''}{end}>"

    @property
    def platform(self) -> str:
        """The platform that has this call, or is about to."""
        return ""

    @property
    def why_no_transfer(self) -> str:
        """Empty: it may be transferred now."""
        return "this call cannot be transferred"

    def feed(self, received: Input, now: float) -> list[Command]:
        self._now, self._out = now, []
        if isinstance(received, sip.Event) and getattr(received, "call", self.leg) != self.leg:
            self.on_other_leg(received)
        elif handler := self.TABLE[self.state].get(type(received)):
            handler(self, received)
        else:
            self.ignored += 1
        return self._out

    def on_other_leg(self, event: sip.Event) -> None:
        """For subclasses: a dialog that was ours, or is to be. By itself it does nothing to the call."""

    def crash(self, detail: str, now: float) -> list[Command]:
        """A bug of ours: the call is ended as well as can be, the others go on."""
        self._now, self._out = now, []
        if self.state is State.CLOSED:
            return []
        if self.end is None:
            self.finish(End(Blame.SERVER, "internal-error", 500, detail))
        else:
            self._close(None)
        return self._out

    # --- doing ---

    def ask(self, *commands: Command) -> None:
        self._out += commands

    def tell_line(self, message: sip.Command) -> None:
        if not self._line_lost:
            self._out.append(ToSip(message))

    def tell_worker(self, message: wire.Command) -> None:
        if self._media_open:
            self._out.append(ToWorker(message))

    def mark(self, milestone: Milestone) -> None:
        self.record.times.setdefault(milestone, self._now)

    def open_media(self) -> None:
        self._media_open = True
        self.tell_worker(wire.OpenCall(call=self.call, recording=self.settings.recording))

    def start_near(self) -> None:
        """(Re)directs the caller's RTP, as soon as both sides of the SDP are known."""
        spec = self.near.spec()
        if spec is not None:
            self.record.codec = spec.codec
            self.tell_worker(wire.StartNear(call=self.call, near=spec))

    def finish(self, end: End, *, line_gone: bool = False) -> None:
        """Ends the call at both sides. `line_gone`: the other side of the line knows already."""
        assert self.end is None, f"{self.call} ends twice: {self.end} and {end}"
        was_answered = "answered" in self.record.times
        self.end = end
        self.mark("ended")
        self._note_end(end, was_answered)
        if not line_gone:
            self.tell_line(self.last_word(end, was_answered))
        self.let_go(end)
        if self._media_open:
            self.state = State.CLOSING
            self.tell_worker(wire.CloseCall(call=self.call, reason=end.reason))
            self.ask(Arm(CloseTimeout(), self.settings.close_timeout_ms))
        else:
            self._close(None)

    def last_word(self, end: End, was_answered: bool) -> sip.Command:
        status = 0 if was_answered else end.sip_status
        return sip.Hangup(call=self.leg, status=status, reason=end.reason)

    def let_go(self, end: End) -> None:
        """For subclasses: give back what only they know of."""

    def _note_end(self, end: End, was_answered: bool) -> None:
        record = self.record
        record.blame, record.reason, record.detail = end.blame.value, end.reason, end.detail
        record.sip_status = 0 if was_answered else end.sip_status
        record.outcome = "answered" if was_answered else record.outcome or "failed"
        if was_answered:
            record.duration_s = round(self._now - record.times["answered"], 3)

    def _close(self, report: wire.CallReport | None) -> None:
        self.mark("closed")
        self.state = State.CLOSED
        self.record.media = report
        self.record.platform = self.platform
        if self._moments_dropped:
            left_out = f"{self._moments_dropped} more moments left out"
            self.record.moments.append(wire.Moment(kind="trouble", at_s=self._now, text=left_out))
        self.ask(WriteRecord(self.record))

    # --- the media worker ---

    def on_call_failed(self, failed: wire.CallFailed) -> None:
        """No port; or, later on, near-end parameters that the worker cannot carry: then the port must be given back."""
        self._media_open = "port" in self.record.times
        self.finish(MediaError(failed.why).end())

    def on_far_event(self, event: wire.FarEvent) -> None:
        if len(self.record.moments) < MAX_MOMENTS:
            self.record.moments.append(event.moment)
        else:
            self._moments_dropped += 1

    def on_digit_heard(self, heard: wire.DigitHeard) -> None:
        """For the record alone: the worker has told the platform already."""
        self._note_digit(heard.digit, heard.duration_ms, "rfc4733")

    def on_keys_unsent(self, unsent: wire.KeysUnsent) -> None:
        """The far end presses keys, and the peer knows no telephone-events: by SIP INFO (RFC 6086)."""
        for digit in unsent.digits:
            self.tell_line(sip.SendInfoDigit(call=self.leg, digit=digit))

    def on_near_quiet(self, quiet: wire.NearQuiet) -> None:
        if self._line_lost:
            self.finish(End(Blame.SERVER, "sip-process-lost", detail="the caller's audio has stopped since"))
        else:
            detail = f"no RTP for {quiet.silent_ms / 1000:.1f} s"
            self.finish(End(Blame.UPSTREAM, "media-timeout", detail=detail))

    def on_worker_lost(self, lost: WorkerLost) -> None:
        self._media_open = False
        self.finish(End(Blame.SERVER, "worker-lost", 503, lost.why, 5))

    def on_worker_lost_closing(self, lost: WorkerLost) -> None:
        self._close(None)

    def on_call_closed(self, closed: wire.CallClosed) -> None:
        self._close(closed.report)

    def on_close_timeout(self, timeout: CloseTimeout) -> None:
        self._close(None)

    # --- the line ---

    def on_reoffer(self, reoffer: sip.Reoffer) -> None:
        """Hold, resume, a new address, another codec (RFC 3264, 8). A bad one leaves everything as it was."""
        if not reoffer.sdp:
            if not reoffer.answered:
                self.tell_line(sip.AnswerReoffer(call=self.leg, sdp=self.near.offer(), number=reoffer.number))
            return
        try:
            self.near.take_offer(reoffer.sdp, answered=reoffer.answered)
        except NotAcceptable:
            if not reoffer.answered:
                self.tell_line(sip.RefuseReoffer(call=self.leg, status=488, number=reoffer.number))
            return
        if not reoffer.answered:
            answer = self.near.answer()
            self.tell_line(sip.AnswerReoffer(call=self.leg, sdp=answer, number=reoffer.number))
        self.start_near()

    def on_negotiated(self, negotiated: sip.Negotiated) -> None:
        try:
            answered = self.near.take_answer(negotiated.sdp)
        except NotAcceptable as error:
            if self.near.choice is None:
                self.finish(error.end())
            return  # the answer to a re-INVITE: what was agreed before still stands
        if answered:
            self.start_near()

    def on_info_digit(self, info: sip.InfoDigit) -> None:
        self._note_digit(info.digit, info.duration_ms, "info")
        self.tell_worker(wire.Digit(call=self.call, digit=info.digit))

    def on_line_lost_ringing(self, lost: LineLost) -> None:
        self._line_lost = True
        self.finish(End(Blame.SERVER, "sip-process-lost", detail=lost.why))

    def on_line_lost(self, lost: LineLost) -> None:
        self._line_lost = True

    def on_shutdown(self, shutdown: Shutdown) -> None:
        self.finish(End(Blame.SERVER, "shutdown", 503, "the bridge is stopping", 5))

    def on_hang_up(self, hang_up: HangUp) -> None:
        self.finish(End(Blame.SUCCESS, "hung-up"))

    def on_hang_up_ringing(self, hang_up: HangUp) -> None:
        self.record.outcome = "cancelled"
        self.finish(End(Blame.CLIENT, "cancelled", 480))

    def on_hung_up(self, ended: sip.Ended) -> None:
        """BYE from the other side, or the stack gave the dialog up."""
        if ended.by == "remote":
            end = End(Blame.SUCCESS, f"{self.PEER}-hung-up", detail=ended.reason)
        elif "session refresh" in ended.reason:  # the stack's own words (RFC 4028, 10)
            end = End(Blame.UPSTREAM, "session-expired", detail=ended.reason)
        else:
            end = End(Blame.UPSTREAM, "line-lost", detail=f"{ended.status} {ended.reason}".strip())
        self.finish(end, line_gone=True)

    def _note_digit(self, digit: str, duration_ms: int, how: str) -> None:
        data = {"duration_ms": duration_ms, "how": how}
        moment = wire.Moment(kind="digit", at_s=self._now, who=self.PEER, text=digit, data=data)
        self.on_far_event(wire.FarEvent(call=self.call, moment=moment))


STANDING: Row = {
    # the same while ANSWERING and TALKING, in both directions
    wire.FarEvent: Session.on_far_event,
    wire.DigitHeard: Session.on_digit_heard,
    wire.KeysUnsent: Session.on_keys_unsent,
    wire.NearQuiet: Session.on_near_quiet,
    wire.CallFailed: Session.on_call_failed,
    WorkerLost: Session.on_worker_lost,
    LineLost: Session.on_line_lost,
    Shutdown: Session.on_shutdown,
    HangUp: Session.on_hang_up,
    sip.Reoffer: Session.on_reoffer,
    sip.Negotiated: Session.on_negotiated,
    sip.InfoDigit: Session.on_info_digit,
    sip.Ended: Session.on_hung_up,
}

ENDING: Row = {
    wire.FarEvent: Session.on_far_event,
    wire.CallClosed: Session.on_call_closed,
    WorkerLost: Session.on_worker_lost_closing,
    CloseTimeout: Session.on_close_timeout,
}

UNANSWERED: Row = {
    # while RINGING, in both directions
    wire.FarEvent: Session.on_far_event,
    wire.CallFailed: Session.on_call_failed,
    WorkerLost: Session.on_worker_lost,
    LineLost: Session.on_line_lost_ringing,
    Shutdown: Session.on_shutdown,
    HangUp: Session.on_hang_up_ringing,
}
