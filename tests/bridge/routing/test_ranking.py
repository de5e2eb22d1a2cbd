"""Which trunk carries a call: every place and every absence with its reason, and the same facts twice the same."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from bridge.routing.numbers import parse
from bridge.routing.price import Price
from bridge.routing.ranking import CallFacts, Choice, LeftOut, Ranking, TargetFacts, TrunkFacts, rank, target_order
from sip.options import Target

MX, US, DE = parse("+525512345678"), parse("+12025550123"), parse("+4930901820")
CALL = CallFacts(call="c1", number=MX)


def at(last: int, **keys: Any) -> TargetFacts:
    return TargetFacts(target=Target(f"192.0.2.{last}", 5060), **keys)


def usd(text: str, currency: str = "USD") -> Price:
    return Price(Decimal(text), currency, 60, 60)


def trunk(name: str, **keys: Any) -> TrunkFacts:
    return TrunkFacts(name=name, **{"targets": (at(1),), **keys})


def names(ranking: Ranking) -> list[str]:
    return [choice.trunk for choice in ranking.choices]


class TestOrder:
    @pytest.mark.parametrize(
        ("better", "worse"),
        [
            ({}, {"role": "backup"}),
            ({"role": "primary", "order": 9, "trouble": 2}, {"role": "backup", "price": usd("0.001")}),
            ({"order": 1, "price": usd("0.02")}, {"order": 2, "price": usd("0.01")}),
            ({"prefixes": ("+5255",), "price": usd("0.02")}, {"prefixes": ("+52",), "price": usd("0.01")}),
            ({"prefixes": ("+52",)}, {"countries": ("MX",)}),
            ({"countries": ("MX",)}, {}),
            ({"price": usd("0.02")}, {"trouble": 1, "price": usd("0.01")}),
            ({"price": usd("0.008")}, {"price": usd("0.0081")}),
            ({"price": usd("0.5")}, {}),
            ({"calls": 3, "max_calls": 10}, {"calls": 4, "max_calls": 10}),
            ({"calls": 8, "max_calls": 100}, {"calls": 2, "max_calls": 10}),
            ({"calls": 1}, {"calls": 2}),
        ],
    )
    def test_by_one_thing(self, better: dict[str, Any], worse: dict[str, Any]) -> None:
        for first, second in (("a", "b"), ("b", "a")):
            trunks = [trunk(first, **better), trunk(second, **worse)]
            assert names(rank(CALL, trunks)) == names(rank(CALL, trunks[::-1])) == [first, second]

    def test_prices_in_two_currencies_are_not_compared(self) -> None:
        ranking = rank(CALL, [trunk("a", price=usd("0.9", "EUR")), trunk("b", price=usd("0.1"))])
        assert names(ranking) == ["a", "b"]
        assert "0.9 EUR/min (currencies differ: not compared)" in ranking.choices[0].because

    def test_the_because(self) -> None:
        one = trunk(
            "a", prefixes=("+52", "+5255"), price=usd("0.0080"), health="healthy", calls=3, max_calls=30, order=2
        )
        assert rank(CALL, [one]).choices == (
            Choice(
                "a",
                Target("192.0.2.1", 5060),
                ("prefix +5255", "primary, order 2", "healthy", "0.0080 USD/min", "3 of 30 calls"),
            ),
        )


class TestLeftOut:
    @pytest.mark.parametrize(
        ("keys", "why"),
        [
            ({"prefixes": ("+1",), "countries": ("CA",)}, "carries +1 CA, not +525... (MX)"),
            ({"targets": ()}, "has no address to call"),
            ({"refusal": "silent"}, "silent"),
            ({"refusal": "401", "may_be_last_resort": False}, "401"),
            ({"is_full": "3 of 3 calls"}, "full: 3 of 3 calls"),
            ({"refusal": "silent", "is_full": "3 of 3 calls"}, "silent"),
        ],
    )
    def test_with_why(self, keys: dict[str, Any], why: str) -> None:
        ranking = rank(CALL, [trunk("a", **keys), trunk("b")])
        assert (names(ranking), ranking.left_out) == (["b"], (LeftOut("a", why),))

    def test_what_was_asked_for(self) -> None:
        trunks = [trunk("a", region="latam"), trunk("b", region="europe"), trunk("c")]
        ranking = rank(CallFacts(call="c1", number=MX, region="europe"), trunks)
        assert names(ranking) == ["b"]
        assert ranking.left_out == (
            LeftOut("a", "region europe was asked for, this is latam"),
            LeftOut("c", "region europe was asked for, this is of none"),
        )
        ranking = rank(CallFacts(call="c1", number=MX, trunk="a"), trunks)
        assert names(ranking) == ["a"]
        assert {one.why for one in ranking.left_out} == {"trunk a was asked for"}

    def test_a_sip_uri_goes_anywhere(self) -> None:
        ranking = rank(CallFacts(call="c1"), [trunk("a", prefixes=("+1",))])
        assert ranking.choices[0].because[0] == "any trunk may carry a SIP URI"

    def test_full_is_worth_another_try_later_and_nothing_else_is(self) -> None:
        assert rank(CALL, [trunk("a", is_full="1 of 1 calls"), trunk("b", countries=("US",))]).is_full
        assert not rank(CALL, [trunk("b", countries=("US",))]).is_full
        assert not rank(CALL, [trunk("a", is_full="1 of 1 calls"), trunk("b")]).is_full

    def test_carried_by_nobody_is_another_thing_than_carried_by_nobody_now(self) -> None:
        assert not rank(CALL, [trunk("b", countries=("US",)), trunk("c", targets=())]).is_carried
        assert rank(CALL, [trunk("b", countries=("US",)), trunk("c", is_full="1 of 1 calls")]).is_carried
        assert not rank(CALL, []).is_carried


class TestLastResort:
    def test_when_all_are_believed_dead_they_are_tried_all_the_same(self) -> None:
        trunks = [trunk("a", refusal="silent", role="backup"), trunk("b", refusal="503s")]
        ranking = rank(CALL, trunks)
        assert names(ranking) == ["b", "a"]
        assert ranking.choices[0].because[2] == "last resort, no other trunk is left: 503s"
        assert ranking.left_out == ()

    def test_but_not_those_known_to_be_of_no_use(self) -> None:
        ranking = rank(CALL, [trunk("a", refusal="registration refused: 403", may_be_last_resort=False)])
        assert ranking == Ranking((), (LeftOut("a", "registration refused: 403"),))


class TestTargets:
    def test_dead_ones_last_and_at_most_two(self) -> None:
        targets = (at(1, is_alive=False), at(2), at(3, priority=1), at(4, priority=2))
        ranking = rank(CALL, [trunk("a", targets=targets), trunk("b", targets=(at(9),))])
        assert [(one.trunk, one.target.address) for one in ranking.choices if one.target] == [
            ("a", "192.0.2.2"),
            ("a", "192.0.2.3"),
            ("b", "192.0.2.9"),
        ]
        assert ranking.choices[1].because[-1] == "its next address"

    def test_all_dead_are_tried_in_their_order(self) -> None:
        targets = (at(1, is_alive=False), at(2, is_alive=False, priority=1))
        ranking = rank(CALL, [trunk("a", targets=targets, refusal="silent")])
        assert [one.target for one in ranking.choices] == [one.target for one in targets]

    def test_where_we_are_registered_comes_first(self) -> None:
        ordered = target_order("c1", (at(1), at(2, priority=5, is_preferred=True)))
        assert [one.target.address for one in ordered] == ["192.0.2.2", "192.0.2.1"]

    def test_weights_are_chances(self) -> None:
        targets = (at(1, weight=10), at(2, weight=70), at(3, weight=20), at(4, weight=0))
        first = Counter(target_order(f"call{n}", targets)[0].target.address for n in range(4000))
        share = {address: count / 4000 for address, count in first.items()}
        assert share["192.0.2.2"] == pytest.approx(0.7, abs=0.04)
        assert share["192.0.2.3"] == pytest.approx(0.2, abs=0.04)
        assert share["192.0.2.1"] == pytest.approx(0.1, abs=0.04)
        assert share.get("192.0.2.4", 0.0) < 0.03

    def test_priorities_come_before_weights(self) -> None:
        targets = (at(1, priority=20, weight=1000), at(2, priority=10, weight=0))
        assert all(target_order(f"call{n}", targets)[0].target.address == "192.0.2.2" for n in range(100))


def some_trunk(dice: random.Random, name: str) -> TrunkFacts:
    return TrunkFacts(
        name=name,
        region=dice.choice(["", "latam", "europe"]),
        countries=dice.choice([(), ("MX",), ("US", "CA")]),
        prefixes=dice.choice([(), ("+52",), ("+49", "+43")]),
        role=dice.choice(["primary", "backup"]),
        order=dice.randint(0, 2),
        price=dice.choice([None, usd("0.01"), usd("0.02"), usd("0.01", "EUR")]),
        refusal=dice.choice(["", "", "silent"]),
        may_be_last_resort=dice.random() < 0.5,
        is_full=dice.choice(["", "", "1 of 1 calls"]),
        trouble=dice.randint(0, 2),
        calls=dice.randint(0, 9),
        max_calls=dice.choice([0, 10]),
        targets=tuple(
            at(last, priority=dice.randint(0, 1), weight=dice.randint(0, 9), is_alive=dice.random() < 0.7)
            for last in range(dice.randint(0, 4))
        ),
    )


def test_whatever_the_facts() -> None:
    """Each trunk is a choice or left out, never both; each with a reason; and the answer is the same in any order."""
    dice = random.Random(19)
    for number in range(400):
        trunks = [some_trunk(dice, name) for name in "abcdef"[: dice.randint(0, 6)]]
        call = CallFacts(call=f"c{number}", number=dice.choice([MX, US, DE, None]), region=dice.choice(["", "latam"]))
        ranking = rank(call, trunks)
        chosen, left_out = set(names(ranking)), {one.trunk for one in ranking.left_out}
        assert chosen | left_out == {one.name for one in trunks}
        assert not chosen & left_out
        assert all(all(choice.because) and choice.target for choice in ranking.choices)
        assert all(one.why for one in ranking.left_out)
        again = rank(call, dice.sample(trunks, len(trunks)))
        assert again.choices == ranking.choices
        assert set(again.left_out) == set(ranking.left_out)
        by_name = {one.name: one for one in trunks}
        roles = [by_name[name].role for name in names(ranking)]
        assert roles == sorted(roles, reverse=True)  # primaries before backups, always
        fit = [one for one in chosen if not by_name[one].refusal]
        assert not fit or len(fit) == len(chosen)  # last resorts only where nothing else is left
