"""The breaker on a clock of our own: opens fast, closes slowly, and slower each time for what flaps."""

from __future__ import annotations

import random

import pytest

from bridge.routing.breaker import Breaker, Change, Policy, State


def opened(now: float = 0.0, *, has_probes: bool = True) -> Breaker:
    breaker = Breaker(has_probes=has_probes)
    for _ in range(3):
        breaker.on_failure("503", now)
    assert state(breaker) is State.OPEN
    return breaker


def state(breaker: Breaker) -> State:
    """As a function, because it changes between two looks at it."""
    return breaker.state


def probe(breaker: Breaker, count: int, now: float, *, every_s: float = 2.0) -> float:
    """So many good probes, the first after `every_s`; when the last one came."""
    for _ in range(count):
        now += every_s
        breaker.on_probe(True, now)
    return now


class TestOpening:
    def test_three_calls_in_a_row(self) -> None:
        breaker = Breaker()
        breaker.on_failure("503", 1.0)
        breaker.on_failure("408", 2.0)
        assert (breaker.state, breaker.refusal(2.0)) == (State.CLOSED, "")
        breaker.on_failure("503", 3.0)
        why = "3 calls in a row failed, the last one: 503"
        assert (breaker.refusal(3.0), breaker.changes) == (why, [Change(State.OPEN, why)])

    def test_a_call_that_gets_through_in_between_forgives(self) -> None:
        breaker = Breaker()
        for now in range(20):
            breaker.on_failure("503", now) if now % 3 else breaker.on_success(now)
        assert state(breaker) is State.CLOSED

    def test_a_hold_opens_at_once_and_trips_do_too(self) -> None:
        held, tripped = Breaker(), Breaker()
        held.hold("probes", "no answer", 1.0)
        tripped.trip("no audio", 1.0)
        assert (held.refusal(1.0), tripped.refusal(1.0)) == ("no answer", "no audio")
        assert (held.is_held, tripped.is_held) == (True, False)

    def test_a_lost_probe_by_itself_does_nothing(self) -> None:
        breaker = Breaker()
        breaker.on_probe(False, 1.0)
        assert state(breaker) is State.CLOSED

    def test_born_held_is_no_failure(self) -> None:
        breaker = Breaker(held=("registration", "not registered yet"))
        assert breaker.refusal(0.0) == "not registered yet"
        breaker.lift("registration", 1.0)
        assert (breaker.state, breaker.openings, breaker.refusal(1.0)) == (State.CLOSED, 0, "")


class TestComingBack:
    def test_time_and_probes_then_one_call_at_a_time(self) -> None:
        breaker = opened()
        assert probe(breaker, 2, 0.0) == 4.0
        assert state(breaker) is State.OPEN
        probe(breaker, 1, 4.0)
        assert state(breaker) is State.HALF_OPEN
        assert breaker.refusal(6.0) == ""
        breaker.on_trial(6.0)
        assert breaker.refusal(6.1) == "a trial call is under way"
        breaker.on_success(7.0)
        assert breaker.refusal(7.0) == ""
        breaker.on_trial(7.0)
        breaker.on_success(8.0)
        assert (breaker.state, breaker.because) == (State.CLOSED, "2 trial calls got through")

    def test_probes_must_be_good_in_a_row(self) -> None:
        breaker = opened()
        now = probe(breaker, 2, 0.0)
        breaker.on_probe(False, now)
        assert state(breaker) is State.OPEN
        probe(breaker, 3, now)
        assert state(breaker) is State.HALF_OPEN

    def test_good_probes_alone_do_not_shorten_the_wait(self) -> None:
        breaker = opened()
        probe(breaker, 10, 0.0, every_s=0.4)
        assert state(breaker) is State.OPEN
        assert breaker.next_look() == 5.0
        breaker.look(5.0)
        assert state(breaker) is State.HALF_OPEN

    def test_without_probes_time_alone(self) -> None:
        breaker = opened(has_probes=False)
        assert breaker.refusal(4.9)
        assert breaker.refusal(5.0) == ""
        assert state(breaker) is State.HALF_OPEN

    def test_calls_that_failed_are_proved_mended_by_calls_only(self) -> None:
        breaker = opened()
        now = probe(breaker, 100, 0.0)
        assert state(breaker) is State.HALF_OPEN
        assert breaker.next_look() is None
        breaker.look(now + 1000)
        assert state(breaker) is State.HALF_OPEN

    def test_what_only_probes_had_found_needs_no_call(self) -> None:
        breaker = Breaker()
        breaker.hold("probes", "silent", 0.0)
        breaker.lift("probes", 2.0)
        now = probe(breaker, 3, 2.0)
        assert (breaker.state, breaker.next_look()) == (State.HALF_OPEN, now + 10)
        breaker.look(now + 10)
        assert (breaker.state, breaker.because) == (State.CLOSED, "well for 10 s")

    def test_while_held_nothing_helps(self) -> None:
        breaker = Breaker()
        breaker.hold("registration", "401", 0.0)
        breaker.hold("probes", "silent", 1.0)
        probe(breaker, 50, 1.0)
        assert breaker.because == "401; silent"
        breaker.lift("registration", 200.0)
        assert (breaker.state, breaker.because, breaker.next_look()) == (State.OPEN, "silent", None)
        breaker.lift("probes", 201.0)
        assert state(breaker) is State.HALF_OPEN

    def test_a_hold_whose_reason_changes_tells_the_new_one(self) -> None:
        breaker = Breaker()
        breaker.hold("registration", "408", 0.0)
        breaker.hold("registration", "401 wrong password", 1.0)
        assert breaker.refusal(1.0) == "401 wrong password"
        assert breaker.openings == 1

    @pytest.mark.parametrize("setback", ["call", "probe", "hold", "trip"])
    def test_a_setback_opens_again_for_twice_as_long(self, setback: str) -> None:
        breaker = opened()
        now = probe(breaker, 3, 0.0)
        {
            "call": lambda: breaker.on_failure("503", now),
            "probe": lambda: breaker.on_probe(False, now),
            "hold": lambda: breaker.hold("probes", "silent", now),
            "trip": lambda: breaker.trip("no audio", now),
        }[setback]()
        assert (breaker.state, breaker.wait_s, breaker.openings) == (State.OPEN, 10.0, 2)

    def test_a_trial_that_proved_nothing_makes_room_for_the_next(self) -> None:
        breaker = opened(has_probes=False)
        breaker.look(5.0)
        breaker.on_trial(5.0)
        breaker.on_trial_over()
        assert breaker.refusal(5.1) == ""

    def test_a_trial_that_nobody_reports_on_is_given_up(self) -> None:
        breaker = opened(has_probes=False)
        breaker.look(5.0)
        breaker.on_trial(5.0)
        assert breaker.refusal(64.0)
        assert breaker.refusal(65.0) == ""

    def test_a_call_from_before_the_opening_proves_nothing(self) -> None:
        breaker = opened()
        breaker.on_success(0.5)
        assert state(breaker) is State.OPEN


