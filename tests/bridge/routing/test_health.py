"""One trunk's health: what probes, the registration and calls do to it."""

from __future__ import annotations

import pytest

from bridge.routing.breaker import State
from bridge.routing.health import CallResult, Figures, TrunkHealth
from sip.options import Target

A, B = Target("192.0.2.1", 5060), Target("192.0.2.2", 5060)


def peer(*targets: Target) -> TrunkHealth:
    health = TrunkHealth()
    health.set_targets(targets or (A,), 0.0)
    return health


def probe(health: TrunkHealth, now: float, *, good: bool = True, target: Target = A, status: int = 200) -> bool:
    why = "" if good else "no answer within 0.8 s"
    return health.on_probe(
        target, answered=good, status=status if good else 408, took_ms=20 if good else 800, why=why, now=now
    )


def call(now: float, *, answered: bool = False, failed: bool = False, delay_ms: float = -1.0) -> CallResult:
    return CallResult(now, answered, failed, delay_ms)


class TestProbes:
    def test_two_lost_in_a_row_and_it_is_down(self) -> None:
        health = peer()
        probe(health, 1.0)
        assert not probe(health, 3.0, good=False)
        assert (health.breaker.refusal(3.0), health.trouble(3.0)) == (
            "",
            (1, "the last probe was lost: no answer within 0.8 s"),
        )
        probe(health, 4.0, good=False)
        assert health.breaker.refusal(4.0) == "192.0.2.1:5060;transport=udp: no answer within 0.8 s"

    def test_one_address_of_two_is_no_loss(self) -> None:
        health = peer(A, B)
        for now in range(20):
            probe(health, now, good=False)
            probe(health, now, target=B)
        assert (health.breaker.state, health.trouble(20.0)[0]) == (State.CLOSED, 0)
        assert [one.is_alive for one in health.targets.values()] == [False, True]

    def test_all_addresses_lost_and_back_again(self) -> None:
        health = peer(A, B)
        for now in (1.0, 2.0):
            for target in (A, B):
                probe(health, now, good=False, target=target)
        assert health.breaker.because.endswith("(all 2 addresses)")
        now = 2.0
        while health.breaker.state is State.OPEN and now < 60:
            now += 2.0
            probe(health, now, target=B)
            probe(health, now, good=False)
        assert (health.breaker.state, now) == (State.HALF_OPEN, 8.0)
        for later in range(10, 22, 2):
            probe(health, later, target=B)
        assert health.breaker.state is State.CLOSED

    @pytest.mark.parametrize(("status", "good"), [(200, True), (404, True), (405, True), (403, True), (483, True)])
    def test_any_answer_lives(self, status: int, good: bool) -> None:
        assert probe(peer(), 1.0, status=status) is good

    def test_503_from_one_who_knew_better(self) -> None:
        health = peer()
        probe(health, 1.0)
        assert not probe(health, 3.0, status=503)
        assert not probe(health, 4.0, status=503)
        assert health.breaker.because == "192.0.2.1:5060;transport=udp: answers OPTIONS with 503"

    def test_503_from_one_who_never_says_else_is_an_answer(self) -> None:
        health = peer()
        assert all(probe(health, now, status=503) for now in range(5))
        assert health.breaker.state is State.CLOSED

    def test_round_trips_are_smoothed(self) -> None:
        health = peer()
        for took_ms in (80.0, 160.0):
            health.on_probe(A, answered=True, status=200, took_ms=took_ms, why="", now=1.0)
        assert health.targets[A].took_ms == 90.0

    def test_new_addresses_are_a_new_chance(self) -> None:
        health = peer()
        for now in (1.0, 2.0):
            probe(health, now, good=False)
        health.set_targets((A, B), 3.0)
        assert [one.lost for one in health.targets.values()] == [2, 0]
        assert not health.breaker.is_held
        assert not probe(health, 4.0, target=Target("192.0.2.9", 5060))


class TestRegistration:
    def test_a_registering_trunk_begins_down_and_is_up_at_once(self) -> None:
        health = TrunkHealth(registers=True)
        assert health.breaker.refusal(0.0) == "not registered yet"
        health.on_registration("registered", "200 OK", A, 1.0)
        assert (health.breaker.refusal(1.0), health.registered_at) == ("", A)

    def test_a_wrong_password_stays_down_until_it_registers(self) -> None:
        health = TrunkHealth(registers=True)
        health.set_targets((A,), 0.0)
        health.on_registration("refused", "403 Forbidden", A, 1.0)
        for now in range(2, 1000, 2):
            probe(health, now)
        assert health.breaker.refusal(1000.0) == "registration refused: 403 Forbidden"
        health.on_registration("registered", "200 OK", A, 1001.0)
        assert health.breaker.refusal(1001.0) == ""

    def test_a_lost_registration_opens_it(self) -> None:
        health = TrunkHealth(registers=True)
        health.set_targets((A,), 0.0)
        health.on_registration("registered", "200 OK", A, 1.0)
        health.on_registration("unreachable", "408 Request Timeout", A, 300.0)
        assert health.breaker.refusal(300.0) == "registration unreachable: 408 Request Timeout"
        assert health.registered_at is None
        health.on_registration("registered", "200 OK", B, 302.0)
        assert health.breaker.refusal(302.0)
        for now in (304.0, 306.0, 308.0):
            probe(health, now)
        assert health.breaker.refusal(308.0) == ""


