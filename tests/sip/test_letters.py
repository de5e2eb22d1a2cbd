from __future__ import annotations

import pytest

from sip.headers import parse_message
from sip.letters import Thread, answer_to_register, contact, granted_s, options, parse_reply, register
from sip.options import Target, TrunkAccount
from sip.registrar import Answer

PROVIDER = TrunkAccount(name="p", kind="register", registrar="sip:sip.example", username="b", contact_user="line7")
TLS = Target(address="203.0.113.5", port=5061, transport="tls", name="edge.example")
UDP = Target(address="2001:db8::5", port=5070)
OURS = "sip:line7@192.0.2.9:5060"
THREAD = Thread("c1@puente", "t1", 7)


def test_contacts_say_how_we_are_reached() -> None:
    assert contact(PROVIDER, "192.0.2.9", 5060, UDP) == OURS
    assert contact(PROVIDER, "2001:db8::9", 5061, TLS) == "sip:line7@[2001:db8::9]:5061;transport=tls"
    secure = TrunkAccount(name="p", kind="register", registrar="sips:sip.example")
    assert contact(secure, "192.0.2.9", 5061, TLS) == "sips:puente@192.0.2.9:5061"


def test_register() -> None:
    text = register(PROVIDER, THREAD, host="192.0.2.9", contact=OURS, expires_s=300, agent="Puente")
    assert text.endswith("\r\n\r\n")
    message = parse_message(text)
    assert message.first_line == "REGISTER sip:sip.example SIP/2.0"
    assert message.headers[:5] == (
        ("Max-Forwards", "70"),
        ("From", "<sip:b@sip.example>;tag=t1"),
        ("To", "<sip:b@sip.example>"),
        ("Call-ID", "c1@puente"),
        ("CSeq", "7 REGISTER"),
    )
    assert (message.first("contact"), message.first("expires")) == (f"<{OURS}>", "300")
    assert message.first("route") == ""


def test_a_proxy_is_a_route() -> None:
    for proxy in ("sip:p.example", "sip:p.example;lr"):
        trunk = TrunkAccount(name="p", kind="register", registrar="<sip:sip.example>", proxy=proxy)
        message = parse_message(register(trunk, THREAD, host="h", contact=OURS, expires_s=1, agent="x"))
        assert message.first("route") == "<sip:p.example;lr>"
        assert message.request_uri == "sip:sip.example"


def test_options() -> None:
    message = parse_message(options(PROVIDER, THREAD, host="192.0.2.9", target=TLS, agent="Puente"))
    assert message.first_line == "OPTIONS sip:edge.example;transport=tls SIP/2.0"
    assert message.first("from") == "<sip:b@sip.example>;tag=t1"
    bare = parse_message(options(PROVIDER, THREAD, host="192.0.2.9", target=UDP, agent="Puente"))
    assert bare.request_uri == "sip:[2001:db8::5]:5070"


REPLY = (
    "12 200 1500 1\nOK\nSIP/2.0 200 OK\r\nContact: <sip:line7@192.0.2.9:5060>;expires=55\r\nRetry-After: 9 (x)\r\n\r\n"
)


def test_replies() -> None:
    reply = parse_reply(REPLY)
    assert (reply.number, reply.status, reply.took_ms, reply.is_answered, reply.reason) == (12, 200, 1.5, True, "OK")
    assert answer_to_register(reply, OURS, 300) == Answer(200, "OK", expires_s=55, retry_after_s=9)
    dead = parse_reply("13 408 2000000 0\nRequest Timeout\n")
    assert (dead.status, dead.is_answered, dead.message.headers) == (408, False, ())
    assert answer_to_register(dead, OURS, 300) == Answer(408, "Request Timeout")


@pytest.mark.parametrize(
    ("headers", "expires_s"),
    [
        ((f"Contact: <{OURS}>;expires=55",), 55),
        ((f"m: <{OURS};x=y>;q=0.5;Expires = 56",), 56),
        ((f'Contact: "a, b" <sip:other@10.0.0.1>;expires=10, <{OURS.upper()}>;expires=57',), 57),
        (("Contact: <sip:other@10.0.0.1>;expires=10", f"Contact: <{OURS}>;expires=58"), 58),
        (("Contact: <sip:rewritten@10.0.0.1>;expires=59",), 59),
        (("Contact: <sip:one@10.0.0.1>;expires=1", "Contact: <sip:two@10.0.0.1>;expires=2", "Expires: 60"), 60),
        ((f"Contact: <{OURS}>", "Expires: 61"), 61),
        ((f"Contact: <{OURS}>",), 300),
        ((f"Contact: <{OURS}>;expires=0",), 0),
        ((f"Contact: <{OURS}>;expires={'9' * 30}",), 86_400),
        ((f"Contact: <{OURS}>", f"Expires: {'9' * 30}"), 86_400),
        ((f"Contact: {OURS};expires=62",), 62),
        (("Expires: soon",), 300),
        ((), 300),
    ],
)
def test_what_is_granted(headers: tuple[str, ...], expires_s: int) -> None:
    message = parse_message("\r\n".join(("SIP/2.0 200 OK", *headers, "", "")))
    assert granted_s(message, OURS, 300) == expires_s


def test_min_expires() -> None:
    reply = parse_reply("1 423 900 1\nInterval Too Brief\nSIP/2.0 423 Interval Too Brief\r\nMin-Expires: 600\r\n\r\n")
    assert answer_to_register(reply, OURS, 300) == Answer(423, "Interval Too Brief", min_expires_s=600)
