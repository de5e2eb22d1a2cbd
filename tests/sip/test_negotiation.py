from __future__ import annotations

import pytest

from sip.border import SipError
from sip.messages import Negotiated, Reoffer
from sip.negotiation import Negotiation
from sip.sdp import build_answer, build_offer, choose, parse
from tests.helpers.sippeer import sdp

THEIRS = sdp(port=4000)
OURS = build_offer(("PCMU",), host="192.0.2.7", port=20000)


def standing() -> Negotiation:
    """A call whose first offer and answer are done."""
    negotiation = Negotiation("c1")
    negotiation.on_invite(THEIRS)
    offer = parse(THEIRS)
    choice = choose(offer, ("PCMU",))
    assert choice is not None
    negotiation.on_our_word(build_answer(offer, choice, host="192.0.2.7", port=20000))
    negotiation.on_answered()
    negotiation.is_confirmed = True
    return negotiation


def directions(text: str) -> list[str]:
    return [line for line in text.split("\r\n") if line in ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive")]


def test_the_first_answer_waits_for_our_word() -> None:
    negotiation = Negotiation("c1")
    negotiation.on_invite(THEIRS)
    assert negotiation.say(THEIRS) == ("", None)
    assert negotiation.on_our_word(OURS) == OURS
    assert negotiation.say(THEIRS) == (OURS, None)
    assert negotiation.on_agreed(THEIRS) is None
    assert not negotiation.is_reasked


def test_an_invite_without_sdp_gets_our_offer_and_tells_their_answer() -> None:
    negotiation = Negotiation("c1")
    negotiation.on_invite("")
    assert negotiation.on_our_word(OURS) == ""
    assert negotiation.say("") == (OURS, None)
    assert negotiation.on_agreed("early") is None
    negotiation.on_answered()
    assert negotiation.on_agreed(THEIRS) == Negotiated(call="c1", sdp=THEIRS)
    assert negotiation.on_agreed(THEIRS) is None


def test_a_ring_without_sdp_keeps_what_was_said() -> None:
    negotiation = Negotiation("c1")
    negotiation.on_invite(THEIRS)
    negotiation.on_our_word(OURS)
    assert negotiation.on_our_word("") == ""
    assert negotiation.ours == OURS


def test_a_reinvite_is_asked_not_answered() -> None:
    negotiation = standing()
    before = negotiation.ours
    held = sdp(port=4000, direction="sendonly")
    assert negotiation.on_reoffer(held) == Reoffer(call="c1", sdp=held, number=1)
    assert negotiation.is_reasked
    assert negotiation.say(held) == (before, None)
    negotiation.on_answered()
    assert not negotiation.is_reasked


def test_an_answer_is_to_the_reinvite_that_it_was_meant_for() -> None:
    negotiation = standing()
    first = negotiation.on_reoffer(sdp(port=4000, version=2))
    assert negotiation.awaits(first.number)
    negotiation.on_answered()  # it was cancelled
    assert not negotiation.awaits(first.number)
    second = negotiation.on_reoffer(sdp(port=4000, version=3))
    assert not negotiation.awaits(first.number)
    assert negotiation.awaits(second.number)


def test_an_update_is_answered_on_the_spot() -> None:
    negotiation = standing()
    held = sdp(port=4010, direction="sendonly")
    text, told = negotiation.say(held)
    assert told == Reoffer(call="c1", sdp=held, answered=True)
    assert directions(text) == ["a=recvonly"]
    assert negotiation.ours == text


def test_an_update_with_nothing_we_speak_gets_what_we_said_before() -> None:
    negotiation = standing()
    before = negotiation.ours
    gsm = sdp(port=4010, formats="3")
    assert negotiation.say(gsm) == (before, Reoffer(call="c1", sdp=gsm, answered=True))


def test_a_reinvite_without_sdp_gets_our_last_word_as_offer() -> None:
    negotiation = standing()
    negotiation.say(sdp(port=4000, direction="inactive"))
    text, told = negotiation.say("")
    assert told is None
    assert directions(text) == ["a=sendrecv"]
    assert negotiation.on_agreed(THEIRS) == Negotiated(call="c1", sdp=THEIRS)


def test_what_a_183_said_the_200_cannot_change() -> None:
    negotiation = Negotiation("c1")
    negotiation.on_invite(THEIRS)
    assert negotiation.on_our_word(OURS) == OURS
    assert negotiation.on_our_word(OURS.replace("20000", "30000")) == ""
    assert negotiation.ours == OURS
    negotiation.on_answered()
    negotiation.on_reoffer(THEIRS)
    assert negotiation.on_our_word(OURS.replace("20000", "30000")) == OURS.replace("20000", "30000")


def test_a_broken_answer_of_our_own_never_leaves() -> None:
    negotiation = Negotiation("c1")
    negotiation.on_invite(THEIRS)
    with pytest.raises(SipError, match=r"^our own SDP: SDP has no m=audio line$"):
        negotiation.on_our_word("nonsense")
    assert negotiation.ours == ""


def test_an_offer_of_ours_is_said_and_its_answer_told() -> None:
    negotiation = standing()
    negotiation.on_our_offer(OURS)
    assert negotiation.say("") == (OURS, None)
    assert negotiation.on_agreed(THEIRS) == Negotiated(call="c1", sdp=THEIRS)
    assert negotiation.may_offer


def test_an_offer_of_ours_that_is_refused_was_never_said() -> None:
    negotiation = standing()
    before = negotiation.ours
    negotiation.on_our_offer(OURS)
    negotiation.on_offer_refused()
    assert (negotiation.ours, negotiation.may_offer) == (before, True)


def test_a_refresh_says_the_same_and_tells_only_what_has_changed() -> None:
    negotiation = standing()
    before = negotiation.ours
    negotiation.on_agreed(THEIRS)
    moved = sdp(port=4040)
    for theirs, told in ((THEIRS, None), (moved, Negotiated(call="c1", sdp=moved)), (moved, None)):
        negotiation.on_our_offer("")
        assert negotiation.say("") == (before, None)
        assert negotiation.on_agreed(theirs) == told


def test_an_update_is_told_once() -> None:
    negotiation = standing()
    moved = sdp(port=4040)
    assert negotiation.say(moved)[1] == Reoffer(call="c1", sdp=moved, answered=True)
    assert negotiation.on_agreed(moved) is None


def test_while_one_offer_is_open_none_of_ours_may_be_made() -> None:
    theirs, ours = standing(), standing()
    theirs.on_reoffer(THEIRS)
    ours.on_our_offer(OURS)
    assert (theirs.may_offer, ours.may_offer, standing().may_offer) == (False, False, True)


def test_an_update_while_it_rings_is_told_but_the_invite_s_own_offer_is_not() -> None:
    negotiation = Negotiation("c1")
    negotiation.on_invite(THEIRS)
    negotiation.on_our_word(OURS)
    assert negotiation.say(THEIRS) == (OURS, None)
    moved = sdp(port=4040, version=2)
    assert negotiation.say(moved)[1] == Reoffer(call="c1", sdp=moved, answered=True)


def test_a_broken_offer_of_our_own_never_leaves() -> None:
    negotiation = standing()
    with pytest.raises(SipError, match="our own SDP"):
        negotiation.on_our_offer("nonsense")
