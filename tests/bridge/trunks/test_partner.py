"""One trunk on a clock of our own: look-ups, probes, and what is told of them."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.calls.trunks import TrunkOutcome
from bridge.config import TrunkSection
from bridge.routing.breaker import State
from bridge.routing.health import Registered
from bridge.routing.ranking import CallFacts, rank
from bridge.trunks.lookup import Answer, Found
from bridge.trunks.partner import News, Partner
from sip import messages as sip
from sip.options import Target

A, B = (Target(f"192.0.2.{n}", 5060, "udp", "p.example") for n in (1, 2))


def partner(*targets: Target, **keys: Any) -> Partner:
    one = Partner(TrunkSection(name="p", **{"host": "p.example", **keys}), 0.0, roll=lambda: 0.5)
    if targets:
        one.on_answer(Answer(tuple(Found(target) for target in targets), 60.0), 0.0)
    return one


def probed(probe: sip.Probe, *, answered: bool = True, status: int = 200, took_ms: float = 10.0) -> sip.Probed:
    return sip.Probed(
        trunk=probe.trunk,
        target=probe.target,
        number=probe.number,
        status=status if answered else 408,
        took_ms=took_ms,
        answered=answered,
        why="" if answered else "does not answer OPTIONS",
    )


class TestLookUps:
    def test_due_at_once_then_by_ttl(self) -> None:
        one = partner()
        assert (one.look_up_at, one.next_deadline()) == (0.0, 0.0)
        assert one.on_answer(Answer((Found(A),), 30.0), 1.0)
        assert one.look_up_at == 31.0
        assert not one.on_answer(Answer((Found(A),), 10.0), 31.0)
        assert (one.look_up_at, one.take_news()) == (41.0, [])

    def test_a_changed_answer_is_news_and_probed_at_once(self) -> None:
        one = partner(A)
        assert [probe.target for probe in one.due_probes(0.0)] == [A]
        assert one.on_answer(Answer((Found(B),), 60.0), 10.0)
        assert one.take_news() == [
            News("target-changed", "192.0.2.1:5060;transport=udp -> 192.0.2.2:5060;transport=udp"),
        ]
        assert [probe.target for probe in one.due_probes(10.0)] == [B]
        assert one.targets == (B,)

    def test_another_order_is_told_the_stack_but_is_no_news(self) -> None:
        one = partner(A, B)
        assert one.on_answer(Answer((Found(B), Found(A)), 60.0), 10.0)
        assert one.take_news() == []

    def test_a_failure_keeps_the_last_good_answer_and_is_told_once(self) -> None:
        one = partner(A)
        waits = []
        for _ in range(7):
            one.on_look_up_failed("p.example: no answer", 100.0)
            assert one.look_up_at is not None
            waits.append(one.look_up_at - 100.0)
        assert waits == [2, 4, 8, 16, 32, 60, 60]
        assert one.targets == (A,)
        assert [news.kind for news in one.take_news()] == ["lookup-failed"]
        one.on_answer(Answer((Found(A),), 60.0), 200.0)
        assert one.take_news() == [News("lookup-ok", "p.example is found again")]

    def test_while_it_is_not_found_it_carries_nothing_and_says_why(self) -> None:
        one = partner()
        facts = one.facts(0.0)
        assert (facts.refusal, facts.may_be_last_resort) == ("p.example is being looked up", False)
        one.on_look_up_failed("p.example: no answer for A: no name server answers", 1.0)
        assert one.facts(1.0).refusal == "p.example: no answer for A: no name server answers"
        ranking = rank(CallFacts(call="c"), [one.facts(1.0)])
        assert (ranking.choices, ranking.is_carried) == ((), True)  # not now: another thing than never

    def test_an_address_is_never_looked_up_again_and_no_host_never(self) -> None:
        one = partner(host="192.0.2.1:5070")
        one.on_answer(Answer((Found(Target("192.0.2.1", 5070)),), 60.0), 0.0)
        assert one.look_up_at is None
        inbound_only = partner(host="")
        assert (inbound_only.look_up_at, inbound_only.next_deadline(), inbound_only.facts(0.0).targets) == (
            None,
            None,
            (),
        )


class TestProbes:
    def test_each_address_at_its_interval(self) -> None:
        one = partner(A, B)
        probes = one.due_probes(0.0)
        assert [(probe.target, probe.number, probe.timeout_ms) for probe in probes] == [(A, 1, 2000), (B, 2, 2000)]
        assert one.due_probes(0.0) == []
        for probe in probes:
            one.on_probed(probed(probe), 0.01)
        assert one.next_deadline() == 2.0
        again = one.due_probes(2.0)
        assert [(probe.number, probe.timeout_ms) for probe in again] == [(3, 800), (4, 800)]

    def test_the_wait_follows_the_round_trip(self) -> None:
        one = partner(A)
        [first] = one.due_probes(0.0)
        one.on_probed(probed(first, took_ms=300.0), 0.3)
        [second] = one.due_probes(2.0)
        assert second.timeout_ms == 1200

    def test_a_vanished_partner_is_found_within_three_and_a_half_seconds(self) -> None:
        """It dies right after it has answered, which is the worst case."""
        one, now = partner(A), 0.0
        [probe] = one.due_probes(now)
        one.on_probed(probed(probe), 0.01)
        died_at = 0.02
        while one.health.breaker.state is State.CLOSED:
            deadline = one.next_deadline()
            assert deadline is not None
            now = deadline
            [probe] = one.due_probes(now)
            now += probe.timeout_ms / 1000
            one.on_probed(probed(probe, answered=False), now)
        assert now - died_at <= 3.7
        down = "192.0.2.1:5060;transport=udp"
        assert one.take_news() == [
            News("target-down", "does not answer OPTIONS", down),
            News("down", f"{down}: does not answer OPTIONS"),
        ]

    def test_one_lost_packet_is_looked_into_and_forgotten(self) -> None:
        one = partner(A)
        [probe] = one.due_probes(0.0)
        one.on_probed(probed(probe, answered=False), 2.0)
        [again] = one.due_probes(2.0)
        one.on_probed(probed(again), 2.01)
        assert (one.health.targets[A].lost, one.take_news()) == (0, [])

    def test_back_again_is_told_step_by_step(self) -> None:
        one, now, kinds = partner(A), 0.0, []
        alive_from = 6.0
        while now < 40.0:
            for probe in one.due_probes(now):
                one.on_probed(probed(probe, answered=now >= alive_from), now + 0.05)
            one.look(now)
            kinds += [(news.kind, round(now)) for news in one.take_news()]
            now += 0.1
        assert [kind for kind, _ in kinds] == ["target-down", "down", "target-up", "half-open", "up"]
        assert kinds[-1][1] <= 24

    def test_a_probe_lost_with_the_stack_proves_nothing(self) -> None:
        one = partner(A)
        [first] = one.due_probes(0.0)
        assert one.next_deadline() == 3.0
        [second] = one.due_probes(3.0)
        assert one.health.targets[A].lost == 0
        one.on_probed(probed(first, answered=False), 3.1)
        assert one.health.targets[A].lost == 0
        one.forget_probes(3.2)
        one.on_probed(probed(second, answered=False), 3.3)
        assert one.health.targets[A].lost == 0
        assert len(one.due_probes(3.3)) == 1

    def test_never(self) -> None:
        one = partner(A, probe_every_s=0.0)
        assert (one.due_probes(0.0), one.next_deadline(), one.health.breaker.has_probes) == ([], 60.0, False)

    def test_a_failed_call_has_its_address_probed_at_once(self) -> None:
        one = partner(A, B)
        for probe in one.due_probes(0.0):
            one.on_probed(probed(probe), 0.01)
        outcome = TrunkOutcome(trunk="p", target=B, outcome="failed", counts_against_trunk=True, detail="408")
        one.on_outcome(outcome, 1.0)
        assert [probe.target for probe in one.due_probes(1.0)] == [B]

    def test_calls_that_fail_where_it_is_no_more_say_nothing_of_where_it_is(self) -> None:
        """They were under way when its name led elsewhere, and end one after the other."""
        one = partner(A)
        one.on_answer(Answer((Found(B),), 60.0), 1.0)
        outcome = TrunkOutcome(trunk="p", target=A, outcome="failed", counts_against_trunk=True, detail="408")
        for now in (2.0, 3.0, 4.0):
            one.on_outcome(outcome, now)
        assert (one.health.breaker.state, one.outcomes["failed"]) == (State.CLOSED, 3)


class TestRegistration:
    def event(self, state: Registered, status: int, reason: str, retry_in_s: float = 0.0) -> sip.Registration:
        return sip.Registration(
            trunk="p",
            state=state,
            status=status,
            reason=reason,
            expires_s=300,
            retry_in_s=retry_in_s,
            target=A,
        )

    def test_told_when_it_changes(self) -> None:
        one = partner(A, kind="register", registrar="sip:p.example", username="u")
        assert not one.facts(0.0).may_be_last_resort
        one.on_registration(self.event("refused", 403, "Forbidden", 12.5), 1.0)
        one.on_registration(self.event("refused", 403, "Forbidden", 25.0), 20.0)
        one.on_registration(self.event("registered", 200, "OK"), 30.0)
        one.on_registration(self.event("registered", 200, "OK"), 300.0)
        assert one.take_news() == [
            News("refused", "403 Forbidden, again in 12.5 s", str(A), 403),
            News("registered", "200 OK", str(A), 200),
            News("up", "ready"),
        ]
        assert one.facts(30.0).may_be_last_resort
        assert one.facts(30.0).targets[0].is_preferred


class TestFacts:
    def test_all_of_them(self) -> None:
        one = partner(
            *(A,),
            region="latam",
            countries=("MX",),
            prefixes=("+52",),
            role="backup",
            order=3,
            price_per_minute="0.0080",
            max_calls=2,
            calls_per_s=50.0,
        )
        one.limiter.take(0.0)
        facts = one.facts(0.0)
        assert (facts.name, facts.region, facts.role, facts.order) == ("p", "latam", "backup", 3)
        assert (facts.countries, facts.prefixes, str(facts.price)) == (("MX",), ("+52",), "0.0080 USD/min")
        assert (facts.calls, facts.max_calls, facts.is_full, facts.refusal) == (1, 2, "", "")
        one.limiter.take(0.0)
        assert one.facts(0.0).is_full == "2 of 2 calls"

    @pytest.mark.parametrize(
        ("outcome", "counts", "state"),
        [("failed", True, State.OPEN), ("failed", False, State.CLOSED), ("busy", False, State.CLOSED)],
    )
    def test_outcomes_count(self, outcome: Any, counts: bool, state: State) -> None:
        one = partner(A)
        for now in range(3):
            told = TrunkOutcome(trunk="p", outcome=outcome, counts_against_trunk=counts, sip_status=503)
            one.on_outcome(told, float(now))
        assert (one.health.breaker.state, dict(one.outcomes)) == (state, {outcome: 3})

    def test_deaf_calls(self) -> None:
        one = partner(A)
        for _ in range(3):
            one.on_audio(both_ways=False, now=1.0)
        assert [news.kind for news in one.take_news()] == ["down"]


class TestReload:
    def test_the_same_partner_with_another_price_keeps_what_is_known(self) -> None:
        old = partner(A)
        for now in range(3):
            told = TrunkOutcome(trunk="p", outcome="failed", counts_against_trunk=True, sip_status=503)
            old.on_outcome(told, float(now))
        old.limiter.take(0.0)
        new = partner(price_per_minute="0.01", max_calls=1)
        new.inherit(old, 5.0)
        assert new.health is old.health
        assert (new.targets, new.limiter.calls, new.look_up_at) == ((A,), 1, 5.0)
        assert new.facts(5.0).is_full == "1 of 1 calls"

    def test_another_partner_under_the_same_name_begins_anew_but_its_calls_count(self) -> None:
        old = partner(A)
        old.limiter.take(0.0)
        new = partner(host="other.example")
        new.inherit(old, 5.0)
        assert (new.targets, new.limiter.calls) == ((), 1)
        assert repr(new) == "<Partner p up 1 calls>"


def test_first_probes_of_many_are_spread() -> None:
    one = partner()
    one.first_probe_within_s = 1.0
    one.on_answer(Answer((Found(A),), 60.0), 10.0)
    assert one.due_probes(10.4) == []
    assert len(one.due_probes(10.5)) == 1
    one.forget_probes(20.0)
    assert one.next_deadline() == 20.5
