"""From a choice to what an INVITE over that trunk must say."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.calls.trunks import Wanted, Way
from bridge.config import CallerIdSection, TrunkSection
from bridge.routing.numbers import Number
from bridge.routing.ranking import Choice
from bridge.trunks.ways import number_of, way
from sip.options import Target

TARGET = Target("192.0.2.1", 5060)
CHOICE = Choice("t", TARGET, ("prefix +52", "primary"))
MX = Wanted(number="+525512345678", country="MX", caller="+4930901820")


def made(wanted: Wanted = MX, our_host: str = "203.0.113.5", **keys: Any) -> Way:
    return way(CHOICE, TrunkSection(name="t", **{"host": "p.example", **keys}), wanted, number_of(wanted), our_host)


def test_everything_the_trunk_wants() -> None:
    found = made(
        region="latam",
        codecs=("PCMA",),
        srtp="required",
        public_host="198.51.100.1",
        ring_timeout_ms=30000,
        allow_refer=False,
        domain="us.example",
        caller_id=CallerIdSection(name="Parcels", header="both"),
    )
    assert found == Way(
        uri="sip:+525512345678@us.example",
        trunk="t",
        target=TARGET,
        region="latam",
        from_user="+4930901820",
        from_uri='"Parcels" <sip:+4930901820@us.example>',
        headers=(("P-Asserted-Identity", '"Parcels" <sip:+4930901820@us.example>'),),
        codecs=("PCMA",),
        srtp="required",
        public_host="198.51.100.1",
        ring_timeout_ms=30000,
        allow_refer=False,
        because=("prefix +52", "primary"),
    )


@pytest.mark.parametrize(
    ("keys", "uri"),
    [
        ({}, "sip:+525512345678@p.example"),
        ({"dial_format": "digits"}, "sip:525512345678@p.example"),
        ({"dial_format": "national"}, "sip:5512345678@p.example"),
        ({"host": "192.0.2.9:5070"}, "sip:+525512345678@192.0.2.9:5070"),
        ({"host": "2001:db8::1"}, "sip:+525512345678@[2001:db8::1]"),
        ({"host": "p.example", "proxy": "sip:edge.example;lr"}, "sip:+525512345678@p.example"),
        ({"host": "", "proxy": "sip:edge.example:5080;lr"}, "sip:+525512345678@edge.example:5080"),
        (
            {"host": "", "kind": "register", "registrar": "sip:r.example:5062", "username": "acc"},
            "sip:+525512345678@r.example:5062",
        ),
        (
            {"host": "", "kind": "register", "registrar": "sip:r.example", "proxy": "sip:edge.example;lr"},
            "sip:+525512345678@r.example",
        ),
    ],
)
def test_whom_it_asks_for(keys: dict[str, Any], uri: str) -> None:
    assert made(**keys).uri == uri


@pytest.mark.parametrize(
    ("keys", "from_uri"),
    [
        ({}, "<sip:+4930901820@203.0.113.5>"),
        ({"kind": "register", "registrar": "sip:r.example:5062", "username": "acc"}, "<sip:+4930901820@r.example>"),
        ({"domain": "d.example"}, "<sip:+4930901820@d.example>"),
    ],
)
def test_who_we_say_we_are(keys: dict[str, Any], from_uri: str) -> None:
    assert made(**keys).from_uri == from_uri
    assert made(our_host="2001:db8::5").from_uri == "<sip:+4930901820@[2001:db8::5]>"


def test_a_national_number_to_be_shown_is_at_home_in_the_trunks_country() -> None:
    rules = CallerIdSection(format="national")
    wanted = Wanted(number="+525512345678", caller="55 8765 4321")
    assert made(wanted, countries=("MX",), caller_id=rules).from_user == "5587654321"


def test_a_uri_goes_as_it_is() -> None:
    wanted = Wanted(number="sip:ana@example.org", trunk="t")
    assert made(wanted, host="").uri == "sip:ana@example.org"
    assert number_of(wanted) is None


def test_a_number_that_nobody_knows_is_still_one() -> None:
    assert number_of(Wanted(number="+9991234", country="XX")) == Number("+9991234", "XX", "9991234")
