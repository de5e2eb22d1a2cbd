from __future__ import annotations

import pytest

from bridge.bench.reflector import Answers, delay_of
from bridge.bench.siptext import Message, audio_address, parse

LOCAL = ("127.0.0.1", 5999)


def asked(method: str) -> Message:
    text = f"{method} sip:x SIP/2.0\r\nVia: v\r\nFrom: f\r\nTo: <sip:x>\r\nCall-ID: c1\r\nCSeq: 1 {method}\r\n\r\n"
    return parse(text.encode())


@pytest.mark.parametrize(
    ("uri", "seconds"),
    [
        ("sip:delay-40@127.0.0.1:5060", 0.04),
        ("sip:bench@127.0.0.1", 0.0),
        ("sip:delay-x@127.0.0.1", 0.0),
        ("sip:delay@127.0.0.1", 0.0),
        ("sip:127.0.0.1", 0.0),
    ],
)
def test_the_user_part_says_how_long_packets_are_kept(uri: str, seconds: float) -> None:
    assert delay_of(uri) == seconds


def test_a_repeated_invite_gets_the_same_answer() -> None:
    answers = Answers(LOCAL)
    assert not answers.knows(asked("INVITE"))
    answer = answers.invite(asked("INVITE"), 7000)
    assert answers.knows(asked("INVITE"))
    assert answers.repeat(asked("INVITE")) == answer
    got = parse(answer)
    assert (got.status, audio_address(got.body)) == (200, ("127.0.0.1", 7000))
    assert got.first("to") == f"<sip:x>;tag={answers.tag}"


def test_after_bye_the_call_is_forgotten() -> None:
    answers = Answers(LOCAL)
    answers.invite(asked("INVITE"), 7000)
    bye = answers.other(asked("BYE"))
    assert bye is not None
    assert parse(bye).status == 200
    assert not answers.knows(asked("INVITE"))


def test_an_ack_and_a_response_are_not_answered() -> None:
    answers = Answers(LOCAL)
    assert answers.other(asked("ACK")) is None
    assert answers.other(parse(b"SIP/2.0 200 OK\r\n\r\n")) is None
