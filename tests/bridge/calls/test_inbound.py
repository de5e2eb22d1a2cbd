"""An inbound call, row by row, without socket or clock."""

from __future__ import annotations

import pytest

from bridge.calls.inbound import InboundSession
from bridge.calls.session import CallSettings, State
from bridge.calls.words import (
    AbandonPlatform,
    Arm,
    CloseTimeout,
    CreatePlatform,
    PlatformRefused,
    RingTimeout,
    ToSip,
    ToWorker,
    WriteRecord,
)
from bridge.errors import (
    Blame,
    End,
    PlatformBusy,
    PlatformDenied,
    PlatformDown,
    PlatformError,
    PlatformSlow,
)
from bridge.records import Attempt
from media import wire
from sip import messages as sip
from tests import fakes
from tests.fakes import (
    CALL,
    NEAR,
    Drive,
    brief,
    closed,
    created,
    end_of,
    ended,
    far_spec,
    inbound,
    offer,
    opened,
    ready,
    talking,
)


def answer_sdp(call: Drive) -> str:
    [text] = [one.message.sdp for one in call.all if isinstance(one, ToSip) and isinstance(one.message, sip.Answer)]
    return text


class TestNormalCall:
    def test_every_step_of_it(self) -> None:
        call = inbound(recording="/rec/c1.wav")
        assert call.all == [
            ToSip(sip.Ring(call=CALL)),
            ToWorker(wire.OpenCall(call=CALL, recording="/rec/c1.wav")),
            CreatePlatform(0, "one"),
            Arm(RingTimeout(), 20000),
        ]
        assert call.feed(opened()) == []
        assert call.feed(created()) == [ToWorker(wire.ConnectFar(call=CALL, far=far_spec(), timeout_ms=5000))]
        answered = call.feed(ready())
        assert brief(answered) == ["Answer", "StartNear"]
        assert answered[1] == ToWorker(wire.StartNear(call=CALL, near=NEAR))
        assert call.feed(sip.Confirmed(call=CALL)) == []
        assert repr(call.session) == "<Call c1 TALKING one>"
        assert call.feed(ended(reason="Normal call clearing")) == [
            ToWorker(wire.CloseCall(call=CALL, reason="caller-hung-up")),
            Arm(CloseTimeout(), 3000),
        ]
        [written] = call.feed(closed())
        assert isinstance(written, WriteRecord)
        assert call.session.state is State.CLOSED
        record = written.record
        assert record.times == {
            "invite": 0.0,
            "ringing": 0.0,
            "port": 1.0,
            "far-ready": 3.0,
            "answered": 3.0,
            "confirmed": 4.0,
            "ended": 5.0,
            "closed": 6.0,
        }
        assert record.attempts == [Attempt(platform="one", outcome="ready", took_ms=3000.0)]
        assert (record.blame, record.reason, record.sip_status, record.duration_s) == (
            *("success", "caller-hung-up", 0),
            2.0,
        )
        assert (record.caller, record.dialled, record.trunk, record.platform, record.codec) == (
            *("+4930111", "100", "local", "one"),
            "PCMA",
        )
        assert record.media == wire.CallReport(duration_s=1.0)

    def test_the_answer_takes_the_callers_first_codec_and_the_workers_port(self) -> None:
        text = answer_sdp(talking())
        assert "m=audio 20000 RTP/AVP 8 101" in text
        assert "c=IN IP4 127.0.0.1" in text

    def test_platform_before_port(self) -> None:
        call = inbound()
        assert call.feed(created()) == []
        assert brief(call.feed(opened())) == ["ConnectFar"]

    def test_the_platform_hangs_up(self) -> None:
        call = talking()
        done = call.feed(wire.FarEnded(call=CALL, by="platform", reason="agent said goodbye"))
        assert done[0] == ToSip(sip.Hangup(call=CALL, reason="platform-hung-up"))
        assert brief(done) == ["Hangup", "CloseCall", "Arm"]
        assert end_of(call) == ("success", "platform-hung-up", 0)

    def test_without_a_worker_report_the_record_is_written_all_the_same(self) -> None:
        call = talking()
        call.feed(ended())
        [written] = call.feed(CloseTimeout())
        assert isinstance(written, WriteRecord)
        assert written.record.media is None
        assert call.feed(closed(), CloseTimeout()) == []

    def test_answered_immediately_while_the_platform_is_still_asked(self) -> None:
        call = inbound(answer="immediately")
        assert brief(call.feed(opened())) == ["Answer", "StartNear"]
        assert brief(call.feed(sip.Confirmed(call=CALL), created())) == ["ConnectFar"]
        assert call.feed(ready()) == []
        assert call.session.record.times["answered"] == 1.0
        assert call.session.record.times["far-ready"] == 4.0

    def test_answered_immediately_and_no_platform_takes_it(self) -> None:
        call = inbound(answer="immediately")
        call.feed(opened(), sip.Confirmed(call=CALL))
        done = call.feed(PlatformRefused(0, PlatformBusy("one", "full").end()))
        assert done[0] == ToSip(sip.Hangup(call=CALL, reason="platform-busy"))
        assert end_of(call) == ("upstream_error", "platform-busy", 0)


