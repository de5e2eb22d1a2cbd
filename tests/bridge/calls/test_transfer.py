"""The two machines of a transfer by themselves: who is asked, what follows each answer, and what is given up."""

from __future__ import annotations

import pytest

from bridge.calls.near import NearSide
from bridge.calls.transfer import HandOver, Move, Stage
from bridge.calls.trunks import Way
from bridge.calls.words import (
    Arm,
    Command,
    FindWays,
    HangUp,
    Input,
    Join,
    LegAnswered,
    LegFailed,
    LegJoined,
    PlaceBeside,
    RingTimeout,
    TellCall,
    ToSip,
    TransferMode,
    TransferTimeout,
    TransferWanted,
    TrunkFull,
    TrunkTaken,
    WaysFound,
)
from bridge.errors import Blame, End
from sip import messages as sip
from tests.fakes import OFFER

TO = "sip:+4930222@192.0.2.9"
LOOP, OTHER = Way(uri=TO, trunk="loop"), Way(uri="sip:+4930222@192.0.2.8", trunk="other")
BUSY = End(Blame.CLIENT, "busy", 486, "486 Busy Here")


def told(commands: list[Command]) -> list[sip.Command]:
    return [command.message for command in commands if isinstance(command, ToSip)]


def statuses(commands: list[Command]) -> list[int]:
    """Of the NOTIFYs among them."""
    return [message.status for message in told(commands) if isinstance(message, sip.NotifyRefer)]


class TestMove:
    def move(self, *ways: Way, referred: sip.Referred | None = None) -> tuple[Move, list[Command]]:
        """As far as the room on the first trunk is asked for."""
        near = NearSide(("PCMU", "PCMA"), "203.0.113.1")
        near.on_port("192.0.2.1", 20000)
        timeouts = {"setup_timeout_ms": 4000, "ring_timeout_ms": 20000, "most_attempts": 3}
        move = Move("c1", 1, referred or sip.Referred(call="leg", to_uri=TO), "loop", near, timeouts)
        begun = move.start()
        return move, [*begun, *move.feed(WaysFound(1, ways or (LOOP,)), 1.0)]

    def dialled(self, *ways: Way, referred: sip.Referred | None = None) -> tuple[Move, sip.Dial]:
        move, _ = self.move(*ways, referred=referred)
        [dial] = [message for message in told(move.feed(TrunkTaken(0), 2.0)) if isinstance(message, sip.Dial)]
        return move, dial

    def test_accepted_at_once_and_the_target_looked_for(self) -> None:
        move, commands = self.move()
        assert told(commands) == [sip.AnswerRefer(call="leg"), sip.NotifyRefer(call="leg", status=100)]
        assert FindWays(1, TO, "loop") in commands
        assert move.stage is Stage.DIALLING

    def test_the_offer_names_the_port_that_the_call_has_and_who_asked(self) -> None:
        header = "abc;to-tag=1;from-tag=2"
        referred = sip.Referred(call="leg", to_uri=TO, replaces_header=header, referred_by="sip:agent@192.0.2.8")
        way = Way(uri=TO, trunk="loop", headers=(("X-A", "1"),), codecs=("PCMA",), public_host="198.51.100.1")
        _, dial = self.dialled(way, referred=referred)
        assert (dial.call, dial.uri, dial.trunk) == ("c1.t1", TO, "loop")
        assert dial.headers == (
            ("X-A", "1"),
            ("Referred-By", "<sip:agent@192.0.2.8>"),
            ("Replaces", header),
            ("Require", "replaces"),
        )
        assert "m=audio 20000 RTP/AVP 8 101" in dial.sdp
        assert "c=IN IP4 198.51.100.1" in dial.sdp

    def test_answered(self) -> None:
        move, dial = self.dialled()
        assert statuses(move.feed(sip.Ringing(call=dial.call, status=183), 3.0)) == [183]
        move.feed(sip.Answered(call=dial.call, sdp=OFFER), 4.0)
        assert (move.stage, move.status) == (Stage.ANSWERED, 200)
        spec = move.near.spec()
        assert spec is not None
        assert (spec.host, spec.codec) == ("192.0.2.7", "PCMA")
        assert move.give_up() == []

    def test_an_answer_that_we_cannot_talk_with(self) -> None:
        move, dial = self.dialled()
        commands = move.feed(sip.Answered(call=dial.call, sdp=OFFER.replace("8 0 101", "3")), 4.0)
        assert told(commands) == [sip.Hangup(call=dial.call)]
        assert (move.stage, move.status) == (Stage.FAILED, 488)

    def test_the_next_trunk_and_then_none(self) -> None:
        move, dial = self.dialled(LOOP, OTHER)
        move.feed(sip.Ended(call=dial.call, status=503, reason="Down", by="remote"), 3.0)
        assert (move.stage, move.leg) == (Stage.DIALLING, "c1.t1.2")
        move.feed(TrunkFull(1, "30 calls stand"), 4.0)
        assert (move.stage, move.status) == (Stage.FAILED, 503)

    @pytest.mark.parametrize(("status", "by"), [(486, "remote"), (603, "remote"), (404, "remote")])
    def test_refused(self, status: int, by: str) -> None:
        move, dial = self.dialled()
        move.feed(sip.Ended(call=dial.call, status=status, reason="No", by=by), 3.0)  # type: ignore[arg-type]
        assert (move.stage, move.status) == (Stage.FAILED, status)

    def test_no_way_at_all(self) -> None:
        move, _ = self.move()
        nowhere = Move("c1", 2, sip.Referred(call="leg", to_uri=TO), "loop", move.near, {})
        nowhere.start()
        nowhere.feed(WaysFound(1, (LOOP,)), 1.0)  # the answer to another question
        assert nowhere.stage is Stage.FINDING
        nowhere.feed(WaysFound(2, ()), 1.0)
        assert (nowhere.stage, nowhere.status) == (Stage.FAILED, 503)

    def test_nobody_answers(self) -> None:
        move, dial = self.dialled()
        move.feed(sip.Ringing(call=dial.call, status=180), 3.0)
        assert move.feed(RingTimeout(), 10.0) == []
        commands = move.feed(RingTimeout(), 23.0)
        assert sip.Hangup(call=dial.call) in told(commands)
        assert (move.stage, move.status) == (Stage.FAILED, 408)

    def test_given_up_while_it_rings(self) -> None:
        move, dial = self.dialled()
        assert told(move.give_up()) == [sip.Hangup(call=dial.call)]
        assert self.move()[0].give_up() == []


