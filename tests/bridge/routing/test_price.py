"""What calls cost, to the millionth."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from bridge.records import Cost
from bridge.routing.price import billed_s, cost, price_of


@pytest.mark.parametrize(
    ("seconds", "billing", "billed"),
    [
        (0.0, "60/60", 0),
        (-1.0, "60/60", 0),
        (0.001, "60/60", 60),
        (60.0, "60/60", 60),
        (60.0000005, "60/60", 60),
        (60.01, "60/60", 120),
        (125.0, "60/60", 180),
        (10.0, "30/6", 30),
        (30.5, "30/6", 36),
        (36.0, "30/6", 36),
        (36.1, "30/6", 42),
        (0.2, "1/1", 1),
        (59.2, "1/1", 60),
        (3600.0, "1/1", 3600),
    ],
)
def test_steps(seconds: float, billing: str, billed: int) -> None:
    first, step = map(int, billing.split("/"))
    assert billed_s(seconds, first, step) == billed


def test_the_missions_example() -> None:
    price = price_of("0.008", "USD", "60/60")
    assert price is not None
    assert str(price) == "0.008 USD/min"
    assert cost(61, price) == Cost(currency="USD", per_minute="0.008", billing="60/60", billed_s=120, amount="0.016000")


def test_not_answered_and_no_price() -> None:
    price = price_of("0.0085", "EUR", "1/1")
    assert price is not None
    assert cost(0, price).amount == "0.000000"
    assert price_of("", "USD", "60/60") is None


def test_a_price_that_does_not_divide_is_rounded_once() -> None:
    price = price_of("0.01", "USD", "1/1")
    assert price is not None
    assert [cost(seconds, price).amount for seconds in (1, 2, 3)] == ["0.000167", "0.000333", "0.000500"]


def test_longer_is_never_cheaper_and_never_undercharged() -> None:
    dice = random.Random(5)
    for _ in range(300):
        first, step = dice.choice([1, 6, 30, 60]), dice.choice([1, 6, 30, 60])
        one, other = sorted(dice.uniform(0, 4000) for _ in range(2))
        assert billed_s(one, first, step) <= billed_s(other, first, step)
        assert billed_s(one, first, step) >= one - 1e-5
        assert (billed_s(one, first, step) - first) % step == 0
    assert Decimal(cost(3600, price_of("0.008", "USD", "60/60")).amount) == Decimal("0.48")  # type: ignore[arg-type]
