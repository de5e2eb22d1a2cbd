from __future__ import annotations

import pytest

from sip.border import SipError
from sip.options import EndpointOptions, Target, Transport, TrunkAccount
from sip.trunks import (
    LOCAL,
    address_of,
    check,
    contact_user,
    domain_of,
    gate_line,
    hop,
    host_of,
    host_on,
    is_secure,
    needs,
    networks_of,
    our_uri,
    route_of_call,
    target_in,
    target_uri,
    targets_of,
    with_transport,
)

PROVIDER = TrunkAccount(
    name="provider",
    kind="register",
    registrar="sip:198.51.100.5:5070;transport=udp",
    proxy="sip:198.51.100.6",
    username="bridge1",
    retry_s=4,
)
NAMED = Target(address="203.0.113.5", port=5061, transport="tls", name="sip.example.com")


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("sip:sip.example.com:5060;transport=udp", "sip.example.com"),
        ("sips:user:pass@192.0.2.1", "192.0.2.1"),
        ("<sip:[2001:db8::1]:5060>", "2001:db8::1"),
        ("tel:+49", ""),
        ("no uri", ""),
        ("", ""),
    ],
)
def test_host_of(uri: str, host: str) -> None:
    assert host_of(uri) == host


def test_address_of() -> None:
    assert address_of("192.0.2.1:5060") == "192.0.2.1"
    assert address_of("[2001:db8::1]:5060") == "2001:db8::1"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:192.0.2.1", Target(address="192.0.2.1", port=5060)),
        ("sip:192.0.2.1:5070;lr;transport=TCP", Target(address="192.0.2.1", port=5070, transport="tcp")),
        ("<sip:[2001:db8::1];transport=tls>", Target(address="2001:db8::1", port=5061, transport="tls")),
        ("sips:192.0.2.1", Target(address="192.0.2.1", port=5061, transport="tls")),
        ("sips:192.0.2.1;transport=tcp", Target(address="192.0.2.1", port=5061, transport="tls")),
        ("sip:192.0.2.1;transport=ws", None),
        ("sip:sip.example.com", None),
        ("", None),
    ],
)
def test_where_a_uri_leads_without_being_looked_up(uri: str, expected: Target | None) -> None:
    assert target_in(uri) == expected


@pytest.mark.parametrize(
    ("uri", "transport", "expected"),
    [
        ("sip:1@a", "udp", "sip:1@a"),
        ("sip:1@a", "tls", "sip:1@a;transport=tls"),
        ("sip:1@a;user=phone?X-A=1", "tcp", "sip:1@a;user=phone;transport=tcp?X-A=1"),
        ("<sip:1@a>;x=y", "tcp", "<sip:1@a;transport=tcp>;x=y"),
        ("sip:1@a;transport=udp", "tcp", "sip:1@a;transport=udp"),
        ("sips:1@a", "tls", "sips:1@a"),
    ],
)
def test_a_uri_says_how_it_is_reached(uri: str, transport: Transport, expected: str) -> None:
    assert with_transport(uri, transport) == expected


def test_who_we_are_and_whom_we_dial() -> None:
    assert our_uri(LOCAL, "192.0.2.9", "4711") == "sip:4711@192.0.2.9"
    assert our_uri(LOCAL, "2001:db8::9") == "sip:puente@[2001:db8::9]"
    assert our_uri(PROVIDER, "192.0.2.9", "4711") == "sip:bridge1@198.51.100.5"
    secure = TrunkAccount(name="s", kind="register", registrar="sips:sip.example.com", username="u")
    assert is_secure(secure.registrar)
    assert our_uri(secure, "192.0.2.9") == "sips:u@sip.example.com"
    assert domain_of(TrunkAccount(name="x", kind="peer", domain="example.com"), "192.0.2.9") == "example.com"
    assert target_uri("+4930", "example.com") == "sip:+4930@example.com"
    assert target_uri("SIP:a@b;transport=tcp", "example.com") == "SIP:a@b;transport=tcp"
    assert contact_user(PROVIDER) == "bridge1"
    assert contact_user(TrunkAccount(name="x", kind="register", username="u", contact_user="line7")) == "line7"


@pytest.mark.parametrize(
    ("trunk", "ours", "expected"),
    [
        ("198.51.100.1", "192.0.2.1", "198.51.100.1"),
        ("", "192.0.2.1", "192.0.2.1"),
        ("", "", "127.0.0.1"),
    ],
)
def test_the_host_that_a_partner_knows_us_by(trunk: str, ours: str, expected: str) -> None:
    account = TrunkAccount(name="t", kind="peer", public_host=trunk)
    assert host_on(account, EndpointOptions(public_host=ours)) == expected


def test_who_listens_everywhere_is_known_by_the_way_that_is_taken() -> None:
    assert [host_on(LOCAL, EndpointOptions(host=host)) for host in ("0.0.0.0", "::", "")] == ["", "", ""]