class TestWithoutSdp:
    def test_our_offer_and_their_answer(self) -> None:
        call = inbound(sdp="")
        assert brief(call.feed(opened(), created(), ready())) == ["ConnectFar", "Answer"]
        assert "m=audio 20000 RTP/AVP 0 8 101" in answer_sdp(call)
        near = call.feed(sip.Negotiated(call=CALL, sdp=offer(formats="8 101")))
        assert near == [ToWorker(wire.StartNear(call=CALL, near=NEAR))]
        assert call.feed(sip.Negotiated(call=CALL, sdp=offer(formats="8 101"))) == []

    def test_an_answer_without_any_codec_of_ours_ends_the_call(self) -> None:
        call = inbound(sdp="")
        call.feed(opened(), created(), ready())
        done = call.feed(sip.Negotiated(call=CALL, sdp=offer(formats="18")))
        assert brief(done) == ["Hangup", "CloseCall", "Arm"]
        assert end_of(call) == ("client_error", "no-common-codec", 0)


class TestRefusals:
    @pytest.mark.parametrize(
        ("sdp", "status", "reason"),
        [
            ("nonsense", 400, "bad-sdp"),
            (offer(port=0), 400, "bad-sdp"),
            (offer(formats="18 101"), 488, "no-common-codec"),
        ],
    )
    def test_offers_we_cannot_take(self, sdp: str, status: int, reason: str) -> None:
        call = inbound(sdp=sdp)
        assert call.all[0] == ToSip(sip.Refuse(call=CALL, status=status))
        assert brief(call.all) == ["Refuse", "WriteRecord"]
        assert end_of(call) == ("client_error", reason, status)

    def test_no_route(self) -> None:
        call = inbound(platforms=())
        assert call.all[0] == ToSip(sip.Refuse(call=CALL, status=404))
        assert end_of(call) == ("client_error", "no-route", 404)

    @pytest.mark.parametrize(
        ("error", "status", "retry_after_s"),
        [
            (PlatformBusy("one", "full"), 486, 0),
            (PlatformBusy("one", "full", retry_after_s=7), 486, 7),
            (PlatformDown("one", "500"), 503, 5),
            (PlatformSlow("one", "3 s"), 503, 5),
            (PlatformDenied("one", "402"), 480, 0),
        ],
    )
    def test_what_the_caller_is_told_of_the_platform(
        self, error: PlatformError, status: int, retry_after_s: int
    ) -> None:
        call = inbound()
        call.feed(opened())
        done = call.feed(PlatformRefused(0, error.end()))
        assert done[0] == ToSip(sip.Refuse(call=CALL, status=status, retry_after_s=retry_after_s))
        assert brief(done) == ["Refuse", "CloseCall", "Arm"]
        assert end_of(call) == ("upstream_error", error.reason, status)

    def test_the_next_platform_is_tried(self) -> None:
        call = inbound(platforms=("one", "two"))
        call.feed(opened())
        assert call.feed(PlatformRefused(0, PlatformBusy("one", "full").end())) == [CreatePlatform(1, "two")]
        assert brief(call.feed(created(1, "two"), ready())) == ["ConnectFar", "Answer", "StartNear"]
        assert [(one.platform, one.outcome) for one in call.session.record.attempts] == [
            ("one", "platform-busy"),
            ("two", "ready"),
        ]
        assert call.session.platform == "two"

    @pytest.mark.parametrize("cause", ["refused", "slow", "lost", "nonsense"])
    def test_a_socket_that_does_not_come_up_is_a_refusal_too(self, cause: str) -> None:
        call = inbound(platforms=("one", "two"))
        call.feed(opened(), created())
        failed = wire.FarFailed(call=CALL, cause=cause, detail="no")  # type: ignore[arg-type]
        assert call.feed(failed) == [CreatePlatform(1, "two")]

    def test_a_platform_that_hangs_up_before_it_is_ready(self) -> None:
        call = inbound()
        call.feed(opened(), created())
        done = call.feed(wire.FarEnded(call=CALL, by="platform", reason="bye"))
        assert done[0] == ToSip(sip.Refuse(call=CALL, status=503, retry_after_s=5))

    def test_no_rtp_port(self) -> None:
        call = inbound()
        done = call.feed(wire.CallFailed(call=CALL, why="all ports are taken"))
        assert done[0] == ToSip(sip.Refuse(call=CALL, status=503, retry_after_s=5))
        assert brief(done) == ["Refuse", "WriteRecord"]
        assert end_of(call) == ("server_error", "no-media", 503)

    def test_near_end_the_worker_cannot_carry_gives_the_port_back(self) -> None:
        call = talking()
        done = call.feed(wire.CallFailed(call=CALL, why="no such codec"))
        assert brief(done) == ["Hangup", "CloseCall", "Arm"]

    def test_ringing_for_too_long(self) -> None:
        call = inbound()
        call.feed(opened())
        done = call.feed(RingTimeout())
        assert done[0] == ToSip(sip.Refuse(call=CALL, status=503, retry_after_s=5))
        assert call.session.record.attempts[0].outcome == "platform-slow"
        assert call.feed(created()) == [AbandonPlatform("one", "ref-one")]

    def test_the_ring_timer_of_an_answered_call_means_nothing(self) -> None:
        call = talking()
        assert call.feed(RingTimeout()) == []

    def test_refused_while_stopping(self) -> None:
        session = InboundSession(fakes.incoming(), [], CallSettings(), 0.0, fakes.STARTED_AT)
        done = session.refuse(End(Blame.SERVER, "shutdown", 503, "", 5), 0.0)
        assert brief(done) == ["Refuse", "WriteRecord"]


