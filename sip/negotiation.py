"""Offer and answer inside one call: whose turn it is, and what we say on the spot. Pure.

The first answer, and the answer to an offer in a re-INVITE, wait for the control process. What can not wait (UPDATE,
RFC 3311, 5.2) or needs nobody (a re-INVITE without SDP, a refresh of the session timer) is said again from what we said
last.
"""

from __future__ import annotations

import logging

from sip.border import SipError
from sip.messages import Negotiated, Reoffer
from sip.sdp import SdpError, answer_again, offer_again, parse

log = logging.getLogger("sip")


class Negotiation:
    """The state of one call's offers and answers (RFC 3264, RFC 6337)."""

    def __init__(self, call: str) -> None:
        self._call = call
        self.ours = ""
        "What we sent last; empty before the first."
        self.is_confirmed = False
        self.is_asked = False
        "An INVITE, or the offer of a re-INVITE, waits for the control process."
        self._reoffers = 0
        "Re-INVITEs with an offer so far."
        self.is_offering = False
        "Ours is an offer: what they make of it comes with their ACK or 200."
        self._is_given = False
        "Their offer has our answer already, in a 183: the 200 repeats it, it can not be another one."
        self._before_offer: str | None = None
        "What we had said before the offer of our own that is open. None: none is."
        self._invited = ""
        "The o= line of the INVITE's offer."
        self._theirs = ""
        "What they said last, as the stack writes it."
        self._is_told = False
        "What will be agreed on next has been told already, as their offer."

    @property
    def is_reasked(self) -> bool:
        """The offer of a re-INVITE is open."""
        return self.is_confirmed and self.is_asked

    def on_invite(self, offer: str) -> None:
        self.is_asked, self.is_offering, self._invited = True, not offer, _origin(offer)

    def on_reoffer(self, offer: str) -> Reoffer:
        self.is_asked, self._is_given = True, False
        self._reoffers += 1
        return Reoffer(call=self._call, sdp=offer, number=self._reoffers)

    def awaits(self, number: int) -> bool:
        """It is this re-INVITE's offer that is open. One that was cancelled, or that the stack has refused, is not."""
        return self.is_reasked and number == self._reoffers

    @property
    def may_offer(self) -> bool:
        """Nobody's offer is open: ours may be made (RFC 3264, 4)."""
        return bool(self.ours) and not self.is_asked and not self.is_offering

    def on_our_offer(self, sdp: str) -> None:
        """A re-INVITE or UPDATE of ours is to be sent; `say` gives its offer. Empty: a refresh, what we said last."""
        self._before_offer = self.ours
        self.ours = _checked(sdp) if sdp else self.ours
        self.is_offering = bool(sdp)

    def on_offer_refused(self) -> None:
        """What was agreed before still stands."""
        self.ours, self._before_offer = self._before_offer or self.ours, None
        self.is_offering = False

    def on_our_word(self, sdp: str) -> str:
        """What to put into the response itself: empty when ours is an offer, which `say` gives, or was given before."""
        if not sdp or self._is_given:
            return ""
        self.ours, self._is_given = _checked(sdp), True
        return "" if self.is_offering else sdp

    def on_answered(self) -> None:
        """The final response is out, whoever made it. Not before: `say` must not answer for the control process."""
        self.is_asked = False

    def say(self, offer: str) -> tuple[str, Reoffer | None]:
        """The stack needs a description of ours, for their `offer` or (empty) as one. Empty: nothing is known yet."""
        if self._before_offer is not None and not offer:
            return self.ours, None
        if self.is_confirmed and not offer:
            self.is_offering, self._is_told = True, False
            self.ours = offer_again(self.ours)
        elif offer and self.ours and (not self.is_asked or self._is_early_offer(offer)):
            self.ours, self._is_told = self._answer_again(offer), True
            return self.ours, Reoffer(call=self._call, sdp=offer, answered=True)
        return self.ours, None

    def _is_early_offer(self, offer: str) -> bool:
        """UPDATE in a call that still rings, whose first offer has its answer in a reliable 183 (RFC 3311, 5.1)."""
        return not self.is_confirmed and self._is_given and _origin(offer) != self._invited

    def _answer_again(self, offer: str) -> str:
        try:
            return answer_again(offer, self.ours)
        except SdpError as error:
            log.warning("an offer that could not wait was not understood: %s", error, extra={"call": self._call})
            return self.ours

    def on_agreed(self, theirs: str) -> Negotiated | None:
        """An offer has found its answer: told when the offer was ours.

        Also that of a refresh, which the stack makes by itself, when the answer is another one than before.
        """
        before, self._theirs = self._theirs, theirs
        told, self._is_told = self._is_told, False
        if not self.is_asked:
            self._before_offer = None
        if self.is_asked or told:
            return None
        if not self.is_offering and (not self.is_confirmed or before in ("", theirs)):
            return None
        self.is_offering = False
        return Negotiated(call=self._call, sdp=theirs)


def _origin(sdp: str) -> str:
    return next((line for line in sdp.splitlines() if line.startswith("o=")), "")


def _checked(sdp: str) -> str:
    """Our own words. What the stack can not read it would replace by something of its own."""
    try:
        parse(sdp)
    except SdpError as error:
        raise SipError(f"our own SDP: {error}") from None
    return sdp
