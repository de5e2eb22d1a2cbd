"""What both directions share, driven as an inbound call: re-offers, trouble, digits, and inputs in any order."""

from __future__ import annotations

import pytest

from bridge.calls.session import State
from bridge.calls.words import (
    CloseTimeout,
    Input,
    LineLost,
    PlatformRefused,
    RingTimeout,
    Shutdown,
    ToSip,
    ToWorker,
    WorkerLost,
)
from bridge.errors import (
    PlatformDown,
)
from media import wire
from sip import messages as sip
from tests.fakes import (
    CALL,
    NEAR,
    Drive,
    brief,
    closed,
    created,
    end_of,
    ended,
    inbound,
    offer,
    opened,
    ready,
    talking,
)


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
