from __future__ import annotations

import random

import pytest

from sip.description import Direction, Media, Origin, SdpError, Session, parse
from sip.formats import Format
from sip.sdp import build_answer, build_offer, choose

PLAIN = """\
v=0
o=- 20518 7 IN IP4 203.0.113.1
s=-
c=IN IP4 203.0.113.1
t=0 0
m=audio 49170 RTP/AVP 8 0 101
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:30
a=maxptime:60
"""
TELEPHONE_EVENT = Format(101, "telephone-event", 8000, fmtp="0-16")
PCMA, PCMU = Format(8, "PCMA", 8000), Format(0, "PCMU", 8000)


def audio(text: str) -> Media:
    return next(media for media in parse(text).media if media.kind == "audio")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_everything_of_a_usual_offer(newline: str) -> None:
    assert parse(PLAIN.replace("\n", newline)) == Session(
        Origin("-", 20518, 7, "203.0.113.1"),
        (
            Media(
                kind="audio",
                port=49170,
                protocol="RTP/AVP",
                tokens=("8", "0", "101"),
                formats=(PCMA, PCMU, TELEPHONE_EVENT),
                host="203.0.113.1",
                direction=Direction.SENDRECV,
                ptime_ms=30,
                maxptime_ms=60,
            ),
        ),
    )


def test_several_sections_with_their_own_lines() -> None:
    text = (
        "v=0\no=x 1 1 IN IP4 198.51.100.1\ns=-\nc=IN IP4 198.51.100.1\nt=0 0\na=sendonly\n"
        "m=video 5000 RTP/AVP 96\na=rtpmap:nonsense\n"
        "m=audio 6000/2 rtp/avp 9 18 111\nc=IN IP6 2001:db8::5\na=rtpmap:111 opus/48000/2\na=inactive\n"
        "m=audio 0 RTP/AVP 0\n"
    )
    assert parse(text).media == (
        Media(kind="video", port=5000, protocol="RTP/AVP", tokens=("96",)),
        Media(
            kind="audio",
            port=6000,
            protocol="RTP/AVP",
            tokens=("9", "18", "111"),
            formats=(Format(9, "G722", 8000), Format(18, "G729", 8000), Format(111, "opus", 48000, 2)),
            host="2001:db8::5",
            direction=Direction.INACTIVE,
        ),
        Media(
            kind="audio",
            port=0,
            protocol="RTP/AVP",
            tokens=("0",),
            formats=(PCMU,),
            host="198.51.100.1",
            direction=Direction.SENDONLY,
        ),
    )


@pytest.mark.parametrize(
    ("address", "written", "meant"),
    [
        ("IP4 0.0.0.0", "sendrecv", Direction.SENDONLY),
        ("IP4 0.0.0.0", "recvonly", Direction.INACTIVE),
        ("IP4 0.0.0.0", "sendonly", Direction.SENDONLY),
        ("IP6 ::", "sendrecv", Direction.SENDONLY),
        ("IP4 192.0.2.1", "recvonly", Direction.RECVONLY),
    ],
)
def test_the_old_hold_takes_receiving_away(address: str, written: str, meant: Direction) -> None:
    text = PLAIN.replace("IN IP4 203.0.113.1\nt=", f"IN {address}\nt=") + f"a={written}\n"
    assert audio(text).direction == meant


@pytest.mark.parametrize("host", ["203.0.113.9", "media.example.com", "localhost", "203.0.113.9/127"])
def test_hosts_that_can_be_sent_to(host: str) -> None:
    assert audio(PLAIN.replace("c=IN IP4 203.0.113.1", f"c=IN IP4 {host}")).host == host.partition("/")[0]


def test_lines_that_are_no_sdp_are_passed_over() -> None:
    text = (
        "hello\n=\nq\nX=1\nv=0\nz=\nm=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.1\na\na=\na=:\na=sendrecv:no\nb=AS:64\n\n"
    )
    assert parse(text) == Session(
        None, (Media(kind="audio", port=4000, protocol="RTP/AVP", tokens=("0",), formats=(PCMU,), host="192.0.2.1"),)
    )


