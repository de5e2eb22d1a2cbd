"""URIs to users, routes to platforms."""

from __future__ import annotations

import pytest

from bridge.calls.hunt import Candidate
from bridge.calls.routes import candidates, user_of
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
        ("sip:192.0.2.1", ""),
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
