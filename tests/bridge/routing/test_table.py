"""Dialled numbers to companies, flows and call types."""

from __future__ import annotations

import random

import pytest

from bridge.config import RouteSection
from bridge.routing.table import Arrival, look_up, matches

ROUTES = (
    RouteSection(name="vip", numbers=("+525512345678", "+525512345679", "+52800*"), company="a", flow="vip"),
    RouteSection(number="+5255*", trunks=("mx-one",), company="b"),
    RouteSection(number="~^\\+52(55|33)\\d{8}$", regions=("latam",), company="c", call_type="sales"),
    RouteSection(number="100", company="d"),
    RouteSection(number="+49*", company="e"),
)


@pytest.mark.parametrize(
    ("arrival", "company", "because"),
    [
        ({"dialled": "+525512345678"}, "a", ("number +525512345678",)),
        ({"dialled": "+528001234567"}, "a", ("prefix +52800*",)),
        ({"dialled": "+525587654321", "trunk": "mx-one"}, "b", ("prefix +5255*", "trunk mx-one")),
        (
            {"dialled": "+525587654321", "trunk": "mx-two", "region": "latam"},
            "c",
            ("pattern ~^\\+52(55|33)\\d{8}$", "region latam"),
        ),
        ({"dialled": "+525587654321", "trunk": "us", "region": "na"}, "", ()),
        ({"dialled": "100"}, "d", ("number 100",)),
        ({"dialled": "5512345679", "country": "MX"}, "a", ("number +525512345679", "5512345679 is +525512345679")),
        ({"dialled": "525512345678"}, "a", ("number +525512345678", "525512345678 is +525512345678")),
        ({"dialled": "00525512345678"}, "a", ("number +525512345678", "00525512345678 is +525512345678")),
        ({"dialled": "030901820", "country": "DE"}, "e", ("prefix +49*", "030901820 is +4930901820")),
        ({"dialled": "ana"}, "", ()),
        ({"dialled": ""}, "", ()),
    ],
)
def test_the_first_that_fits(arrival: dict[str, str], company: str, because: tuple[str, ...]) -> None:
    match = look_up(ROUTES, Arrival(**arrival))
    assert (match.route.company if match else "", match.because if match else ()) == (company, because)


def test_names() -> None:
    found = [look_up(ROUTES, Arrival(dialled=dialled)) for dialled in ("+525512345678", "100")]
    assert [match.name for match in found if match] == ["vip", "100"]


def test_no_routes_take_everything() -> None:
    match = look_up((), Arrival(dialled="anything"))
    assert match is not None
    assert (match.route, match.entry) == (RouteSection(), "*")


@pytest.mark.parametrize(
    ("entry", "dialled", "fits"),
    [
        *(("*", "", True), ("*", "1", True), ("12*", "12", True), ("12*", "1", False), ("12", "123", False)),
        *(("~5$", "15", True), ("~5$", "51", False), ("~^(?!\\+1)", "+52", True), ("~^(?!\\+1)", "+12", False)),
    ],
)
def test_entries(entry: str, dialled: str, fits: bool) -> None:
    assert matches(entry, dialled) is fits


def test_the_first_route_wins_whatever_the_numbers() -> None:
    dice = random.Random(17)
    for _ in range(200):
        entries = [
            "".join(dice.choice("12") for _ in range(dice.randint(1, 3))) + dice.choice(["", "*"]) for _ in "abcde"
        ]
        routes = [RouteSection(number=entry) for entry in entries]
        dialled = "".join(dice.choice("12") for _ in range(dice.randint(1, 4)))
        match = look_up(routes, Arrival(dialled=dialled))
        expected = next((entry for entry in entries if matches(entry, dialled)), None)
        assert (match.entry if match else None) == expected
