"""A call that we place to a platform's agent: when it is asked, when it is connected, and who comes after it."""

from __future__ import annotations

from bridge.calls.session import State
from bridge.calls.words import AbandonPlatform, CreatePlatform, PlatformRefused, RingTimeout, ToSip, ToWorker
from bridge.errors import PlatformBusy, PlatformDown
from media import wire
from sip import messages as sip
from tests.bridge.calls.test_outbound import answered, first_audio, ringing, to_platforms
from tests.fakes import CALL, brief, closed, created, ended, far_spec


class TestPlatforms:
    def test_asked_when_answered(self) -> None:
        call = to_platforms()
        assert brief(call.feed(ringing())) == ["Arm"]
        assert brief(call.feed(answered())) == ["TellTrunks", "StartNear", "CreatePlatform"]
        assert brief(call.feed(created())) == ["ConnectFar"]
        call.feed(wire.FarReady(call=CALL, took_ms=3.0), first_audio())
        call.feed(wire.FarEnded(call=CALL, by="platform", reason="goodbye"))
        call.feed(closed())
        record = call.session.record
        assert (record.outcome, record.blame, record.reason) == ("answered", "success", "platform-hung-up")
        assert (record.platform, record.country, record.request_id) == ("one", "MX", "key-1")
        assert [one.outcome for one in record.attempts] == ["ready"]

    def test_asked_while_it_rings_and_connected_when_answered(self) -> None:
        call = to_platforms(connect="while-ringing")
        assert CreatePlatform(0, "one") in call.feed(ringing())
        assert call.feed(ringing()) == []
        assert call.feed(created()) == []
        assert brief(call.feed(answered())) == ["TellTrunks", "StartNear", "ConnectFar"]

    def test_answered_before_it_has_said_yes(self) -> None:
        call = to_platforms(connect="while-ringing")
        call.feed(ringing(), answered())
        assert brief(call.feed(created())) == ["ConnectFar"]

    def test_answered_without_ringing(self) -> None:
        call = to_platforms(connect="while-ringing")
        assert brief(call.feed(answered())) == ["TellTrunks", "StartNear", "CreatePlatform"]

    def test_no_platform_is_asked_for_a_busy_callee(self) -> None:
        call = to_platforms(connect="while-ringing")
        call.feed(ended(status=486))
        assert "CreatePlatform" not in brief(call.all)

    def test_nobody_answers_and_the_platform_was_asked_in_vain(self) -> None:
        call = to_platforms(connect="while-ringing")
        call.feed(ringing(), created())
        call.now += 20
        out = call.feed(RingTimeout())
        assert AbandonPlatform("one", "ref-one") in out

    def test_a_platform_that_says_yes_too_late(self) -> None:
        call = to_platforms(connect="while-ringing")
        call.feed(ringing(), ended(status=486))
        assert call.feed(created()) == [AbandonPlatform("one", "ref-one")]
        call.feed(closed())
        assert call.feed(created()) == [AbandonPlatform("one", "ref-one")]

    def test_the_second_platform(self) -> None:
        call = to_platforms()
        call.feed(answered())
        assert call.feed(PlatformRefused(0, PlatformBusy("one", "full").end())) == [CreatePlatform(1, "two")]
        call.feed(created(1, "two"))
        refused = wire.FarFailed(call=CALL, cause="refused", detail="HTTP 500")
        call.feed(refused)
        assert (call.session.record.outcome, call.session.record.reason) == ("answered", "platform-down")
        assert ToSip(sip.Hangup(call=CALL, reason="platform-down")) in call.all

    def test_lost_before_anybody_heard_it(self) -> None:
        call = to_platforms()
        call.feed(answered(), created(), wire.FarReady(call=CALL, took_ms=1.0))
        lost = wire.FarEnded(call=CALL, by="error", reason="closed with 1011")
        assert call.feed(lost) == [CreatePlatform(1, "two")]
        assert call.feed(created(1, "two")) == [
            ToWorker(wire.ConnectFar(call=CALL, far=far_spec("two"), timeout_ms=5000))
        ]
        call.feed(wire.FarReady(call=CALL, took_ms=1.0), first_audio())
        assert [one.outcome for one in call.session.record.attempts] == ["ready", "platform-lost", "ready"]
        assert call.session.state is State.TALKING

    def test_lost_after_that(self) -> None:
        call = to_platforms()
        call.feed(answered(), created(), wire.FarReady(call=CALL, took_ms=1.0), first_audio())
        call.feed(wire.FarEnded(call=CALL, by="error", reason="closed with 1011"))
        record = call.session.record
        assert (record.blame, record.reason) == ("upstream_error", "platform-lost")

    def test_none_left_while_it_rings(self) -> None:
        call = to_platforms("one", connect="while-ringing")
        call.feed(ringing())
        out = call.feed(PlatformRefused(0, PlatformDown("one", "HTTP 500").end()))
        assert brief(out) == ["Hangup", "TellTrunks", "CloseCall", "Arm"]
        record = call.session.record
        assert (record.outcome, record.reason) == ("failed", "platform-down")

    def test_gone_before_it_was_ready(self) -> None:
        call = to_platforms("one")
        call.feed(answered(), created(), wire.FarEnded(call=CALL, by="error", reason="closed"))
        assert call.session.record.reason == "platform-down"
