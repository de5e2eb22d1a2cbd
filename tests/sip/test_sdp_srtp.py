"""Offers and answers with keys (RFC 4568): what the policy of a trunk allows, and what is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sip import crypto
from sip.sdp import (
    Choice,
    SdpError,
    Srtp,
    answer_again,
    build_answer,
    build_offer,
    choose,
    choose_answered,
    parse,
    why_not,
)

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
BOTH = ("PCMU", "PCMA")
BEST, SHORT = crypto.SUITES
KEY = crypto.Crypto(tag=3, suite=BEST, key=bytes(range(30)))
OTHER_SUITE = crypto.Crypto(tag=1, suite=SHORT, key=bytes(range(30, 60)))
LINE = f"a=crypto:{KEY.text}\r\n"
UNKNOWN = "a=crypto:1 AEAD_AES_256_GCM inline:c2VjcmV0\r\n"
PLAIN = HEAD + "m=audio 4000 RTP/AVP 8\r\n"
SECURE = HEAD + "m=audio 4000 RTP/SAVP 8\r\n"
IN_THE_CLEAR = Choice(line=0, host="192.0.2.1", port=4000, codec="PCMA", payload_type=8)
ENCRYPTED = replace(IN_THE_CLEAR, crypto=KEY)


def without_origin(text: str) -> list[str]:
    return [line for line in text.split("\r\n") if not line.startswith("o=")]


@pytest.mark.parametrize(
    ("offer", "off", "optional", "required"),
    [
        (PLAIN, IN_THE_CLEAR, IN_THE_CLEAR, None),
        (PLAIN + LINE, IN_THE_CLEAR, ENCRYPTED, ENCRYPTED),
        (PLAIN + UNKNOWN, IN_THE_CLEAR, IN_THE_CLEAR, None),
        (SECURE, None, None, None),
        (SECURE + LINE, None, ENCRYPTED, ENCRYPTED),
        (SECURE + UNKNOWN + LINE, None, ENCRYPTED, ENCRYPTED),
        (SECURE + UNKNOWN, None, None, None),
        (SECURE.replace("SAVP", "SAVPF") + LINE, None, ENCRYPTED, ENCRYPTED),
        (SECURE.replace("RTP/SAVP", "UDP/TLS/RTP/SAVP") + LINE, None, None, None),
    ],
)
def test_policy(offer: str, off: Choice | None, optional: Choice | None, required: Choice | None) -> None:
    policies: tuple[Srtp, ...] = ("off", "optional", "required")
    assert [choose(parse(offer), BOTH, srtp) for srtp in policies] == [off, optional, required]


def test_both_profiles_offered_side_by_side() -> None:
    """Whoever may talk in the clear takes the offerer's first line; who may not takes the encrypted one."""
    offer = parse(PLAIN + "m=audio 4002 RTP/SAVP 8\r\n" + LINE)
    assert choose(offer, BOTH, "optional") == IN_THE_CLEAR
    required = choose(offer, BOTH, "required")
    assert required == replace(ENCRYPTED, line=1, port=4002)
    ours = crypto.fresh(3, BEST)
    text = build_answer(offer, required, host="192.0.2.7", port=20000, key=ours)
    assert without_origin(text)[4:] == [
        "m=audio 0 RTP/AVP 8",
        "m=audio 20000 RTP/SAVP 8",
        "a=rtpmap:8 PCMA/8000",
        f"a=crypto:{ours.text}",
        "a=ptime:20",
        "a=sendrecv",
        "",
    ]


@pytest.mark.parametrize(
    ("offer", "srtp", "why"),
    [
        (PLAIN, "required", "no key for SRTP that we can use: RTP/AVP: no a=crypto line was offered"),
        (
            SECURE + UNKNOWN,
            "optional",
            "no key for SRTP that we can use: RTP/SAVP: AEAD_AES_256_GCM is not one of our suites",
        ),
        (SECURE + LINE, "off", "only RTP/SAVP was offered, we speak RTP/AVP, RTP/AVPF"),
        (
            HEAD + "m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n",
            "required",
            "only UDP/TLS/RTP/SAVPF was offered, we speak RTP/SAVP, RTP/SAVPF",
        ),
        (
            SECURE.replace(" 8", " 18") + LINE,
            "required",
            "no common codec: G729/8000 was offered, we speak PCMU, PCMA",
        ),
    ],
)
def test_why_not(offer: str, srtp: Srtp, why: str) -> None:
    assert choose(parse(offer), BOTH, srtp) is None
    assert why_not(parse(offer), BOTH, srtp) == why


def test_our_offer_and_what_they_make_of_it() -> None:
    keys = crypto.offer()
    for srtp, profile in (("optional", "RTP/AVP"), ("required", "RTP/SAVP")):
        text = build_offer(BOTH, host="192.0.2.7", port=20000, srtp=srtp, keys=keys)  # type: ignore[arg-type]
        assert [line for line in text.split("\r\n") if line.startswith(("m=", "a=crypto"))] == [
            f"m=audio 20000 {profile} 0 8 101",
            *(f"a=crypto:{key.text}" for key in keys),
        ]
    ours = parse(text)
    theirs = crypto.fresh(2, SHORT)
    answer = parse(SECURE + f"a=crypto:{theirs.text}\r\n")
    assert choose_answered(ours, answer, keys, "required") == replace(IN_THE_CLEAR, crypto=theirs)
    assert choose_answered(ours, parse(SECURE + f"a=crypto:{OTHER_SUITE.text}\r\n"), keys, "required") is None
    assert choose_answered(ours, parse(PLAIN), keys, "required") is None
    assert choose_answered(ours, parse(PLAIN), keys, "optional") == IN_THE_CLEAR


def test_an_update_keeps_our_key_and_their_tag() -> None:
    offer = parse(SECURE + LINE)
    ours = crypto.fresh(3, BEST)
    said = build_answer(offer, ENCRYPTED, host="192.0.2.7", port=20000, key=ours)
    other = crypto.fresh(9, BEST)
    again = answer_again(SECURE + f"a=crypto:{other.text}\r\n", said)
    assert [line for line in again.split("\r\n") if "crypto" in line] == [f"a=crypto:{replace(ours, tag=9).text}"]


@pytest.mark.parametrize("offer", [PLAIN, SECURE, SECURE + f"a=crypto:{OTHER_SUITE.text}\r\n"])
def test_an_update_that_would_change_how_it_is_encrypted(offer: str) -> None:
    said = build_answer(parse(SECURE + LINE), ENCRYPTED, host="192.0.2.7", port=20000, key=crypto.fresh(3, BEST))
    with pytest.raises(SdpError):
        answer_again(offer, said)


def test_an_update_does_not_begin_to_encrypt() -> None:
    said = build_answer(parse(PLAIN), IN_THE_CLEAR, host="192.0.2.7", port=20000)
    assert answer_again(PLAIN + LINE, said) == said


def test_no_key_in_the_repr() -> None:
    assert repr(KEY.key)[2:-1] not in repr(ENCRYPTED)
    assert KEY.text not in repr((parse(SECURE + LINE), ENCRYPTED))