class TestRouteOfCall:
    """Request URI, and where it goes."""

    @pytest.mark.parametrize(
        ("trunk", "uri", "expected"),
        [
            (TrunkAccount(name="t", kind="peer"), "+4930", "sip:+4930@sip.example.com;transport=tls"),
            (TrunkAccount(name="t", kind="peer", domain="d.example"), "+4930", "sip:+4930@d.example;transport=tls"),
            (TrunkAccount(name="t", kind="peer"), "sip:+4930@x.example", "sip:+4930@x.example;transport=tls"),
            (TrunkAccount(name="t", kind="peer"), "sips:+4930@x.example", "sips:+4930@x.example"),
            (PROVIDER, "+4930", "sip:+4930@198.51.100.5;transport=tls"),
        ],
    )
    def test_to_a_target(self, trunk: TrunkAccount, uri: str, expected: str) -> None:
        assert route_of_call(trunk, NAMED, uri, "192.0.2.9") == (expected, NAMED)

    def test_a_target_without_a_name_is_its_own_domain(self) -> None:
        target = Target(address="2001:db8::5", port=5070)
        uri, _ = route_of_call(TrunkAccount(name="t", kind="peer"), target, "+4930", "192.0.2.9")
        assert uri == "sip:+4930@[2001:db8::5]:5070"

    def test_without_targets_addresses_are_taken_as_they_stand(self) -> None:
        assert route_of_call(LOCAL, None, "sip:1@192.0.2.1:5070", "192.0.2.9") == ("sip:1@192.0.2.1:5070", None)
        assert route_of_call(PROVIDER, None, "sip:1@x.example", "192.0.2.9") == ("sip:1@x.example", None)

    @pytest.mark.parametrize(
        ("trunk", "target", "why"),
        [
            (LOCAL, None, "no address of x.example is known"),
            (TrunkAccount(name="t", kind="peer", proxy="sip:p.example"), None, "no address of p.example is known"),
            (LOCAL, Target(address="192.0.2.1", port=5060), "192.0.2.1:5060;transport=udp is no way for a sips URI"),
        ],
    )
    def test_no_way(self, trunk: TrunkAccount, target: Target | None, why: str) -> None:
        with pytest.raises(SipError, match=why):
            route_of_call(trunk, target, "sips:1@x.example" if target else "sip:1@x.example", "192.0.2.9")


def test_a_hop_in_the_gates_words() -> None:
    assert hop(NAMED, "bridge.example") == "tls 203.0.113.5 5061 sip.example.com bridge.example"
    assert hop(Target(address="2001:db8::1", port=5060), "") == "udp 2001:db8::1 5060 - -"
    assert hop(None, "192.0.2.9") == "- - 0 - 192.0.2.9"


def test_targets_are_looked_up_or_stand_in_the_uris() -> None:
    assert targets_of(PROVIDER) == (Target(address="198.51.100.6", port=5060),)
    assert targets_of(LOCAL) == ()
    named = TrunkAccount(name="t", kind="register", registrar="sip:198.51.100.5", proxy="sip:p.example")
    assert targets_of(named) == ()
    looked_up = TrunkAccount(name="t", kind="register", registrar="sip:198.51.100.5", targets=(NAMED,))
    assert targets_of(looked_up) == (NAMED,)
    assert (needs(looked_up, ("udp", "tcp")), needs(looked_up, ("tls",)), needs(LOCAL, ())) == ("tls", "", "")


class TestGate:
    def test_where_calls_of_a_trunk_come_from(self) -> None:
        trunk = TrunkAccount(
            name="t",
            kind="register",
            sources=("10.0.0.7/8", "192.0.2.1", "2001:db8::/32"),
            registrar="sip:198.51.100.5",
            proxy="sip:p.example",
            targets=(NAMED, Target(address="198.51.100.5", port=5060)),
        )
        assert networks_of(trunk, ("203.0.113.9",)) == [
            "10.0.0.0/8",
            "192.0.2.1/32",
            "2001:db8::/32",
            "198.51.100.5/32",
            "203.0.113.5/32",
            "203.0.113.9/32",
        ]

    def test_a_line(self) -> None:
        trunk = TrunkAccount(
            name="t",
            kind="register",
            username="u",
            contact_user="line7",
            calls_per_s=2.5,
            inbound_username="them",
            inbound_password="pw",
        )
        assert gate_line(3, trunk, "h") == "3\t2.500\th\tline7\tthem\tpw"
        peer = TrunkAccount(name="t", kind="peer", username="u", inbound_username="them")
        assert gate_line(4, peer, "") == "4\t0.000\t\t\t\t"  # no password: nobody could prove anything

    @pytest.mark.parametrize(
        ("settings", "why"),
        [
            ({"sources": ("10.0.0.0/99",)}, "trunk t: source '10.0.0.0/99' is no address or CIDR range"),
            ({"targets": (Target(address="x.example", port=1),)}, "trunk t: target 'x.example' is no address"),
            ({"public_host": "a\tb"}, "trunk t: a host, user or inbound password is longer than 127 characters"),
            ({"inbound_password": "p" * 128}, "trunk t: a host, user or inbound password is longer"),
            ({"kind": "register", "registrar": "no uri"}, "trunk t: Invalid URI: the registrar is 'no uri'"),
        ],
    )
    def test_what_can_not_work_is_named(self, settings: dict[str, object], why: str) -> None:
        with pytest.raises(SipError, match=why):
            check(TrunkAccount(**{"name": "t", "kind": "peer", **settings}))  # type: ignore[arg-type]
        check(PROVIDER)
