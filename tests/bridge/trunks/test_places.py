"""Where a partner is looked for."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.config import TrunkSection
from bridge.trunks.places import Place, place_of
from sip.options import Target


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({}, None),
        ({"host": "sip.p.example"}, Place("sip.p.example")),
        ({"host": "sip.p.example:5070"}, Place("sip.p.example", 5070)),
        ({"host": "192.0.2.1", "transport": "tls"}, Place("192.0.2.1", 0, "tls")),
        ({"host": "2001:db8::1"}, Place("2001:db8::1")),
        ({"host": "[2001:db8::1]:5070"}, Place("2001:db8::1", 5070)),
        ({"host": "p.example", "srv": False}, Place("p.example", srv=False)),
        ({"registrar": "sip:r.example:5062;transport=tcp"}, Place("r.example", 5062, "tcp")),
        ({"registrar": "sips:r.example"}, Place("r.example", 0, "tls")),
        ({"registrar": "sip:r.example", "transport": "tls"}, Place("r.example", 0, "tls")),
        ({"registrar": "sip:r.example;transport=UDP", "transport": "tls"}, Place("r.example")),
        ({"registrar": "sip:r.example", "host": "h.example"}, Place("h.example")),
        ({"registrar": "sip:r.example", "host": "h.example", "proxy": "sip:p.example;lr"}, Place("p.example")),
        ({"proxy": "<sip:user@[2001:db8::1]:5080;lr;transport=tls>"}, Place("2001:db8::1", 5080, "tls")),
        ({"proxy": "sips:p.example;transport=tcp"}, Place("p.example", 0, "tls")),
    ],
)
def test_from_settings(keys: dict[str, Any], place: Place | None) -> None:
    assert place_of(TrunkSection(name="t", **keys)) == place


def test_targets_bear_the_name_for_the_certificate() -> None:
    assert Place("p.example", 0, "tls").at("192.0.2.1") == Target("192.0.2.1", 5061, "tls", "p.example")
    assert Place("p.example").at("192.0.2.1", 5070) == Target("192.0.2.1", 5070, "udp", "p.example")
    assert Place("192.0.2.1", 5071).at("192.0.2.1") == Target("192.0.2.1", 5071)


def test_in_words() -> None:
    assert [str(Place(host, port)) for host, port in (("p.example", 0), ("p.example", 1), ("::1", 2))] == [
        *("p.example", "p.example:1", "[::1]:2"),
    ]
