"""Who is calling, by a trunk's rules."""

from __future__ import annotations

import random
import re

import pytest

from bridge.config import CallerIdSection
from bridge.routing.callerid import ANONYMOUS, CallerId, caller_id

HOST = "p.example"
MX = "+525512345678"


@pytest.mark.parametrize(
    ("rules", "given", "account", "expected"),
    [
        ({}, MX, "", CallerId(MX, f"<sip:{MX}@p.example>")),
        ({}, "55 1234 5678", "", CallerId(MX, f"<sip:{MX}@p.example>")),
        ({"number": "+525500000000"}, "", "", CallerId("+525500000000", "<sip:+525500000000@p.example>")),
        ({"number": "+525500000000"}, "nobody", "", CallerId("+525500000000", "<sip:+525500000000@p.example>")),
        ({}, "", "", CallerId("anonymous")),
        ({}, "", "acc7", CallerId("acc7")),
        ({"format": "national"}, MX, "", CallerId("5512345678", "<sip:5512345678@p.example>")),
        ({"format": "as-given"}, "4711", "", CallerId("4711", "<sip:4711@p.example>")),
        ({"name": 'Parcels "MX"'}, MX, "", CallerId(MX, f'"Parcels \\"MX\\"" <sip:{MX}@p.example>')),
        (
            {"header": "p-asserted-identity"},
            MX,
            "acc7",
            CallerId("acc7", "", (("P-Asserted-Identity", f"<sip:{MX}@p.example>"),)),
        ),
        (
            {"header": "p-asserted-identity", "name": "Ana"},
            MX,
            "acc7",
            CallerId(
                *("acc7", '"Ana" <sip:acc7@p.example>'), (("P-Asserted-Identity", f'"Ana" <sip:{MX}@p.example>'),)
            ),
        ),
        (
            {"header": "both"},
            MX,
            "acc7",
            CallerId(MX, f"<sip:{MX}@p.example>", (("P-Asserted-Identity", f"<sip:{MX}@p.example>"),)),
        ),
        (
            {"privacy": True},
            MX,
            "acc7",
            CallerId("anonymous", ANONYMOUS, (("P-Asserted-Identity", f"<sip:{MX}@p.example>"), ("Privacy", "id"))),
        ),
        ({"privacy": True}, "", "", CallerId("anonymous", ANONYMOUS, (("Privacy", "id"),))),
        ({"header": "both"}, "", "acc7", CallerId("acc7")),
    ],
)
def test_rules(rules: dict[str, object], given: str, account: str, expected: CallerId) -> None:
    section = CallerIdSection(**rules)  # type: ignore[arg-type]
    assert caller_id(section, given, domain=HOST, account=account, country="MX") == expected


def test_a_name_for_this_call() -> None:
    rules = CallerIdSection(number=MX, name="Trunk")
    assert caller_id(rules, "", domain=HOST, name="Call").from_uri == f'"Call" <sip:{MX}@p.example>'


def test_nothing_that_is_given_breaks_out_of_its_place() -> None:
    dice = random.Random(13)
    alphabet = 'a1+"<>@\r\n\\ :;,\x00é'
    for _ in range(500):
        given, name = ("".join(dice.choice(alphabet) for _ in range(dice.randint(0, 12))) for _ in range(2))
        rules = CallerIdSection(format=dice.choice(["e164", "national", "as-given"]), header="both", name=name)
        found = caller_id(rules, given, domain=HOST, country="MX")
        uris = [found.from_uri, *(value for key, value in found.headers if key == "P-Asserted-Identity")]
        for uri in uris:
            assert not uri or re.fullmatch(r'("(?:[^"\\\r\n\x00]|\\["\\])*" )?<sip:[^@<>"\s\x00]+@p\.example>', uri), (
                uri
            )
