"""One trunk after another: every way on, and every way out."""

from __future__ import annotations

import random

import pytest

from bridge.calls.trunkhunt import Stage, TrunkHunt
from bridge.calls.trunks import TrunkOutcome, Way
from bridge.calls.words import (
    Arm,
    RingTimeout,
    SetupTimeout,
    TakeTrunk,
    TellTrunks,
    ToSip,
    TrunkFull,
)
from bridge.errors import Blame, End
from bridge.records import TrunkAttempt
from sip import messages as sip
from tests.fakes import CALL
from tests.helpers.hunting import BACKUP, PRIMARY, Trial, dials, told


def test_the_first_invite_says_all_that_the_way_says() -> None:
    trial = Trial(setup_timeout_ms=4000, ring_timeout_ms=30000)
    assert trial.out == [
        TakeTrunk(0, "one", CALL),
        ToSip(
            sip.Dial(
                call=CALL,
                uri=PRIMARY.uri,
                sdp="v=0",
                trunk="one",
                from_user="+4930111",
                from_uri='"Ana" <sip:+4930111@one.example>',
                headers=PRIMARY.headers,
                target=PRIMARY.target,
            )
        ),
        Arm(SetupTimeout(0), 4000),
        Arm(RingTimeout(), 30000),
    ]


def test_answered_at_once() -> None:
    trial = Trial()
    out = trial.rings()
    assert out == [Arm(RingTimeout(), 45000)]
    trial.now += 5
    assert trial.hunt.on_answered(trial.now) == [
        TellTrunks(
            TrunkOutcome(
                trunk="one",
                target=PRIMARY.target,
                outcome="answered",
                sip_status=200,
                post_dial_delay_ms=1000.0,
            )
        )
    ]
    assert trial.hunt.stage is Stage.ANSWERED
    assert trial.hunt.attempts == [
        TrunkAttempt(
            trunk="one",
            target="tls:192.0.2.1:5060",
            outcome="answered",
            sip_status=200,
            took_ms=6000.0,
            because=("prefix +52", "primary"),
        )
    ]


def test_without_ringing_the_answer_is_the_post_dial_delay() -> None:
    trial = Trial()
    trial.now += 2
    [outcome] = told(trial.hunt.on_answered(trial.now))
    assert outcome.post_dial_delay_ms == 2000.0


@pytest.mark.parametrize("rang", [False, True])
@pytest.mark.parametrize(
    ("status", "by", "noted", "against"),
    [
        (503, "remote", "trunk-failed", True),
        (500, "remote", "trunk-failed", True),
        (403, "remote", "trunk-refused", True),
        (404, "remote", "not-found", False),
        (488, "remote", "not-acceptable", False),
        (503, "error", "unreachable", True),
        (302, "remote", "redirected", False),
    ],
)
def test_the_next_trunk_is_tried(status: int, by: str, noted: str, against: bool, rang: bool) -> None:
    trial = Trial()
    if rang:
        trial.rings()
    out = trial.ends(status, by, retry_after_s=7)
    assert dials(out) == [(f"{CALL}.2", "two", BACKUP.uri)]
    [outcome] = told(out)
    assert (outcome.trunk, outcome.outcome, outcome.counts_against_trunk) == ("one", "failed", against)
    assert (outcome.sip_status, outcome.retry_after_s) == (status if by == "remote" else 0, 7)
    assert trial.story == [("one", noted)]
    assert trial.hunt.leg == f"{CALL}.2"


@pytest.mark.parametrize("rang", [False, True])
@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (486, "busy", "busy"),
        (600, "busy", "busy"),
        (603, "declined", "declined"),
        (607, "declined", "declined"),
        (480, "no-answer", "no-answer"),
        (487, "cancelled", "cancelled"),
        (484, "failed", "no-such-number"),
        (604, "failed", "no-such-number"),
        (606, "failed", "refused-everywhere"),
    ],
)
def test_the_callee_has_been_reached_and_nobody_else_is_tried(
    status: int, outcome: str, reason: str, rang: bool
) -> None:
    trial = Trial()
    if rang:
        trial.rings()
    out = trial.ends(status)
    assert dials(out) == []
    assert [one.counts_against_trunk for one in told(out)] == [False]
    assert trial.fate == (outcome, reason, status)
    assert len(trial.story) == 1


def test_a_408_is_the_trunks_before_it_rang_and_the_callees_after() -> None:
    trial = Trial()
    assert dials(trial.ends(408, "error")) != []
    trial.rings()
    assert dials(trial.ends(408, "error")) == []
    assert trial.fate == ("no-answer", "no-answer", 408)


class TestSilence:
    def test_a_slow_trunk_is_cancelled_and_the_next_dialled(self) -> None:
        trial = Trial()
        out = trial.after(4, SetupTimeout(0))
        assert out[0] == ToSip(sip.Hangup(call=CALL, reason="slow trunk"))
        assert dials(out) == [(f"{CALL}.2", "two", BACKUP.uri)]
        [outcome] = told(out)
        assert (outcome.outcome, outcome.sip_status, outcome.counts_against_trunk) == ("failed", 0, True)
        assert trial.story == [("one", "setup-timeout")]
        assert trial.hunt.attempts[0].detail == "no 18x within 4 s"

    def test_not_once_it_rings(self) -> None:
        trial = Trial()
        trial.rings()
        assert trial.after(4, SetupTimeout(0)) == []

    def test_not_for_the_attempt_after(self) -> None:
        trial = Trial()
        trial.ends(503)
        assert trial.after(3, SetupTimeout(0)) == []

    def test_the_last_one_is_waited_for(self) -> None:
        """Some countries take ten seconds to ring. A late ring is better than none."""
        trial = Trial(PRIMARY)
        assert trial.after(4, SetupTimeout(0)) == []
        trial.now += 6
        assert trial.hunt.on_ringing(trial.now) == [Arm(RingTimeout(), 45000)]

    def test_but_not_for_ever(self) -> None:
        trial = Trial(PRIMARY, ring_timeout_ms=20000)
        [outcome] = told(trial.after(20, RingTimeout()))
        assert outcome.counts_against_trunk
        assert trial.fate == ("failed", "setup-timeout", 408)


