from __future__ import annotations

from collections.abc import Callable

import pytest

from sip.border import SipError
from sip.messages import Registration, TrunkAccount
from sip.trunks import LOCAL, Registrar, Sources, address_of, domain_of, host_of, our_uri, retry_in, target_uri

PROVIDER = TrunkAccount(
    name="provider",
    kind="register",
    registrar="sip:198.51.100.5:5070;transport=udp",
    proxy="sip:198.51.100.6",
    username="bridge1",
    retry_s=4,
)


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("sip:sip.example.com:5060;transport=udp", "sip.example.com"),
        ("sips:user:pass@192.0.2.1", "192.0.2.1"),
        ("<sip:[2001:db8::1]:5060>", "2001:db8::1"),
        ("tel:+49", ""),
        ("", ""),
    ],
)
def test_host_of(uri: str, host: str) -> None:
    assert host_of(uri) == host


def test_address_of() -> None:
    assert address_of("192.0.2.1:5060") == "192.0.2.1"
    assert address_of("[2001:db8::1]:5060") == "2001:db8::1"


def test_who_we_are_and_whom_we_dial() -> None:
    assert our_uri(LOCAL, "192.0.2.9", "4711") == "sip:4711@192.0.2.9"
    assert our_uri(PROVIDER, "192.0.2.9", "4711") == "sip:bridge1@198.51.100.5"
    assert domain_of(TrunkAccount(name="x", kind="peer", domain="example.com"), "192.0.2.9") == "example.com"
    assert target_uri("+4930", "example.com") == "sip:+4930@example.com"
    assert target_uri("SIP:a@b;transport=tcp", "example.com") == "SIP:a@b;transport=tcp"


class TestSources:
    def test_the_longest_prefix_wins(self) -> None:
        sources = Sources(
            (
                TrunkAccount(name="wide", kind="peer", sources=("10.0.0.0/8", "2001:db8::/32")),
                TrunkAccount(name="narrow", kind="peer", sources=("10.1.0.0/16", "10.2.2.2")),
                TrunkAccount(name="late", kind="peer", sources=("10.1.0.0/16",)),
            )
        )
        found = {
            address: sources.trunk_of(address)
            for address in ("10.9.9.9", "10.1.2.3", "10.2.2.2", "10.2.2.3", "2001:db8::7", "11.0.0.1", "nonsense", "")
        }
        assert found == {
            "10.9.9.9": "wide",
            "10.1.2.3": "narrow",
            "10.2.2.2": "narrow",
            "10.2.2.3": "wide",
            "2001:db8::7": "wide",
            "11.0.0.1": None,
            "nonsense": None,
            "": None,
        }
        assert sources.networks() == ["10.0.0.0/8", "2001:db8::/32", "10.1.0.0/16", "10.2.2.2/32"]

    def test_a_registrar_and_a_proxy_are_sources_without_being_listed(self) -> None:
        assert Sources((PROVIDER,)).networks() == ["198.51.100.5/32", "198.51.100.6/32"]

    def test_what_a_name_led_to_is_learnt_once(self) -> None:
        sources = Sources((TrunkAccount(name="p", kind="register", registrar="sip:sip.example.com"),))
        assert sources.networks() == []
        assert sources.learn("p", "203.0.113.5")
        assert not sources.learn("p", "203.0.113.5")
        assert not sources.learn("p", "")
        assert sources.trunk_of("203.0.113.5") == "p"

    def test_a_wrong_source_is_named(self) -> None:
        with pytest.raises(SipError, match=r"^trunk t: source '10\.0\.0\.0/99' is no address or CIDR range$"):
            Sources((TrunkAccount(name="t", kind="peer", sources=("10.0.0.0/99",)),))


def test_waits_grow_to_a_ceiling_and_are_diced() -> None:
    assert [retry_in(failures, 2, lambda: 1.0) for failures in (1, 2, 3, 6, 7, 99)] == [2, 4, 8, 64, 120, 120]
    assert [retry_in(failures, 2, lambda: 0.0) for failures in (1, 2, 99)] == [1, 2, 60]


class Stack:
    """Registers at nothing; the loop's timers are a list."""

    def __init__(self) -> None:
        self.told: list[Registration] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.sent = 0
        self.broken = ""
        self.registrar = Registrar(
            PROVIDER, self.register, self.told.append, lambda wait, call: self.timers.append((wait, call)), lambda: 1.0
        )

    def register(self) -> None:
        self.sent += 1
        if self.broken:
            raise SipError(self.broken)

    def let_time_pass(self) -> float:
        wait_s, call = self.timers.pop()
        call()
        return wait_s


def told(state: str, status: int, reason: str, expires_s: int = 0, retry_in_s: float = 0.0) -> Registration:
    return Registration(
        trunk="provider",
        state=state,  # type: ignore[arg-type]
        status=status,
        reason=reason,
        expires_s=expires_s,
        retry_in_s=retry_in_s,
    )


class TestRegistrar:
    def test_registered(self) -> None:
        stack = Stack()
        stack.registrar.on_answer(200, "OK", 60)
        assert stack.told == [told("registered", 200, "OK", 60)]
        assert stack.timers == []
        assert stack.registrar.is_registered
        stack.registrar.on_answer(408, "Request Timeout", 0)
        assert not stack.registrar.is_registered

    def test_a_dead_registrar_is_tried_with_growing_waits(self) -> None:
        stack = Stack()
        waits = []
        for _ in range(4):
            stack.registrar.on_answer(408, "Request Timeout", 0)
            waits.append(stack.let_time_pass())
        assert waits == [4, 8, 16, 32]
        assert stack.sent == 4
        assert stack.told[1] == told("unreachable", 408, "Request Timeout", retry_in_s=8)
        stack.registrar.on_answer(200, "OK", 60)
        stack.registrar.on_answer(503, "Later", 0)
        assert stack.let_time_pass() == 4

    @pytest.mark.parametrize("status", [401, 403, 404, 407, 603])
    def test_a_refusal_is_not_hammered(self, status: int) -> None:
        stack = Stack()
        stack.registrar.on_answer(status, "No", 0)
        assert stack.told == [told("refused", status, "No", retry_in_s=16)]
        assert stack.let_time_pass() == 16

    def test_a_stack_that_cannot_even_send(self) -> None:
        stack = Stack()
        stack.broken = "no such host"
        stack.registrar.on_answer(503, "Down", 0)
        stack.let_time_pass()
        assert stack.told[1] == told("unreachable", 503, "no such host", retry_in_s=8)
        assert len(stack.timers) == 1

    def test_after_leaving_nothing_is_tried_again(self) -> None:
        stack = Stack()
        stack.registrar.on_answer(503, "Down", 0)
        stack.registrar.leave()
        stack.let_time_pass()
        assert stack.sent == 0
        stack.registrar.on_answer(200, "OK", 0)
        assert stack.told[1:] == [told("unregistered", 200, "OK")]
        assert stack.timers == []
