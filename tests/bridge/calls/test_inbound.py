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
    Input,
    LineLost,
    PlatformRefused,
    RingTimeout,
    Shutdown,
    ToSip,
    ToWorker,
    WorkerLost,
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
from tests.fakes import CALL, NEAR, Drive, brief, closed, created, ended, far_spec, inbound, offer, opened, ready


def talking(**options: object) -> Drive:
    call = inbound(**options)  # type: ignore[arg-type]
    call.feed(opened(), created(), ready(), sip.Confirmed(call=CALL))
    assert call.session.state is State.TALKING
    return call


def answer_sdp(call: Drive) -> str:
    [text] = [one.message.sdp for one in call.all if isinstance(one, ToSip) and isinstance(one.message, sip.Answer)]
    return text


def end_of(call: Drive) -> tuple[str, str, int]:
    assert call.session.end is not None
    return call.session.end.blame.value, call.session.end.reason, call.session.record.sip_status


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


class TestReoffers:
    def reoffer(self, call: Drive, sdp: str, *, answered: bool = False) -> list[str]:
        return brief(call.feed(sip.Reoffer(call=CALL, sdp=sdp, answered=answered)))

    def near(self, call: Drive) -> wire.NearSpec:
        [*_, last] = [
            one.message for one in call.all if isinstance(one, ToWorker) and isinstance(one.message, wire.StartNear)
        ]
        return last.near

    @pytest.mark.parametrize(
        ("sdp", "sends", "receives", "ours"),
        [
            (offer(direction="sendonly"), True, False, "a=recvonly"),
            (offer(direction="inactive"), False, False, "a=inactive"),
            (offer(host="0.0.0.0"), True, False, "a=recvonly"),
        ],
    )
    def test_hold_and_resume(self, sdp: str, sends: bool, receives: bool, ours: str) -> None:
        call = talking()
        assert self.reoffer(call, sdp) == ["AnswerReoffer", "StartNear"]
        assert (self.near(call).sends, self.near(call).receives) == (sends, receives)
        answers = [one.message.sdp for one in call.all if isinstance(one, ToSip) and hasattr(one.message, "sdp")]
        assert ours in answers[-1]
        assert self.reoffer(call, offer()) == ["AnswerReoffer", "StartNear"]
        assert self.near(call) == NEAR

    def test_another_address_and_codec(self) -> None:
        call = talking()
        self.reoffer(call, offer(host="192.0.2.9", port=5000, formats="0"))
        assert self.near(call) == wire.NearSpec(host="192.0.2.9", port=5000, codec="PCMU", payload_type=0)
        assert call.session.record.codec == "PCMU"

    def test_without_sdp_we_offer(self) -> None:
        call = talking()
        assert self.reoffer(call, "") == ["AnswerReoffer"]
        near = call.feed(sip.Negotiated(call=CALL, sdp=offer(port=6000, formats="0")))
        assert brief(near) == ["StartNear"]
        assert self.near(call).port == 6000

    @pytest.mark.parametrize("sdp", ["nonsense", offer(formats="18")])
    def test_a_bad_one_is_refused_and_the_call_goes_on(self, sdp: str) -> None:
        call = talking()
        done = call.feed(sip.Reoffer(call=CALL, sdp=sdp))
        assert done == [ToSip(sip.RefuseReoffer(call=CALL, status=488))]
        assert call.session.state is State.TALKING
        assert self.near(call) == NEAR

    def test_a_bad_answer_to_our_offer_leaves_what_was_agreed(self) -> None:
        call = talking()
        self.reoffer(call, "")
        assert call.feed(sip.Negotiated(call=CALL, sdp="nonsense")) == []
        assert call.session.state is State.TALKING

    def test_told_not_asked(self) -> None:
        call = talking()
        assert self.reoffer(call, offer(port=5000), answered=True) == ["StartNear"]
        assert self.reoffer(call, "", answered=True) == []
        assert self.reoffer(call, "nonsense", answered=True) == []

    def test_while_the_first_offer_is_open(self) -> None:
        call = inbound()
        assert call.feed(sip.Reoffer(call=CALL, sdp=offer())) == [ToSip(sip.RefuseReoffer(call=CALL, status=491))]
        assert call.feed(sip.Reoffer(call=CALL, sdp=offer(), answered=True)) == []


