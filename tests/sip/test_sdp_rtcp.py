"""Where RTCP goes: on a port that they name (RFC 3605), or with the audio (RFC 5761)."""

from __future__ import annotations

import pytest

from sip.sdp import Choice, answer_again, build_answer, build_offer, choose, choose_answered, offer_again, parse

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
AUDIO = HEAD + "m=audio 4000 RTP/AVP 0\r\n"
MUX = "a=rtcp-mux\r\n"
BOTH = ("PCMU", "PCMA")


def chosen(text: str) -> Choice:
    choice = choose(parse(text), BOTH)
    assert choice is not None
    return choice


def answer(text: str, previous: str = "") -> str:
    return build_answer(parse(text), chosen(text), host="10.0.0.1", port=20000, previous=previous)


@pytest.mark.parametrize(
    ("line", "host", "port"),
    [
        ("", "", 0),
        ("a=rtcp:53020", "", 53020),
        ("a=rtcp:53020 IN IP4 126.16.64.4", "126.16.64.4", 53020),
        (
            "a=rtcp:53020 in IP6 2001:2345:6789:ABCD:EF01:2345:6789:ABCD",
            "2001:2345:6789:ABCD:EF01:2345:6789:ABCD",
            53020,
        ),
        ("a=rtcp:4001 IN IP4 0.0.0.0", "", 4001),
        ("a=rtcp:4001 IN IP4 224.2.1.1", "", 4001),
        ("a=rtcp:4001 IN IP4 somewhere.example", "", 4001),
        ("a=rtcp:4001 IN IP4", "", 4001),
        ("a=rtcp:0", "", 0),
        ("a=rtcp:65536", "", 0),
        ("a=rtcp:four IN IP4 192.0.2.9", "", 0),
        ("a=rtcp:", "", 0),
        ("a=rtcp", "", 0),
    ],
)
def test_the_port_they_name(line: str, host: str, port: int) -> None:
    """What cannot be read says nothing: reports are not worth a call."""
    choice = chosen(AUDIO + (f"{line}\r\n" if line else ""))
    assert (choice.rtcp_host, choice.rtcp_port, choice.rtcp_mux) == (host, port, False)


def test_only_the_lines_of_the_audio_that_was_chosen_count() -> None:
    other = "m=audio 5000 RTP/AVP 3\r\na=rtcp:5005\r\na=rtcp-mux\r\n"
    choice = chosen(HEAD + other + "m=audio 4000 RTP/AVP 0\r\na=rtcp:4005\r\n")
    assert (choice.line, choice.rtcp_port, choice.rtcp_mux) == (1, 4005, False)


def test_rtcp_with_the_audio_is_answered_when_it_is_offered_and_only_then() -> None:
    assert MUX in answer(AUDIO + MUX)
    assert "rtcp" not in answer(AUDIO)
    assert "rtcp" not in answer(AUDIO + "a=rtcp:4005\r\n")
    assert chosen(AUDIO + "a=rtcp:4005\r\n" + MUX).rtcp_mux  # both: the port is for those who cannot (RFC 5761, 5.1.1)


def test_it_belongs_to_the_audio_and_not_to_what_is_refused() -> None:
    text = HEAD + "m=audio 4000 RTP/AVP 0\r\n" + MUX + "m=video 5000 RTP/AVP 31\r\na=rtcp-mux\r\n"
    assert answer(text).endswith(MUX + "m=video 0 RTP/AVP 31\r\n")


def test_it_is_not_offered_by_us_and_not_taken_from_an_answer_alone() -> None:
    """An answer must not say it when the offer did not (RFC 5761, 5.1.1)."""
    offer = build_offer(BOTH, host="10.0.0.1", port=20000)
    assert "rtcp" not in offer
    choice = choose_answered(parse(offer), parse(AUDIO + MUX + "a=rtcp:4005\r\n"))
    assert choice is not None
    assert (choice.rtcp_mux, choice.rtcp_port) == (False, 4005)


def test_what_was_agreed_on_is_offered_and_answered_again() -> None:
    ours = answer(AUDIO + MUX)
    again = offer_again(ours)
    assert MUX in again
    choice = choose_answered(parse(again), parse(AUDIO + MUX))
    assert choice is not None
    assert choice.rtcp_mux
    assert MUX in answer_again(AUDIO + MUX, ours)
    assert MUX not in answer_again(AUDIO, ours)  # they have changed their mind
