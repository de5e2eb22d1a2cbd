"""URIs to users, routes to platforms."""

from __future__ import annotations

import pytest

from bridge.calls.hunt import Candidate
from bridge.calls.routes import candidates, user_of, ways_to
from bridge.calls.trunks import Choices, ListedTrunks, Wanted, Way
from bridge.config import Config, PlatformSection, RouteSection


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("sip:+525512345678@192.0.2.1:5060", "+525512345678"),
        ('"Ana" <sip:ana@example.org;user=phone>;tag=1', "ana"),
        ("sips:100@192.0.2.1;transport=tls", "100"),
        ("SIP:100@x", "100"),
        ("sip:user:password@x", "user"),
        ("tel:+4930123;phone-context=x", "+4930123"),
        ("sip:+12125550001;npdi@192.0.2.1;user=phone", "+12125550001"),
        ("<sip:+12125550188;rn=+12125550000;npdi@x;user=phone>", "+12125550188"),
        ("sip:user;a=b:password@x", "user"),
        ("sip:%2B12125550001@x", "+12125550001"),
        ("tel:%2B4930123", "+4930123"),
        ("sip:192.0.2.1", ""),
        ("sip:192.0.2.1;transport=tcp", ""),
        ("", ""),
    ],
)
def test_user_part(uri: str, user: str) -> None:
    assert user_of(uri) == user


def test_candidates() -> None:
    platforms = (
        PlatformSection(name="one", kind="vapi", connect_timeout_ms=1000),
        PlatformSection(name="two", kind="ultravox"),
    )
    config = Config(platforms=platforms)
    assert candidates(config, RouteSection(platforms=("two", "one"))) == [Candidate("two"), Candidate("one", 1000)]
    assert candidates(config, RouteSection()) == [Candidate("one", 1000), Candidate("two")]


class Carriers(ListedTrunks):
    """Each carries numbers; `mx` has an address of its own, where SIP URIs can go too."""

    def choices(self, wanted: Wanted) -> Choices:
        if not wanted.number.startswith("+"):
            return Choices(ways=(Way(uri=wanted.number, trunk="mx"),) if wanted.trunk == "mx" else ())
        names = [name for name in ("mx", "us") if wanted.trunk in ("", name)]
        return Choices(ways=tuple(Way(uri=f"sip:{wanted.number}@{name}", trunk=name) for name in names))


@pytest.mark.parametrize(
    ("to", "trunk", "ways"),
    [
        ("+5255", "us", [("us", "sip:+5255@us"), ("mx", "sip:+5255@mx")]),
        ("+5255", "", [("mx", "sip:+5255@mx"), ("us", "sip:+5255@us")]),
        ("+5255", "gone", [("mx", "sip:+5255@mx"), ("us", "sip:+5255@us")]),
        ("tel:+5255", "us", [("us", "sip:+5255@us"), ("mx", "sip:+5255@mx")]),
        ("sip:102@pbx", "mx", [("mx", "sip:102@pbx")]),
        ("sip:+5255@pbx", "mx", [("mx", "sip:+5255@pbx"), ("us", "sip:+5255@us")]),
        ("sip:102@pbx", "by-source", [("by-source", "sip:102@pbx")]),
        ("102", "gone", []),
    ],
)
def test_ways_of_a_transfer(to: str, trunk: str, ways: list[tuple[str, str]]) -> None:
    assert [(way.trunk, way.uri) for way in ways_to(Carriers(), to, trunk)] == ways