class TestHandOver:
    def hand_over(self, mode: TransferMode, *ways: Way, to: str = TO) -> tuple[HandOver, list[Command]]:
        one = HandOver("c1", "leg", 1, TransferWanted(to, mode), "loop")
        assert one.start() == [FindWays(1, to, "loop")]
        return one, one.feed(WaysFound(1, ways), 1.0)

    def feed(self, one: HandOver, *inputs: Input) -> list[Command]:
        return [command for received in inputs for command in one.feed(received, 2.0)]

    def progress(self, status: int, *, final: bool) -> sip.ReferProgress:
        return sip.ReferProgress(call="leg", status=status, reason="", final=final)

    def test_blind_the_peer_is_asked_in_terms_of_its_own_trunk(self) -> None:
        one, commands = self.hand_over("blind", OTHER, LOOP, to="+4930222")
        assert told(commands) == [sip.Refer(call="leg", to_uri=TO)]
        assert self.feed(one, self.progress(100, final=False), self.progress(180, final=False))
        assert one.is_taken
        self.feed(one, self.progress(200, final=True))
        assert (one.stage, one.status) == (Stage.DONE, 200)

    @pytest.mark.parametrize("status", [405, 501, 503, 603])
    def test_blind_and_refused(self, status: int) -> None:
        one, _ = self.hand_over("blind", LOOP, OTHER)
        assert self.feed(one, self.progress(status, final=True)) == [PlaceBeside("c1.b1-1", TO, (LOOP, OTHER))]
        assert one.stage is Stage.DIALLING

    def test_blind_and_no_trunk_of_its_own_leads_there(self) -> None:
        _, commands = self.hand_over("blind", OTHER)
        assert commands == [PlaceBeside("c1.b1-1", TO, (OTHER,))]

    def test_what_the_target_has_said_is_not_asked_again(self) -> None:
        one, _ = self.hand_over("blind", LOOP)
        assert self.feed(one, self.progress(100, final=False), self.progress(486, final=True))[1:] == []
        assert (one.stage, one.status) == (Stage.FAILED, 486)

    def test_a_peer_that_says_nothing(self) -> None:
        """Each word of its gives it more time; the clock that ran before counts no more."""
        one, commands = self.hand_over("blind", LOOP)
        assert Arm(TransferTimeout(1), 10_000) in commands
        assert Arm(TransferTimeout(2), 90_000) in self.feed(one, self.progress(100, final=False))
        assert self.feed(one, TransferTimeout(1)) == []
        assert self.feed(one, TransferTimeout(2)) == [PlaceBeside("c1.b1-1", TO, (LOOP,))]

    def test_bridge(self) -> None:
        one, commands = self.hand_over("bridge", LOOP)
        assert commands == [PlaceBeside("c1.b1-1", TO, (LOOP,))]
        assert self.feed(one, LegAnswered("c1.b1-1")) == [TellCall("c1.b1-1", Join())]
        stages = [one.stage]
        self.feed(one, LegJoined())
        assert [*stages, one.stage] == [Stage.JOINING, Stage.JOINED]
        assert one.give_up() == []

    @pytest.mark.parametrize("answered", [False, True])
    def test_bridge_and_nobody_comes(self, answered: bool) -> None:
        one, _ = self.hand_over("bridge", LOOP)
        self.feed(one, *([LegAnswered("c1.b1-1")] if answered else []), LegFailed(BUSY))
        assert (one.stage, one.status, one.reason) == (Stage.FAILED, 486, "busy")
        assert one.give_up() == []

    def test_attended(self) -> None:
        one, _ = self.hand_over("attended", LOOP)
        assert told(self.feed(one, LegAnswered("c1.b1-1.2"))) == [sip.Refer(call="leg", replaces="c1.b1-1.2")]
        done = self.feed(one, self.progress(100, final=False), self.progress(200, final=True))
        assert done[1:] == [TellCall("c1.b1-1", HangUp())]
        assert one.stage is Stage.DONE

    @pytest.mark.parametrize("accepted", [False, True])
    def test_attended_and_the_peer_will_not(self, accepted: bool) -> None:
        one, _ = self.hand_over("attended", LOOP)
        self.feed(one, LegAnswered("c1.b1-1"), *([self.progress(100, final=False)] if accepted else []))
        assert self.feed(one, self.progress(603, final=True)) == [TellCall("c1.b1-1", Join())]

    def test_attended_the_call_beside_is_replaced_and_it_fails_after_all(self) -> None:
        """It is gone: another one is placed, under another name."""
        one, _ = self.hand_over("attended", LOOP)
        self.feed(one, LegAnswered("c1.b1-1"), LegFailed(BUSY))
        assert one.stage is Stage.REFERRING
        assert self.feed(one, self.progress(500, final=True)) == [PlaceBeside("c1.b1-2", TO, (LOOP,))]

    def test_nowhere(self) -> None:
        one, commands = self.hand_over("bridge")
        assert (commands, one.stage, one.status) == ([], Stage.FAILED, 404)

    def test_given_up_the_call_beside_ends(self) -> None:
        one, _ = self.hand_over("bridge", LOOP)
        assert one.give_up() == [TellCall("c1.b1-1", HangUp())]

    def test_what_makes_no_sense_now_does_nothing(self) -> None:
        one, _ = self.hand_over("bridge", LOOP)
        assert self.feed(one, LegJoined(), self.progress(200, final=True), TransferTimeout(1)) == []
        assert one.stage is Stage.DIALLING