class TestFullTrunks:
    def test_the_next_one_and_the_record_says_why(self) -> None:
        hunt = TrunkHunt(CALL, (PRIMARY, BACKUP), most_attempts=1)
        hunt.start(0.0)
        [take] = hunt.on_full(TrunkFull(0, "30 of 30 calls stand"), 0.5)
        assert take == TakeTrunk(1, "two", f"{CALL}.2")
        assert hunt.is_taken(1)
        assert [(one.trunk, one.outcome, one.detail) for one in hunt.attempts] == [
            ("one", "full", "30 of 30 calls stand")
        ]
        assert dials(hunt.dial("v=0", 0.5)) == [(f"{CALL}.2", "two", BACKUP.uri)]

    def test_all_of_them(self) -> None:
        hunt = TrunkHunt(CALL, (PRIMARY,))
        hunt.start(0.0)
        assert hunt.on_full(TrunkFull(0, "2 calls a second"), 0.0) == []
        assert hunt.failure is not None
        assert (hunt.failure.end.reason, hunt.failure.end.detail) == ("trunk-full", "one: 2 calls a second")

    def test_an_answer_to_another_question(self) -> None:
        hunt = TrunkHunt(CALL, (PRIMARY,))
        hunt.start(0.0)
        assert hunt.on_full(TrunkFull(3, "x"), 0.0) == []
        assert not hunt.is_taken(3)
        assert hunt.stage is Stage.TAKING


def test_no_more_attempts_than_allowed() -> None:
    trial = Trial(*(Way(uri=f"sip:1@{number}", trunk=str(number)) for number in range(9)), most_attempts=3)
    for _ in range(2):
        assert dials(trial.ends(503)) != []
    assert dials(trial.ends(503)) == []
    assert len(trial.story) == 3


def test_no_way_at_all() -> None:
    hunt = TrunkHunt(CALL, ())
    assert hunt.start(0.0) == []
    assert hunt.failure is not None
    assert (hunt.failure.outcome, hunt.failure.end.reason) == ("failed", "no-trunk")


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ((404, "remote"), (408, "error"), "not-found"),
        ((408, "error"), (404, "remote"), "not-found"),
        ((404, "remote"), (503, "remote"), "not-found"),
        ((503, "remote"), (503, "error"), "trunk-failed"),
        ((503, "error"), (408, "error"), "unreachable"),
        ((503, "remote"), (486, "remote"), "busy"),
    ],
)
def test_what_is_told_of_several_refusals(first: tuple[int, str], second: tuple[int, str], reason: str) -> None:
    trial = Trial()
    trial.ends(*first)
    trial.ends(*second)
    assert trial.fate[1] == reason


class TestGivingUp:
    end = End(Blame.CLIENT, "cancelled", 480)

    def test_while_it_rings(self) -> None:
        trial = Trial()
        trial.rings()
        [outcome] = told(trial.hunt.give_up(self.end, trial.now))
        assert (outcome.outcome, outcome.counts_against_trunk) == ("cancelled", False)
        assert trial.story == [("one", "cancelled")]

    def test_before_anything_was_dialled(self) -> None:
        hunt = TrunkHunt(CALL, (PRIMARY,))
        hunt.start(0.0)
        assert hunt.give_up(self.end, 0.0) == []
        assert [one.outcome for one in hunt.attempts] == ["cancelled"]

    def test_when_there_is_nothing_to_give_up(self) -> None:
        trial = Trial()
        trial.hunt.on_answered(trial.now)
        assert trial.hunt.give_up(self.end, trial.now) == []
        assert TrunkHunt(CALL, (PRIMARY,)).give_up(self.end, 0.0) == []


@pytest.mark.parametrize("seed", range(200))
def test_it_always_comes_to_an_end(seed: int) -> None:
    """Whatever happens in whatever order: each leg is a new one, each attempt is noted and told once."""
    dice = random.Random(seed)
    ways = [Way(uri=f"sip:1@{number}", trunk=str(number)) for number in range(dice.randint(1, 6))]
    trial = Trial(*ways, most_attempts=dice.randint(1, 5), ring_timeout_ms=10000)
    out = list(trial.out)
    for step in range(60):
        if trial.hunt.stage in (Stage.FAILED, Stage.ANSWERED):
            break
        match dice.randrange(6):
            case 0:
                out += trial.rings()
            case 1:
                status = dice.choice((302, 403, 404, 408, 486, 488, 500, 503, 603))
                out += trial.ends(status, contacts=(f"sip:{step}@x",) if dice.random() < 0.8 else ())
            case 2:
                out += trial.ends(503, "error")
            case 3:
                out += trial.after(4, SetupTimeout(dice.randrange(6)))
            case 4:
                out += trial.after(dice.choice((1, 12)), RingTimeout())
            case _ if dice.random() < 0.2:
                out += trial.hunt.on_answered(trial.now)
    assert trial.hunt.stage in (Stage.FAILED, Stage.ANSWERED)
    legs = [leg for leg, _, _ in dials(out)]
    assert len(set(legs)) == len(legs) == len(told(out)) == len(trial.hunt.attempts)
    assert (trial.hunt.failure is None) == (trial.hunt.stage is Stage.ANSWERED)
