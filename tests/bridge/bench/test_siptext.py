from __future__ import annotations

import pytest

from bridge.bench.siptext import Message, NotSip, audio_address, g711, parse, request, response, uri_of

RINGING = (
    b"SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP 10.0.0.1\r\n"
    b"i: abc\r\nCSeq: 1 INVITE\r\nt: <sip:a@b>;tag=7\r\nl: 0\r\n\r\n"
)


def test_a_response_with_compact_names() -> None:
    assert parse(RINGING) == Message(
        method="",
        uri="",
        status=180,
        reason="Ringing",
        headers=(
            ("via", "SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1"),
            ("via", "SIP/2.0/UDP 10.0.0.1"),
            ("call-id", "abc"),
            ("cseq", "1 INVITE"),
            ("to", "<sip:a@b>;tag=7"),
            ("content-length", "0"),
        ),
        body="",
    )


def test_what_headers_say() -> None:
    message = parse(RINGING)
    assert message.all("via") == ["SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1", "SIP/2.0/UDP 10.0.0.1"]
    assert message.first("via") == "SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1"
    assert message.first("route") == ""
    assert message.cseq == (1, "INVITE")
    assert parse(b"SIP/2.0 200 OK\r\nCSeq: one INVITE\r\n\r\n").cseq == (-1, "INVITE")


def test_a_request_reads_back_as_it_was_written() -> None:
    sent = request("INVITE", "sip:x@127.0.0.1:5060", [("call-id", "q"), ("cseq", "1 INVITE")], "v=0\r\n")
    assert sent == (
        b"INVITE sip:x@127.0.0.1:5060 SIP/2.0\r\nCall-ID: q\r\nCSeq: 1 INVITE\r\n"
        b"Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    )
    got = parse(sent)
    assert (got.method, got.uri, got.status, got.body) == ("INVITE", "sip:x@127.0.0.1:5060", 0, "v=0\r\n")


@pytest.mark.parametrize("garbage", [b"", b"\x00\xff\x80", b"GET / HTTP/1.1\r\n\r\n", b"SIP/2.0 soon OK\r\n\r\n"])
def test_garbage_is_not_sip(garbage: bytes) -> None:
    with pytest.raises(NotSip):
        parse(garbage)


def test_an_answer_copies_what_the_rfc_wants_and_adds_a_tag_once() -> None:
    asked = parse(
        request(
            "BYE",
            "sip:us",
            [
                ("via", "SIP/2.0/UDP a"),
                ("via", "SIP/2.0/UDP b"),
                ("max-forwards", "70"),
                ("from", "<sip:f>;tag=1"),
                ("to", "<sip:t>"),
                ("call-id", "c"),
                ("cseq", "2 BYE"),
            ],
        )
    )
    answer = response(asked, 200, "OK", tag="mine")
    assert answer == (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b\r\nFrom: <sip:f>;tag=1\r\nCall-ID: c\r\n"
        b"CSeq: 2 BYE\r\nTo: <sip:t>;tag=mine\r\nContent-Length: 0\r\n\r\n"
    )
    assert b"tag=mine;tag" not in response(
        parse(answer.replace(b"SIP/2.0 200 OK", b"BYE x SIP/2.0")), 200, "OK", tag="n"
    )


@pytest.mark.parametrize(
    ("value", "uri"),
    [
        ("<sip:a@b;transport=udp>;expires=3", "sip:a@b;transport=udp"),
        ('"A <b>" <sip:c@d>', "b"),
        ("sip:a@b;tag=9", "sip:a@b"),
        ("", ""),
    ],
)
def test_uri_of(value: str, uri: str) -> None:
    assert uri_of(value) == uri


def test_our_own_offer_is_understood() -> None:
    assert audio_address(g711("127.0.0.1", 4000)) == ("127.0.0.1", 4000)


@pytest.mark.parametrize(
    ("sdp", "address"),
    [
        ("c=IN IP4 1.1.1.1\nm=audio 7 RTP/AVP 0\nc=IN IP4 2.2.2.2\n", ("2.2.2.2", 7)),
        ("c=IN IP4 1.1.1.1\nm=video 9 RTP/AVP 96\nm=audio 7/2 RTP/AVP 0\nm=audio 8 RTP/AVP 0\n", ("1.1.1.1", 7)),
        ("c=IN IP4 1.1.1.1/127\nm=audio 7 RTP/AVP 0\n", ("1.1.1.1", 7)),
        ("c=IN IP4 1.1.1.1\nm=audio 0 RTP/AVP 0\n", None),
        ("m=audio 7 RTP/AVP 0\n", None),
        ("", None),
    ],
)
def test_where_audio_goes(sdp: str, address: tuple[str, int] | None) -> None:
    assert audio_address(sdp) == address
