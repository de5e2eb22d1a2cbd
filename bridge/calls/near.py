"""What is agreed with the caller about audio: offers and answers (RFC 3264) on one side, `NearSpec` on the other.

Pure. One object per call; it remembers our last body so that the o= line goes on from there, and an offer of ours until
it is answered.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.errors import Blame, BridgeError, End
from media.wire import NearSpec
from sip import sdp


class NotAcceptable(BridgeError):
    """An offer or answer we cannot talk with."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.reason, self.detail = status, reason, detail

    def end(self) -> End:
        return End(Blame.CLIENT, self.reason, self.status, self.detail)


class NearSide:
    def __init__(self, codecs: Sequence[str], public_host: str = "") -> None:
        self.codecs, self.public_host = tuple(codecs), public_host
        self.host, self.port = "", 0
        self.ours = ""
        "The last body we sent."
        self.choice: sdp.Choice | None = None
        self._offer: sdp.Session | None = None
        "Theirs, not answered yet."
        self._our_offer: sdp.Session | None = None
        "Ours, not answered yet."

    def on_port(self, host: str, port: int) -> None:
        self.host, self.port = self.public_host or host, port

    def take_offer(self, text: str) -> None:
        """Raises NotAcceptable and changes nothing when the offer is no good."""
        self._offer, self.choice = self._chosen(text)

    def answer(self) -> str:
        """Our answer to the offer taken, or an offer of our own when there was none."""
        if self._offer is None or self.choice is None:
            return self.offer()
        self.ours = sdp.build_answer(self._offer, self.choice, host=self.host, port=self.port, previous=self.ours)
        self._offer = None
        return self.ours

    def offer(self) -> str:
        self.ours = sdp.build_offer(self.codecs, host=self.host, port=self.port, previous=self.ours)
        self._our_offer = sdp.parse(self.ours)
        return self.ours

    def take_answer(self, text: str) -> bool:
        """Their answer to our offer. False when none was open: a repetition, or nothing of ours."""
        if self._our_offer is None:
            return False
        answer = _parsed(text)
        choice = sdp.choose_answered(self._our_offer, answer)
        self._our_offer = None
        if choice is None:
            raise NotAcceptable(488, "no-common-codec", "the answer takes none of the codecs we offered")
        self.choice = choice
        return True

    def spec(self) -> NearSpec | None:
        """Where the caller's audio goes, once it is known."""
        if self.choice is None:
            return None
        return NearSpec(
            host=self.choice.host,
            port=self.choice.port,
            codec=self.choice.codec,
            payload_type=self.choice.payload_type,
            dtmf_payload_type=self.choice.dtmf_payload_type,
            ptime_ms=self.choice.ptime_ms,
            sends=self.choice.sends,
            receives=self.choice.receives,
        )

    def _chosen(self, text: str) -> tuple[sdp.Session, sdp.Choice]:
        offer = _parsed(text)
        choice = sdp.choose(offer, self.codecs)
        if choice is None:
            raise NotAcceptable(488, "no-common-codec", sdp.why_not(offer, self.codecs))
        return offer, choice


def _parsed(text: str) -> sdp.Session:
    try:
        return sdp.parse(text)
    except sdp.SdpError as error:
        # 400 rather than 488: the body is wrong in itself, no other codec would mend it (RFC 3261, 21.4.1).
        raise NotAcceptable(400, "bad-sdp", str(error)) from None