class TestCancel:
    """The caller gives up: everything is given back, whatever stage we are at."""

    CANCEL = ended(status=487, reason="Request Terminated")

    def test_before_anything_is_there(self) -> None:
        call = inbound()
        assert brief(call.feed(self.CANCEL)) == ["CloseCall", "Arm"]
        assert end_of(call) == ("client_error", "caller-cancelled", 487)
        assert brief(call.feed(opened(), closed())) == ["WriteRecord"]

    def test_the_stack_refuses_what_we_had_begun_to_look_after(self) -> None:
        call = inbound()
        call.feed(ended(status=422, reason="Session Interval Too Small"))
        assert end_of(call) == ("client_error", "refused-by-stack", 422)
        assert call.session.record.outcome == "failed"

    def test_the_platforms_call_arrives_afterwards(self) -> None:
        call = inbound()
        call.feed(opened(), self.CANCEL)
        assert call.feed(created()) == [AbandonPlatform("one", "ref-one")]

    def test_it_arrives_after_the_record(self) -> None:
        call = inbound()
        call.feed(opened(), self.CANCEL, closed())
        assert call.session.state is State.CLOSED
        assert call.feed(created()) == [AbandonPlatform("one", "ref-one")]

    def test_created_but_without_a_port(self) -> None:
        call = inbound()
        call.feed(created())
        assert brief(call.feed(self.CANCEL)) == ["AbandonPlatform", "CloseCall", "Arm"]

    def test_while_the_socket_comes_up(self) -> None:
        call = inbound()
        call.feed(opened(), created())
        assert brief(call.feed(self.CANCEL)) == ["CloseCall", "Arm"]
        assert call.feed(ready()) == []

    def test_crossing_our_answer(self) -> None:
        call = inbound()
        call.feed(opened(), created(), ready())
        assert brief(call.feed(self.CANCEL)) == ["CloseCall", "Arm"]
        assert end_of(call) == ("success", "caller-hung-up", 0)
