from __future__ import annotations

import pytest

from bridge.calls.trunks import Wanted, Way
from bridge.config import CallerIdSection, Config, OutboundSection, TrunkSection
from bridge.telephone.ways import NoWay, over_trunks, to_uri
from bridge.trunks.lookup import Answer, Found, LookUpFailed
from bridge.trunks.places import Place
from sip.options import Target

CONFIG = Config(
    trunks=(
        TrunkSection(
            name="mx",
            kind="register",
            registrar="sip:sip.mx.example",
            username="us",
            password_env="MX",
            prefixes=("+52",),
            codecs=("PCMA",),
            srtp="required",
            caller_id=CallerIdSection(number="+525500000000"),
        ),
        TrunkSection(name="any", host="192.0.2.7:5070", transport="tcp", role="backup", sources=("192.0.2.0/28",)),
        TrunkSection(name="in-only", sources=("192.0.2.99",)),
    ),
    outbound=OutboundSection(country="MX"),
)


class Phonebook:
    """Knows one name."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.is_down = is_down

    async def look_up(self, place: Place) -> Answer:
        if place.is_address:
            return Answer((Found(place.at(place.host)),), 60.0)
        if self.is_down:
            raise LookUpFailed("no name server answers")
        assert place.host == "sip.mx.example"
        return Answer((Found(Target("192.0.2.1", 5060, "udp", place.host)),), 60.0)


@pytest.mark.parametrize("target", ["sip:100@192.0.2.1", "100@192.0.2.1"])
def test_a_uri_is_its_own_way(target: str) -> None:
    route = to_uri(target, "ana")
    [way] = route.ways
    assert (way.uri, way.from_user, way.trunk, route.accounts) == ("sip:100@192.0.2.1", "ana", "", ())
    assert route.with_options() == route
    chosen = route.with_options(codecs=("opus",), ring_timeout_ms=5000)
    assert [(one.codecs, one.ring_timeout_ms) for one in chosen.ways] == [(("opus",), 5000)]


async def test_a_number_goes_over_the_trunks_best_first() -> None:
    route = await over_trunks("55 1234 5678", "", "", CONFIG, Phonebook(), {"MX": "s3cret"})
    assert route.wanted == Wanted(number="+525512345678", country="MX")
    first, second = route.ways
    assert (first.trunk, first.target, first.codecs, first.srtp) == (
        *("mx", Target("192.0.2.1", 5060, "udp", "sip.mx.example")),
        *(("PCMA",), "required"),
    )
    assert "+525500000000" in first.from_uri
    assert (second.trunk, second.target) == ("any", Target("192.0.2.7", 5070, "tcp"))
    account = route.accounts[0]
    assert (account.kind, account.username, account.password) == ("peer", "us", "s3cret")  # no registration of ours
    assert [account.sources for account in route.accounts] == [
        ("192.0.2.1",),
        ("192.0.2.0/28", "192.0.2.7"),
        ("192.0.2.99",),
    ]


async def test_over_one_trunk_only() -> None:
    route = await over_trunks("+525512345678", "+525511112222", "any", CONFIG, Phonebook(), {"MX": "x"})
    assert [way.trunk for way in route.ways] == ["any"]
    assert route.wanted.caller == "+525511112222"


async def test_a_uri_over_a_trunk() -> None:
    route = await over_trunks("sip:100@pbx.example", "", "any", CONFIG, Phonebook(), {"MX": "x"})
    assert [(way.trunk, way.uri) for way in route.ways] == [("any", "sip:100@pbx.example")]


@pytest.mark.parametrize(
    ("target", "caller", "trunk", "why"),
    [
        ("hello", "", "", "hello is no telephone number"),
        ("+525512345678", "ana", "", "+525512345678 or ana is no telephone number"),
        ("+525512345678", "", "x", "no trunk is called 'x'"),
        ("sip:1@x", "", "", "a SIP URI needs --trunk, or no --config at all"),
        ("+525512345678", "", "in-only", "in-only: has no address to call"),
        ("+4930123456", "", "mx", "no trunk can carry it"),
    ],
)
async def test_no_way(target: str, caller: str, trunk: str, why: str) -> None:
    with pytest.raises(NoWay) as caught:
        await over_trunks(target, caller, trunk, CONFIG, Phonebook(), {"MX": "x"})
    assert why in str(caught.value)


async def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(NoWay, match="mx: no name server answers"):
        await over_trunks("+525512345678", "", "mx", CONFIG, Phonebook(is_down=True), {"MX": "x"})
    route = await over_trunks("+525512345678", "", "", CONFIG, Phonebook(is_down=True), {"MX": "x"})
    assert [way.trunk for way in route.ways] == ["any"]


def test_ways_without_a_target_show_the_uri() -> None:
    assert Way(uri="sip:1@x").address == "sip:1@x"
