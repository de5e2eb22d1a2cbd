"""Numbers as people write them, and what a trunk carries."""

from __future__ import annotations

import random

import pytest

from bridge.routing.numbers import Number, NumberError, carries, find, parse


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("+525512345678", "", Number("+525512345678", "MX", "5512345678")),
        ("+52 (55) 1234-5678", "", Number("+525512345678", "MX", "5512345678")),
        ("tel:+52-55-1234-5678;phone-context=x", "", Number("+525512345678", "MX", "5512345678")),
        ("55 1234 5678", "MX", Number("+525512345678", "MX", "5512345678")),
        ("00525512345678", "DE", Number("+525512345678", "MX", "5512345678")),
        ("011525512345678", "US", Number("+525512345678", "MX", "5512345678")),
        ("030 901820", "DE", Number("+4930901820", "DE", "030901820")),
        ("+1 202 555 0123", "", Number("+12025550123", "US", "2025550123")),
        ("+1 416 555 0123", "", Number("+14165550123", "CA", "4165550123")),
        ("+15550100123", "", Number("+15550100123", "US", "5550100123")),  # not assigned, and yet a number
        ("+80012345678", "", Number("+80012345678", "", "12345678")),
        ("\uff0b\uff14\uff1930901820", "", Number("+4930901820", "DE", "030901820")),  # full-width
    ],
)
def test_written_in_many_ways(text: str, country: str, number: Number) -> None:
    assert parse(text, country) == number
    assert parse(number.e164) == number


@pytest.mark.parametrize(
    ("text", "country", "why"),
    [
        ("5512345678", "", "needs a country code: write it with +"),
        ("", "MX", "is no telephone number"),
        ("ana@example.org", "MX", "is no telephone number"),
        ("+5255", "", "is too short"),
        ("911", "US", "is too short"),
        ("12", "DE", "lacks its area code"),
        ("+52551234567890123", "", "is too long"),
        ("+99912345678", "", "needs a country code: write it with +"),
        ("5" * 65, "MX", "is too long"),
        ("5550123", "US", "lacks its area code"),
    ],
)
def test_no_number(text: str, country: str, why: str) -> None:
    with pytest.raises(NumberError, match=f"^{why.replace('+', '[+]')}$"):
        parse(text, country)
    assert find(text, country) is None


def test_nothing_breaks_it() -> None:
    dice = random.Random(3)
    alphabet = "0123456789+-() ;:tel@\u0660\u00df\x00\n%"
    for _ in range(500):
        text = "".join(dice.choice(alphabet) for _ in range(dice.randint(0, 70)))
        found = find(text, dice.choice(["", "MX", "DE", "XX"]))
        assert found is None or found.e164[1:].isdigit()


@pytest.mark.parametrize(
    ("countries", "prefixes", "exactness"),
    [
        ((), (), 1),
        (("MX",), (), 2),
        (("US", "CA"), (), 0),
        ((), ("+52",), 5),
        ((), ("+52", "+5255"), 7),
        ((), ("+49",), 0),
        (("MX",), ("+49",), 2),
        (("US",), ("+5255",), 7),
    ],
)
def test_how_exactly_it_is_named(countries: tuple[str, ...], prefixes: tuple[str, ...], exactness: int) -> None:
    assert carries(parse("+525512345678"), countries, prefixes) == exactness
