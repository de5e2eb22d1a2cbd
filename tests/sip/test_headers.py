from __future__ import annotations

import pytest

from sip.headers import (
    MAX_TOLD_HEADERS,
    Message,
    contacts,
    info_digit,
    name_and_uri,
    parse_message,
    retry_after_s,
    sdp_of,
    told_headers,
)

INVITE = (
    "INVITE sip:+4930123@192.0.2.1:5060 SIP/2.0\r\n"
    "v: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n"
    'f: "Alice \\"A.\\" Doe" <sip:+4917@example.org>;tag=7\r\n'
    "To: <sip:+4930123@example.org>\r\n"
    "i: abc@192.0.2.7\r\n"
    "X-Trunk: fra1\r\n"
    "P-Asserted-Identity:\r\n <sip:+49171@example.org>\r\n"
    "User-Agent: SBC 1.0\r\n"
    "Supported: timer\r\n"
    "c: application/sdp\r\n"
    "\r\n"
    "v=0\r\n"
)


def test_a_message_taken_apart() -> None:
    message = parse_message(INVITE)
    assert message.request_uri == "sip:+4930123@192.0.2.1:5060"
    assert message.first("from") == '"Alice \\"A.\\" Doe" <sip:+4917@example.org>;tag=7'
    assert message.first("Call-ID") == "abc@192.0.2.7"
    assert message.first("subject") == ""
    assert sdp_of(message) == "v=0\r\n"
    assert told_headers(message) == (
        ("X-Trunk", "fra1"),
        ("P-Asserted-Identity", "<sip:+49171@example.org>"),
        ("User-Agent", "SBC 1.0"),
    )


@pytest.mark.parametrize("text", ["", "\r\n\r\n", "nonsense", "INVITE\r\nno colon\r\n: empty\r\n\r\n"])
def test_nonsense_is_an_empty_message(text: str) -> None:
    message = parse_message(text)
    assert (message.request_uri, message.first("from"), sdp_of(message), told_headers(message)) == ("", "", "", ())


@pytest.mark.parametrize(
    ("value", "name", "uri"),
    [
        ("<sip:a@b>", "", "sip:a@b"),
        ("sip:a@b;tag=1", "", "sip:a@b"),
        ("Bob <sip:a@b;user=phone>;tag=1", "Bob", "sip:a@b;user=phone"),
        ('"<sip:evil@x>" <sip:a@b>', "<sip:evil@x>", "sip:a@b"),
        ('"a\\\\b\\"c" <sip:a@b>', 'a\\b"c', "sip:a@b"),
        ("", "", ""),
        ("<sip:open", "", "sip:open"),
    ],
)
def test_name_and_uri(value: str, name: str, uri: str) -> None:
    assert name_and_uri(value) == (name, uri)


def test_no_more_headers_than_can_be_told() -> None:
    text = "INVITE x SIP/2.0\r\n" + "".join(f"X-{number}: {'v' * 2000}\r\n" for number in range(99)) + "\r\n"
    told = told_headers(parse_message(text))
    assert len(told) == MAX_TOLD_HEADERS
    assert {len(value) for _, value in told} == {1024}


@pytest.mark.parametrize("quote", ["", '"'])
def test_sdp_out_of_a_multipart_body(quote: str) -> None:
    text = (
        f"INVITE x SIP/2.0\r\nContent-Type: multipart/mixed;boundary={quote}b1{quote}\r\n\r\n"
        "--b1\r\nContent-Type: application/isup\r\n\r\n\x01\r\n"
        "--b1\r\nContent-Type: application/sdp\r\nContent-Disposition: session\r\n\r\nv=0\r\n\r\n--b1--\r\n"
    )
    assert sdp_of(parse_message(text)) == "v=0\r\n\r\n"
    assert sdp_of(parse_message(text.replace("application/sdp", "text/plain"))) == ""


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        ("application/dtmf-relay", "Signal=5\r\nDuration=200\r\n", ("5", 200)),
        ("application/dtmf-relay", "signal = *\n", ("*", 160)),
        ("Application/DTMF-Relay;x=y", "Signal=11\r\nDuration=90", ("#", 90)),
        ("application/dtmf-relay", "Signal=d", ("D", 160)),
        ("application/dtmf-relay", "Signal=16", None),
        ("application/dtmf-relay", "Signal=", None),
        ("application/dtmf-relay", "", None),
        ("application/dtmf", "7", ("7", 160)),
        ("application/dtmf", " 10\r\n", ("*", 160)),
        ("application/dtmf", "77", None),
        ("application/broadsoft", "play tone", None),
        ("", "7", None),
    ],
)
def test_digits_by_info(kind: str, body: str, digit: tuple[str, int] | None) -> None:
    assert info_digit(parse_message(f"INFO x SIP/2.0\r\nContent-Type: {kind}\r\n\r\n{body}")) == digit


def response(*headers: str) -> Message:
    return parse_message("\r\n".join(["SIP/2.0 302 Moved", *headers, "", ""]))


def test_contacts_best_first() -> None:
    moved = response(
        'Contact: "A, <B>" <sip:a@x;y=1>;q=0.3, <sip:b@x>;expires=9;q=0.9',
        "m: sip:c@x;q=1.0",
        "Contact: <sip:d@x>",
        "Contact: *;q=0.1",
    )
    assert contacts(moved) == ("sip:c@x", "sip:d@x", "sip:b@x", "sip:a@x;y=1", "*")
    assert contacts(response()) == ()


@pytest.mark.parametrize(("value", "seconds"), [("120", 120), ("7 (busy);duration=60", 7), ("soon", 0), ("", 0)])
def test_when_to_try_again(value: str, seconds: int) -> None:
    assert retry_after_s(response(f"Retry-After: {value}")) == seconds
