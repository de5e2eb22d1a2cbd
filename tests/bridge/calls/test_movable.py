"""A call that stands, and its transfers: which dialog it is in, who is told, and how it ends."""

from __future__ import annotations

import pytest

from bridge.calls.hunt import Candidate
from bridge.calls.inbound import InboundSession
from bridge.calls.outbound import Order, OutboundSession
from bridge.calls.session import CallSettings, State
from bridge.calls.trunks import Way
from bridge.calls.words import (
    Arm,
    ByeTimeout,
    FindWays,
    LegAnswered,
    LegFailed,
    LegJoined,
    PlaceBeside,
    Shutdown,
    TellCall,
    ToSip,
    ToWorker,
    TransferWanted,
    TrunkTaken,
    WaysFound,
)
from bridge.errors import Blame, End
from media import wire
from sip import messages as sip
from tests.fakes import CALL, OFFER, STARTED_AT, Drive, brief, end_of, ended, incoming, offer, opened, talking

TO = "sip:+4930222@192.0.2.9"
WAY = Way(uri=TO, trunk="local")
NEW = f"{CALL}.t1"


def lines(call: Drive) -> list[sip.Command]:
    return [one.message for one in call.all if isinstance(one, ToSip)]


def hows(call: Drive) -> list[object]:
    return [moment.data["how"] for moment in call.session.record.moments if moment.kind == "transfer"]


def far_ended() -> wire.FarEnded:
    return wire.FarEnded(call=CALL, by="platform", reason="done")


def session_of(call: Drive) -> InboundSession:
    assert isinstance(call.session, InboundSession)
    return call.session


class TestAskedByThePeer:
    def referred(self, to: str = TO, replaces: str = "") -> sip.Referred:
        return sip.Referred(call=CALL, to_uri=to, replaces=replaces)

    def dialled(self) -> Drive:
        call = talking()
        call.feed(self.referred(), WaysFound(1, (WAY,)), TrunkTaken(0))
        return call

    def moved(self) -> Drive:
        call = self.dialled()
        call.feed(sip.Ringing(call=NEW, status=180), sip.Answered(call=NEW, sdp=OFFER.replace("4000", "4400")))
        return call

    def test_the_call_goes_on_in_the_new_dialog(self) -> None:
        call = self.moved()
        assert (call.session.leg, call.session.state) == (NEW, State.TALKING)
        [*_, start] = [
            one.message for one in call.all if isinstance(one, ToWorker) and isinstance(one.message, wire.StartNear)
        ]
        assert start.near.port == 4400
        assert sip.NotifyRefer(call=CALL, status=200) in lines(call)
        assert hows(call) == ["asked-by-peer", "moved"]
        assert [attempt.outcome for attempt in call.session.record.trunk_attempts] == ["answered"]

    def test_the_referrer_hangs_up_or_we_do(self) -> None:
        polite, silent = self.moved(), self.moved()
        assert Arm(ByeTimeout(CALL), 2000) in polite.all
        assert polite.feed(ended(CALL), ByeTimeout(CALL)) == []
        assert silent.feed(ByeTimeout(CALL)) == [ToSip(sip.Hangup(call=CALL, reason="transferred"))]
        assert polite.session.state is silent.session.state is State.TALKING

    def test_the_new_peer_hangs_up(self) -> None:
        call = self.moved()
        call.feed(ended(CALL), ended(NEW))
        assert end_of(call) == ("success", "caller-hung-up", 0)

    def test_we_hang_up_both_while_the_referrer_is_still_there(self) -> None:
        call = self.moved()
        hangups = [one.message for one in call.feed(Shutdown()) if isinstance(one, ToSip)]
        assert {message.call for message in hangups if isinstance(message, sip.Hangup)} == {CALL, NEW}

    def test_the_old_dialog_is_not_negotiated_any_more(self) -> None:
        call = self.moved()
        assert brief(call.feed(sip.Reoffer(call=CALL, sdp=offer(port=4999)))) == ["RefuseReoffer"]
        assert call.feed(sip.Referred(call=CALL, to_uri=TO)) == [ToSip(sip.AnswerRefer(call=CALL, status=603))]

    def test_it_fails_and_the_old_dialog_goes_on(self) -> None:
        call = self.dialled()
        call.feed(ended(NEW, status=486, reason="Busy"))
        assert sip.NotifyRefer(call=CALL, status=486) in lines(call)
        assert (call.session.leg, session_of(call).why_no_transfer) == (CALL, "")

    def test_the_referrer_does_not_wait(self) -> None:
        gone, failed = self.dialled(), self.dialled()
        for call in (gone, failed):
            assert call.feed(ended(CALL), wire.NearQuiet(call=CALL, silent_ms=15000)) == []
        gone.feed(sip.Answered(call=NEW, sdp=OFFER))
        assert (gone.session.leg, gone.session.state) == (NEW, State.TALKING)
        assert sip.NotifyRefer(call=CALL, status=200) not in lines(gone)
        failed.feed(ended(NEW, status=486, reason="Busy"))
        assert end_of(failed) == ("upstream_error", "transfer-failed", 0)

    def test_the_call_ends_while_it_rings_there(self) -> None:
        call = self.dialled()
        call.feed(far_ended())
        assert sip.Hangup(call=NEW) in lines(call)
        assert end_of(call)[1] == "platform-hung-up"

    def test_an_answer_that_comes_too_late(self) -> None:
        call = self.dialled()
        call.feed(ended(NEW, status=408))
        assert brief(call.feed(sip.Answered(call=NEW, sdp=OFFER))) == ["Hangup"]
        assert call.session.leg == CALL

    def test_one_at_a_time(self) -> None:
        call = self.dialled()
        assert call.feed(self.referred()) == [ToSip(sip.AnswerRefer(call=CALL, status=491))]
        assert call.feed(TransferWanted(TO, "blind")) == []

    @pytest.mark.parametrize("replaces", ["", "c9"], ids=["forbidden", "another call of ours"])
    def test_declined(self, replaces: str) -> None:
        call = talking()
        if not replaces:
            call.session.settings = type(call.session.settings)(allow_refer=False)
        [answer, *_] = call.feed(self.referred(replaces=replaces))
        assert answer == ToSip(sip.AnswerRefer(call=CALL, status=603))
        assert hows(call) == ["refused"]