class TestFlapping:
    def test_the_wait_doubles_up_to_its_limit_and_is_forgiven_slowly(self) -> None:
        breaker, now, waits = Breaker(has_probes=False), 0.0, []
        for _ in range(9):
            for _ in range(3):
                breaker.on_failure("503", now)
            waits.append(breaker.wait_s)
            now += breaker.wait_s
            for _ in range(2):
                breaker.on_success(now)
            assert state(breaker) is State.CLOSED
        assert waits == [5, 10, 20, 40, 80, 160, 320, 600, 600]
        for left in range(8, -1, -1):
            now += 300.0
            breaker.look(now)
            assert breaker.openings == left
        assert breaker.next_look() is None

    def test_a_partner_that_comes_and_goes_all_day_moves_us_ever_more_rarely(self) -> None:
        """Up for 20 s, gone for 20 s: in an hour it moves us an eighth as often as it flaps."""
        breaker = Breaker()
        closed_at = []
        for step in range(1800):
            now = step * 2.0
            if (now // 20) % 2:
                breaker.on_probe(False, now)
                breaker.hold("probes", "silent", now)
            else:
                breaker.lift("probes", now)
                breaker.on_probe(True, now)
            breaker.look(now)
            closed_at += [now for change in breaker.changes if change.state is State.CLOSED]
            breaker.changes.clear()
        assert len(closed_at) <= 11  # of 90

    def test_no_order_of_facts_leads_astray(self) -> None:
        """Whatever happens: a held breaker lets nothing through, a trial is alone, and the state is the last change."""
        dice = random.Random(7)
        for _ in range(60):
            breaker, now = Breaker(has_probes=dice.random() < 0.5), 0.0
            last = State.CLOSED
            for _ in range(300):
                now += dice.choice([0.0, 0.1, 1.0, 7.0, 70.0])
                match dice.randrange(9):
                    case 0:
                        breaker.hold(dice.choice("ab"), "held", now)
                    case 1:
                        breaker.lift(dice.choice("ab"), now)
                    case 2:
                        breaker.trip("tripped", now)
                    case 3 | 4:
                        breaker.on_failure("failed", now)
                    case 5:
                        breaker.on_success(now)
                    case 6 | 7:
                        breaker.on_probe(dice.random() < 0.8, now)
                    case 8 if not breaker.refusal(now):
                        breaker.on_trial(now)
                        if breaker.state is State.HALF_OPEN:
                            assert breaker.refusal(now)
                for change in breaker.changes:
                    assert change.because
                    assert change.state is not last
                    last = change.state
                breaker.changes.clear()
                assert breaker.state is last
                assert not (breaker.is_held and not breaker.refusal(now))
                assert 5.0 <= breaker.wait_s <= 600.0


def test_a_policy_of_ones_own_and_how_it_shows() -> None:
    breaker = Breaker(Policy(failures=1))
    assert repr(breaker) == "<Breaker up>"
    breaker.on_failure("503", 0.0)
    assert repr(breaker) == "<Breaker down: 1 calls in a row failed, the last one: 503>"