def test_keys_are_kept_but_not_shown() -> None:
    media = audio(PLAIN + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\n")
    assert media.crypto == ("1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0",)
    assert "c2VjcmV0" not in repr(media)
    assert "c2VjcmV0" not in repr(Session(None, (media,)))


@pytest.mark.parametrize("origin", ["o=me 1", "o=me one 1 IN IP4 h", "o=me 1 -1 IN IP4 h", "o=me 1 1 IN IP4 h more"])
def test_an_unreadable_origin_is_no_reason_to_refuse(origin: str) -> None:
    assert parse(PLAIN.replace("o=- 20518 7 IN IP4 203.0.113.1", origin)).origin is None


HEAD = "v=0\nc=IN IP4 192.0.2.1\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "SDP has no m=audio line"),
        (HEAD + "m=video 4000 RTP/AVP 96\n", "SDP has no m=audio line"),
        (HEAD + "m=audio 0 RTP/AVP 0\n", "SDP has no audio: the port of every m=audio line is 0"),
        (HEAD + "m=audio\n", "line 3: m= has no port: 'audio'"),
        (HEAD + "m=audio 4000 RTP/AVP\n", "line 3: m= has no protocol or no format: 'audio 4000 RTP/AVP'"),
        (
            HEAD + "m=audio 65536 RTP/AVP 0\n",
            "line 3: m= has a port that is no number from 0 to 65535: 'audio 65536 RTP/AVP 0'",
        ),
        (
            HEAD + "m=audio -1 RTP/AVP 0\n",
            "line 3: m= has a port that is no number from 0 to 65535: 'audio -1 RTP/AVP 0'",
        ),
        (
            HEAD + "m=audio ٤٠ RTP/AVP 0\n",
            "line 3: m= has a port that is no number from 0 to 65535: 'audio ٤٠ RTP/AVP 0'",
        ),
        (
            HEAD + "m=audio 4000 RTP/AVP 128\n",
            "line 3: m= has a payload type that is no number from 0 to 127: 'audio 4000 RTP/AVP 128'",
        ),
        (
            HEAD + "m=audio 4000 RTP/AVP 0\na=rtpmap:128 X/8000\n",
            "line 4: a= has a payload type that is no number from 0 to 127: 'rtpmap:128 X/8000'",
        ),
        (
            HEAD + "m=audio 4000 RTP/AVP 0\na=rtpmap:96 X/y\n",
            "line 4: a= has a clock rate that is no number from 1 to 1000000: 'rtpmap:96 X/y'",
        ),
        (HEAD + "m=audio 4000 RTP/AVP 0\na=rtpmap:96 X\n", "line 4: a= maps to no name/clock: 'rtpmap:96 X'"),
        (
            HEAD + "m=audio 4000 RTP/AVP 0\na=ptime:soon\n",
            "line 4: a= has a duration that is no number from 0 to 10000: 'ptime:soon'",
        ),
        (
            "v=0\nm=audio 4000 RTP/AVP 0\n",
            "line 2: m= has no c= line, neither of its own nor of the session: 'audio 4000 RTP/AVP 0'",
        ),
        ("c=IN IP4\n", "line 1: c= is not `IN IP4|IP6 address`: 'IN IP4'"),
        ("c=IN IP5 192.0.2.1\n", "line 1: c= is not `IN IP4|IP6 address`: 'IN IP5 192.0.2.1'"),
        ("c=IN IP4 300.1.1.1\n", "line 1: c= has no usable address: 'IN IP4 300.1.1.1'"),
        ("c=IN IP4 a_b;rm\n", "line 1: c= has no usable address: 'IN IP4 a_b;rm'"),
        ("c=IN IP4 ::1\n", "line 1: c= has an address of the other family: 'IN IP4 ::1'"),
        ("c=IN IP4 224.2.17.12/127\n", "line 1: c= names more than one receiver: 'IN IP4 224.2.17.12/127'"),
        ("c=IN IP6 ff15::101\n", "line 1: c= names more than one receiver: 'IN IP6 ff15::101'"),
        ("c=IN IP4 255.255.255.255\n", "line 1: c= names more than one receiver: 'IN IP4 255.255.255.255'"),
        ("x" * 8001, "SDP is too long: 8001 characters, at most 8000"),
        ("m=audio 1 RTP/AVP 0\n" * 17, "line 17: more than 16 m= lines"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(SdpError) as raised:
        parse(text)
    assert str(raised.value) == problem


def test_an_error_quotes_only_the_start_of_a_long_line() -> None:
    with pytest.raises(SdpError) as raised:
        parse("c=IN IP4 " + "x_" * 500)
    assert len(str(raised.value)) < 120


SEEDS = (
    PLAIN,
    build_offer(("PCMU", "PCMA"), host="192.0.2.1", port=4000),
    PLAIN + "m=video 5000 RTP/AVP 96\na=rtpmap:96 H264/90000\nm=image 6000 udptl t38\n",
    "v=0\nc=IN IP6 2001:db8::1\nm=audio 1 RTP/AVPF 0\na=inactive\n",
)


def mutated(dice: random.Random, text: str) -> str:
    for _ in range(dice.randint(1, 6)):
        at, other = dice.randrange(len(text) + 1), dice.randrange(len(text) + 1)
        match dice.randrange(5):
            case 0:
                text = text[:at] + text[at + dice.randint(1, 9) :]
            case 1:
                text = text[:at] + chr(dice.choice((0, 9, 10, 13, 32, 45, 47, 57, 61, 133, 0x664, 0x1F600))) + text[at:]
            case 2:
                text = text[:at] + text[min(at, other) : max(at, other)] + text[at:]
            case 3:
                text = text[:at] + str(dice.choice((-1, 0, 1, 127, 128, 65535, 65536, 10**30))) + text[at:]
            case _:
                lines = text.splitlines(keepends=True)
                dice.shuffle(lines)
                text = "".join(lines)
        text = text or PLAIN
    return text


def test_nothing_but_sdp_errors_whatever_comes() -> None:
    """And whatever is accepted can be answered, with an answer that can itself be read."""
    dice = random.Random(4566)
    answered = refused = 0
    for _ in range(4000):
        text = mutated(dice, dice.choice(SEEDS))
        try:
            offer = parse(text)
        except SdpError:
            refused += 1
            continue
        choice = choose(offer, ("PCMU", "PCMA"))
        if choice is None:
            continue
        answer = build_answer(offer, choice, host="192.0.2.9", port=4002)
        assert [(media.kind, media.port) for media in parse(answer).media] == [
            (media.kind, 4002 if number == choice.line else 0) for number, media in enumerate(offer.media)
        ]
        answered += 1
    assert answered > 500
    assert refused > 500