class TestReplaced:
    def test_who_calls_takes_the_place_of_the_peer(self) -> None:
        call = talking()
        commands = call.feed(incoming("new", sdp=OFFER.replace("4000", "4400")))
        assert brief(commands) == ["Answer", "StartNear", "Hangup"]
        assert call.session.leg == "new"
        call.feed(sip.Confirmed(call="new"), ended(CALL))
        assert call.session.state is State.TALKING
        call.feed(ended("new"))
        assert end_of(call) == ("success", "caller-hung-up", 0)

    def test_without_an_offer_it_gets_ours(self) -> None:
        call = talking()
        [answer, *_] = call.feed(incoming("new", sdp=""))
        assert isinstance(answer, ToSip)
        assert isinstance(answer.message, sip.Answer)
        assert "m=audio 20000 " in answer.message.sdp
        assert brief(call.feed(sip.Negotiated(call="new", sdp=OFFER))) == ["StartNear"]

    def test_refusals(self) -> None:
        bad, forbidden = talking(), talking()
        forbidden.session.settings = type(forbidden.session.settings)(allow_refer=False)
        assert bad.feed(incoming("new", sdp=OFFER.replace("8 0 101", "3"))) == [
            ToSip(sip.Refuse(call="new", status=488))
        ]
        assert forbidden.feed(incoming("new")) == [ToSip(sip.Refuse(call="new", status=603))]
        assert bad.session.leg == forbidden.session.leg == CALL
        over = talking()
        over.feed(ended())
        assert over.feed(incoming("new")) == [ToSip(sip.Refuse(call="new", status=481))]


