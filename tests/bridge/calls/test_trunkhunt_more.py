"""One trunk after another: how long a callee is let ring, and where a 3xx leads."""

from __future__ import annotations

from bridge.calls.trunkhunt import MOST_REDIRECTIONS, Stage
from bridge.calls.trunks import Way
from bridge.calls.words import Arm, RingTimeout, SetupTimeout
from sip import messages as sip
from tests.fakes import CALL
from tests.helpers.hunting import BACKUP, PRIMARY, Trial, dials, told


class TestRinging:
    def test_nobody_answers(self) -> None:
        trial = Trial(ring_timeout_ms=20000)
        trial.rings()
        assert trial.after(19, RingTimeout()) == []  # armed with the INVITE
        [outcome] = told(trial.after(1, RingTimeout()))
        assert (outcome.outcome, outcome.counts_against_trunk) == ("no-answer", False)
        assert trial.fate == ("no-answer", "no-answer", 408)
        assert trial.story == [("one", "no-answer")]

    def test_a_callee_is_let_ring_once_over_all_trunks(self) -> None:
        trial = Trial(ring_timeout_ms=20000)
        trial.rings()
        trial.now += 9
        out = trial.ends(503)
        assert [one for one in out if one == Arm(RingTimeout(), 20000)] == []
        assert trial.rings() == []
        trial.after(9, RingTimeout())
        assert trial.fate == ("no-answer", "no-answer", 408)

    def test_time_spent_on_dead_trunks_is_not_taken_from_it(self) -> None:
        trial = Trial(ring_timeout_ms=5000)
        trial.after(4, SetupTimeout(0))
        trial.rings()
        assert trial.after(0, RingTimeout()) == []
        trial.after(5, RingTimeout())
        assert trial.fate[0] == "no-answer"

    def test_a_trunk_may_have_a_time_of_its_own(self) -> None:
        trial = Trial(Way(uri="sip:1@x", ring_timeout_ms=3000))
        assert Arm(RingTimeout(), 3000) in trial.out

    def test_while_room_is_asked_for(self) -> None:
        trial = Trial(ring_timeout_ms=5000)
        trial.rings()
        trial.now += 5
        trial.hunt.on_ended(sip.Ended(call=CALL, status=503, reason="", by="remote"), trial.now)
        assert trial.hunt.stage is Stage.TAKING
        trial.hunt.on_ring_timeout(trial.now)
        assert trial.fate == ("no-answer", "no-answer", 408)


class TestRedirection:
    def test_followed_over_the_same_trunk(self) -> None:
        trial = Trial()
        out = trial.ends(302, contacts=("sip:+5255@else.example",))
        assert dials(out) == [(f"{CALL}.2", "one", "sip:+5255@else.example")]
        assert trial.story == [("one", "redirected")]
        assert trial.hunt.way.because == (f"302 of one: {PRIMARY.uri}",)
        assert trial.hunt.way.target == PRIMARY.target

    def test_one_contact_after_another_then_the_next_trunk(self) -> None:
        trial = Trial()
        trial.ends(300, contacts=("sip:a@x", "sip:b@x"))
        assert dials(trial.ends(503)) == [(f"{CALL}.3", "one", "sip:b@x")]
        assert dials(trial.ends(503)) == [(f"{CALL}.4", "two", BACKUP.uri)]

    def test_who_is_busy_at_one_address_may_be_free_at_the_other_but_not_over_another_trunk(self) -> None:
        trial = Trial()
        trial.ends(300, contacts=("sip:a@x", "sip:b@x"))
        assert dials(trial.ends(486)) == [(f"{CALL}.3", "one", "sip:b@x")]
        assert dials(trial.ends(480)) == []
        assert trial.fate[0] == "no-answer"

    def test_a_global_refusal_is_one(self) -> None:
        trial = Trial()
        trial.ends(300, contacts=("sip:a@x", "sip:b@x"))
        assert dials(trial.ends(603)) == []
        assert trial.fate == ("declined", "declined", 603)

    def test_no_loops(self) -> None:
        trial = Trial()
        trial.ends(302, contacts=("sip:a@x",))
        out = trial.ends(302, contacts=("sip:a@x", PRIMARY.uri))
        assert dials(out) == [(f"{CALL}.3", "two", BACKUP.uri)]

    def test_only_to_what_can_be_called(self) -> None:
        trial = Trial()
        out = trial.ends(302, contacts=("mailto:ana@x", "tel:+5255", "SIP:a@x"))
        assert dials(out) == [(f"{CALL}.2", "one", "SIP:a@x")]

    def test_not_without_end(self) -> None:
        trial = Trial(PRIMARY)
        for number in range(MOST_REDIRECTIONS):
            assert dials(trial.ends(302, contacts=(f"sip:{number}@x",))) != []
        assert dials(trial.ends(302, contacts=("sip:once-more@x",))) == []
        assert trial.fate == ("failed", "redirected", 302)

    def test_it_costs_no_attempt(self) -> None:
        trial = Trial(most_attempts=2)
        trial.ends(302, contacts=("sip:a@x",))
        assert dials(trial.ends(503)) == [(f"{CALL}.3", "two", BACKUP.uri)]
