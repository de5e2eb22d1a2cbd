"""The trunk of an INVITE that waits for its first 18x is declared down by others."""

from __future__ import annotations

from dataclasses import replace

from bridge.calls.words import Command, SetupTimeout, ToSip, TrunkDown
from sip import messages as sip
from tests.fakes import CALL
from tests.helpers.hunting import BACKUP, PRIMARY, Trial, dials, told


class TestFoundDead:
    def down(self, trial: Trial, trunk: str) -> list[Command]:
        trial.now += 1.5
        return trial.goes_on(trial.hunt.on_trunk_down(TrunkDown(trunk, "does not answer OPTIONS"), trial.now))

    def test_the_next_trunk_is_dialled_at_once(self) -> None:
        trial = Trial()
        out = self.down(trial, "one")
        assert out[0] == ToSip(sip.Hangup(call=CALL, reason="slow trunk"))
        assert dials(out) == [(f"{CALL}.2", "two", BACKUP.uri)]
        [outcome] = told(out)
        assert (outcome.trunk, outcome.counts_against_trunk, outcome.sip_status) == ("one", True, 0)
        [attempt] = trial.hunt.attempts
        assert (attempt.outcome, attempt.took_ms) == ("setup-timeout", 1500.0)
        assert attempt.detail == "no 18x, and it is down: does not answer OPTIONS"
        assert trial.after(2.5, SetupTimeout(0)) == []

    def test_its_other_addresses_are_passed_over(self) -> None:
        trial = Trial(PRIMARY, replace(PRIMARY, uri="sip:+525512345678@one-b.example"), BACKUP)
        assert dials(self.down(trial, "one")) == [(f"{CALL}.2", "two", BACKUP.uri)]

    def test_the_only_one_is_waited_for_and_its_other_address_tried(self) -> None:
        second = replace(PRIMARY, uri="sip:+525512345678@one-b.example")
        trial = Trial(PRIMARY, second)
        assert self.down(trial, "one") == []
        assert dials(trial.after(2.5, SetupTimeout(0))) == [(f"{CALL}.2", "one", second.uri)]

    def test_when_no_attempt_is_left_it_is_waited_for(self) -> None:
        trial = Trial(most_attempts=1)
        assert self.down(trial, "one") == []
        trial.rings()
        assert trial.hunt.on_answered(trial.now)

    def test_another_trunk_is_nothing_to_us(self) -> None:
        assert self.down(Trial(), "two") == []

    def test_a_callee_who_is_being_rung_is_left_in_peace(self) -> None:
        trial = Trial()
        trial.rings()
        assert self.down(trial, "one") == []