class TestAskedByUs:
    def asked(self, mode: str = "bridge") -> Drive:
        call = talking()
        commands = call.feed(TransferWanted(TO, mode))  # type: ignore[arg-type]
        assert FindWays(1, TO, "local") in commands
        call.feed(WaysFound(1, (WAY,)))
        return call

    def test_the_peer_has_done_it(self) -> None:
        call = self.asked("blind")
        call.feed(sip.ReferProgress(call=CALL, status=200, reason="OK", final=True))
        assert end_of(call) == ("success", "transferred", 0)
        assert hows(call) == ["asked", "done"]
        assert brief(call.all)[-3:] == ["Hangup", "CloseCall", "Arm"]

    def test_the_peer_hangs_up_once_it_has_taken_it_on(self) -> None:
        taken, untouched = self.asked("blind"), self.asked("blind")
        taken.feed(sip.ReferProgress(call=CALL, status=100, reason="", final=False), ended())
        untouched.feed(ended())
        assert (end_of(taken)[1], end_of(untouched)[1]) == ("transferred", "caller-hung-up")
        assert "Hangup" not in brief(taken.all)

    def test_joined_with_the_call_beside(self) -> None:
        call = self.asked()
        assert PlaceBeside(f"{CALL}.b1-1", TO, (WAY,)) in call.all
        call.feed(LegAnswered(f"{CALL}.b1-1"), LegJoined())
        assert hows(call) == ["asked", "joined"]
        call.feed(far_ended())
        assert end_of(call) == ("success", "other-party-hung-up", 0)

    def test_the_agent_hangs_up_before_it_is_done(self) -> None:
        """It has said good-bye; the caller waits for the other, and is let go only when nobody comes."""
        fine, failed = self.asked(), self.asked()
        for call in (fine, failed):
            call.feed(far_ended())
            assert call.session.end is None
        fine.feed(LegAnswered("x"), LegJoined())
        assert fine.session.end is None
        failed.feed(LegFailed(End(Blame.CLIENT, "busy", 486)))
        assert end_of(failed)[1] == "transfer-failed"

    def test_it_fails_and_may_be_tried_again(self) -> None:
        call = self.asked()
        call.feed(LegFailed(End(Blame.CLIENT, "busy", 486)))
        assert (session_of(call).why_no_transfer, hows(call)) == ("", ["asked", "failed"])
        assert FindWays(2, TO, "local") in call.feed(TransferWanted(TO, "bridge"))

    def test_the_caller_hangs_up_while_it_rings(self) -> None:
        call = self.asked()
        commands = call.feed(ended())
        assert [one.call for one in commands if isinstance(one, TellCall)] == [f"{CALL}.b1-1"]

    def test_not_before_anybody_talks(self) -> None:
        call = talking()
        assert session_of(call).why_no_transfer == ""
        call.feed(ended())
        assert session_of(call).why_no_transfer == "nobody talks in this call just now"


def test_keys_that_the_peer_knows_no_events_for_go_by_info() -> None:
    call = talking()
    sent = call.feed(wire.KeysUnsent(call=CALL, digits="1#"))
    assert sent == [ToSip(sip.SendInfoDigit(call=CALL, digit=digit)) for digit in "1#"]


def test_a_session_that_was_not_refreshed_says_so() -> None:
    call = talking()
    call.feed(ended(status=408, reason="No session refresh received.", by="error"))
    assert end_of(call) == ("upstream_error", "session-expired", 0)


@pytest.mark.parametrize(("allowed", "status"), [(True, 202), (False, 603)])
def test_of_a_call_that_we_placed_the_trunk_decides_that_carries_it(allowed: bool, status: int) -> None:
    order = Order(
        to="+4930222", ways=(Way(uri=TO, trunk="local", allow_refer=allowed),), candidates=(Candidate("one"),)
    )
    session = OutboundSession(CALL, order, CallSettings(), 0.0, STARTED_AT)
    call = Drive(session, session.start(0.0))
    call.feed(opened(), TrunkTaken(0), sip.Answered(call=CALL, sdp=OFFER))
    assert sip.AnswerRefer(call=CALL, status=status) in [
        one.message for one in call.feed(sip.Referred(call=CALL, to_uri=TO)) if isinstance(one, ToSip)
    ]