class TestCalls:
    def test_three_failures(self) -> None:
        health = peer()
        for now in range(3):
            health.on_call(call(now, failed=True), "503 Service Unavailable")
        assert health.breaker.refusal(3.0) == "3 calls in a row failed, the last one: 503 Service Unavailable"

    def test_busy_callees_are_no_failure(self) -> None:
        health = peer()
        for now in range(29):
            health.on_call(call(now))
        assert (health.breaker.state, health.trouble(30.0)[0]) == (State.CLOSED, 0)

    def test_half_of_ten(self) -> None:
        health = peer()
        for now in range(10):
            health.on_call(call(now, failed=now % 2 == 0, answered=now % 2 == 1))
        assert health.breaker.refusal(10.0) == "5 of the last 10 calls failed"

    def test_nobody_is_ever_reached(self) -> None:
        health = peer()
        for now in range(30):
            health.on_call(call(now))
        assert health.breaker.refusal(30.0) == "none of the last 30 calls has reached anybody"

    def test_nobody_at_home_is_nobodys_fault(self) -> None:
        health = peer()
        for now in range(60):
            health.on_call(CallResult(now, answered=False, failed=False, delay_ms=900 * (now % 2) - 1, is_busy=True))
        assert health.breaker.refusal(60.0) == ""

    def test_what_opened_it_does_not_open_it_again_after_the_trial(self) -> None:
        health = peer()
        for turn in range(10):
            health.on_call(call(turn, failed=turn % 2 == 0, answered=turn % 2 == 1))
        for now in (12.0, 14.0, 16.0):
            probe(health, now)
        assert health.breaker.state is State.HALF_OPEN
        for now in (17.0, 18.0):
            health.breaker.on_trial(now)
            health.on_call(call(now, answered=True, delay_ms=200))
        assert (health.breaker.state, health.trouble(18.0)[0]) == (State.CLOSED, 0)

    def test_a_trial_refused_for_the_numbers_sake_proves_nothing(self) -> None:
        health = peer()
        health.breaker.trip("x", 0.0)
        for now in (2.0, 4.0, 6.0):
            probe(health, now)
        health.breaker.on_trial(6.0)
        health.on_call(call(7.0))
        assert (health.breaker.state, health.breaker.refusal(7.0)) == (State.HALF_OPEN, "")

    def test_one_way_audio(self) -> None:
        health = peer()
        for both_ways in (False, True, False, False):
            health.on_audio(both_ways=both_ways, now=1.0)
        assert health.trouble(1.0) == (1, "no audio from it in 2 answered calls in a row")
        health.on_audio(both_ways=False, now=2.0)
        assert health.breaker.refusal(2.0) == "no audio from it in 3 answered calls in a row"


class TestFigures:
    def test_none_yet(self) -> None:
        assert peer().figures(0.0) == Figures()

    def test_ratios_and_delays(self) -> None:
        health = peer()
        health.on_call(call(1.0, answered=True, delay_ms=100))
        health.on_call(call(2.0, delay_ms=300))
        health.on_call(call(3.0, failed=True), "503")
        health.on_call(call(4.0, answered=True, delay_ms=500))
        expected = Figures(calls=4, answer_ratio=0.5, failure_ratio=0.25, delay_ms=300)
        assert health.figures(5.0) == expected
        assert health.figures(2000.0) == Figures()

    @pytest.mark.parametrize(
        ("results", "trouble"),
        [
            ([call(1.0, answered=True, delay_ms=200)], (0, "healthy: 100% of 1 calls answered")),
            ([call(1.0, answered=True, delay_ms=3500)], (1, "slow: rings after 3.5 s")),
            (
                [call(now, failed=now in (1, 3), answered=now not in (1, 3), delay_ms=9) for now in range(6)],
                (2, "33% of 6 calls failed"),
            ),
        ],
    )
    def test_trouble_in_words(self, results: list[CallResult], trouble: tuple[int, str]) -> None:
        health = peer()
        for result in results:
            health.on_call(result, "503")
        assert health.trouble(10.0) == trouble
