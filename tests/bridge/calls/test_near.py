"""Offers and answers as the session uses them (what SDP itself is, sip.sdp is tested for)."""

from __future__ import annotations

import pytest

from bridge.calls.near import NearSide, NotAcceptable
from bridge.errors import Blame, End
from tests.fakes import NEAR, OFFER, offer


def near(public_host: str = "") -> NearSide:
    side = NearSide(("PCMU", "PCMA"), public_host)
    side.on_port("10.0.0.1", 20000)
    return side


def version(text: str) -> int:
    return int(text.splitlines()[1].split()[2])


def test_their_offer() -> None:
    side = near()
    side.take_offer(OFFER)
    assert "m=audio 20000 RTP/AVP 8 101" in side.answer()
    assert side.spec() == NEAR


def test_behind_a_nat() -> None:
    side = near("203.0.113.5")
    side.take_offer(OFFER)
    assert "c=IN IP4 203.0.113.5" in side.answer()


def test_nothing_is_known_before_an_answer() -> None:
    side = near()
    assert side.spec() is None
    assert "RTP/AVP 0 8 101" in side.answer()  # no offer of theirs: ours
    assert side.spec() is None
    assert side.take_answer(offer(formats="8 101"))
    assert side.spec() == NEAR
    assert not side.take_answer(offer(formats="0"))


def test_the_version_goes_up_with_every_change() -> None:
    side = near()
    side.take_offer(OFFER)
    first = side.answer()
    side.take_offer(offer())
    assert side.answer() == first
    side.take_offer(offer(direction="sendonly"))
    assert version(side.answer()) == version(first) + 1


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("v=0\n", End(Blame.CLIENT, "bad-sdp", 400, "SDP has no m=audio line")),
        (
            offer(formats="18"),
            End(Blame.CLIENT, "no-common-codec", 488, "no common codec: G729/8000 was offered, we speak PCMU, PCMA"),
        ),
    ],
)
def test_a_bad_offer_changes_nothing(text: str, end: End) -> None:
    side = near()
    side.take_offer(OFFER)
    side.answer()
    with pytest.raises(NotAcceptable) as raised:
        side.take_offer(text)
    assert raised.value.end() == end
    assert side.spec() == NEAR