class TestTrouble:
    def test_platform_lost_in_mid_call(self) -> None:
        call = talking()
        done = call.feed(wire.FarFailed(call=CALL, cause="lost", detail="closed with 1006"))
        assert brief(done) == ["Hangup", "CloseCall", "Arm"]
        assert end_of(call) == ("upstream_error", "platform-lost", 0)

    def test_platform_ends_with_an_error(self) -> None:
        call = talking()
        call.feed(wire.FarEnded(call=CALL, by="error", reason="closed with 1011"))
        assert end_of(call) == ("upstream_error", "platform-lost", 0)

    def test_caller_falls_silent(self) -> None:
        call = talking()
        assert brief(call.feed(wire.NearQuiet(call=CALL, silent_ms=15000))) == ["Hangup", "CloseCall", "Arm"]
        assert end_of(call) == ("upstream_error", "media-timeout", 0)
        assert call.session.record.detail == "no RTP for 15.0 s"

    def test_worker_lost(self) -> None:
        call = talking()
        assert brief(call.feed(WorkerLost("media worker 0 exited with 1"))) == ["Hangup", "WriteRecord"]
        assert end_of(call) == ("server_error", "worker-lost", 0)

    def test_worker_lost_while_ringing(self) -> None:
        call = inbound()
        done = call.feed(WorkerLost("gone"))
        assert done[0] == ToSip(sip.Refuse(call=CALL, status=503, retry_after_s=5))
        assert brief(done) == ["Refuse", "WriteRecord"]

    def test_worker_lost_while_closing(self) -> None:
        call = talking()
        call.feed(ended())
        assert brief(call.feed(WorkerLost("gone"))) == ["WriteRecord"]
        assert end_of(call) == ("success", "caller-hung-up", 0)

    def test_line_lost_while_ringing(self) -> None:
        call = inbound()
        assert brief(call.feed(LineLost("exited with 1"))) == ["CloseCall", "Arm"]
        assert end_of(call) == ("server_error", "sip-process-lost", 0)

    def test_line_lost_while_talking_lets_the_audio_flow_on(self) -> None:
        call = talking()
        assert call.feed(LineLost("exited with 1")) == []
        assert call.session.state is State.TALKING
        assert brief(call.feed(wire.NearQuiet(call=CALL, silent_ms=15000))) == ["CloseCall", "Arm"]
        assert end_of(call) == ("server_error", "sip-process-lost", 0)

    def test_the_dialog_dies(self) -> None:
        call = talking()
        call.feed(ended(status=408, reason="no ACK", by="error"))
        assert end_of(call) == ("upstream_error", "line-lost", 0)
        assert call.session.record.detail == "408 no ACK"

    @pytest.mark.parametrize("stage", [(), (opened(), created(), ready())])
    def test_shutdown(self, stage: tuple[Input, ...]) -> None:
        call = inbound()
        call.feed(*stage)
        assert brief(call.feed(Shutdown())) == ["Hangup" if stage else "Refuse", "CloseCall", "Arm"]
        assert end_of(call) == ("server_error", "shutdown", 0 if stage else 503)

    def test_a_bug_ends_the_call(self) -> None:
        call = talking()
        done = call.session.crash("at FarEvent", 9.0)
        assert brief(done) == ["Hangup", "CloseCall", "Arm"]
        assert end_of(call) == ("server_error", "internal-error", 0)
        assert brief(call.session.crash("again", 9.0)) == ["WriteRecord"]
        assert call.session.crash("and again", 9.0) == []


class TestDigitsAndMoments:
    def test_a_digit_by_info_goes_to_the_platform(self) -> None:
        call = talking()
        done = call.feed(sip.InfoDigit(call=CALL, digit="5", duration_ms=160))
        assert done == [ToWorker(wire.Digit(call=CALL, digit="5"))]
        [moment] = call.session.record.moments
        assert (moment.kind, moment.text, moment.data) == ("digit", "5", {"duration_ms": 160, "how": "info"})

    def test_a_digit_in_the_audio_is_only_noted(self) -> None:
        call = talking()
        assert call.feed(wire.DigitHeard(call=CALL, digit="#", duration_ms=100)) == []
        assert [moment.text for moment in call.session.record.moments] == ["#"]

    def test_last_words_reach_the_record(self) -> None:
        call = talking()
        last = wire.Moment(kind="transcript", at_s=5.0, who="agent", text="Bye")
        call.feed(ended(), wire.FarEvent(call=CALL, moment=last), closed())
        assert call.session.record.moments == [last]

    def test_too_many_moments(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bridge.calls.session.MAX_MOMENTS", 2)
        call = talking()
        for number in range(5):
            moment = wire.Moment(kind="state", at_s=float(number), text="speaking")
            call.feed(wire.FarEvent(call=CALL, moment=moment))
        call.feed(ended(), closed())
        assert [moment.text for moment in call.session.record.moments] == [
            *("speaking", "speaking"),
            "3 more moments left out",
        ]


EVERY_INPUT: list[Input] = [
    opened(),
    created(),
    created(1, "two"),
    PlatformRefused(0, PlatformDown("one", "x").end()),
    ready(),
    wire.FarFailed(call=CALL, cause="lost", detail=""),
    wire.FarEnded(call=CALL, by="platform", reason=""),
    wire.NearQuiet(call=CALL, silent_ms=1),
    wire.DigitHeard(call=CALL, digit="1", duration_ms=1),
    wire.CallFailed(call=CALL, why=""),
    closed(),
    sip.Ringing(call=CALL, status=180),
    sip.Answered(call=CALL, sdp=""),
    sip.Confirmed(call=CALL),
    sip.Negotiated(call=CALL, sdp="x"),
    sip.Reoffer(call=CALL, sdp="x"),
    sip.InfoDigit(call=CALL, digit="1", duration_ms=1),
    ended(),
    WorkerLost(""),
    LineLost(""),
    Shutdown(),
    RingTimeout(),
    CloseTimeout(),
]


class TestAnyOrder:
    """Whatever comes in whatever order: no exception, one end, one record."""

    @pytest.mark.parametrize("first", EVERY_INPUT, ids=lambda one: type(one).__name__)
    @pytest.mark.parametrize("answer", ["when-ready", "immediately"])
    def test_every_pair_in_every_state(self, first: Input, answer: str) -> None:
        stages: list[list[Input]] = [
            [],
            [opened()],
            [opened(), created()],
            [opened(), created(), ready()],
            [opened(), created(), ready(), sip.Confirmed(call=CALL)],
            [opened(), created(), ready(), sip.Confirmed(call=CALL), ended()],
            [opened(), created(), ready(), ended(), closed()],
        ]
        for stage in stages:
            for second in EVERY_INPUT:
                call = inbound(platforms=("one", "two"), answer=answer)
                call.feed(*stage, first, second, ended(), CloseTimeout())
                assert call.session.state is State.CLOSED, (stage, second)
                assert brief(call.all).count("WriteRecord") == 1
                told = {"Refuse", "Hangup"} & set(brief(call.all))
                assert len(told) <= 1
