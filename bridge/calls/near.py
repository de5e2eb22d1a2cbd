"""What is agreed with the caller about audio: offers and answers (RFC 3264) on one side, `NearSpec` on the other.

Pure. One object per call; it remembers our last body so that the o= line goes on from there, an offer of ours until it
is answered, and our keys.

Whether a call is encrypted is agreed here as well (SDES, RFC 4568). A key of ours lives as long as theirs: an offer
that repeats their key is answered with ours again, and the SRTP session goes on; another key of theirs gets a new one.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.errors import Blame, BridgeError, End
from media.wire import NearSpec, SrtpKeys
from sip import crypto, sdp


class NotAcceptable(BridgeError):
    """An offer or answer we cannot talk with."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.reason, self.detail = status, reason, detail

    def end(self) -> End:
        return End(Blame.CLIENT, self.reason, self.status, self.detail)


class NearSide:
    def __init__(self, codecs: Sequence[str], public_host: str = "", srtp: sdp.Srtp = "off") -> None:
        self.codecs, self.public_host, self.srtp = tuple(codecs), public_host, srtp
        self.host, self.port = "", 0
        self._bound_host = ""
        self.ours = ""
        "The last body we sent. It may hold keys."
        self.choice: sdp.Choice | None = None
        self._keys: list[crypto.Crypto] = []
        "Ours: all that we offered, or the one we answered with. Empty: plain RTP."
        self._answered: crypto.Crypto | None = None
        "Their key when we gave our last answer."
        self._offer: sdp.Session | None = None
        "Theirs, not answered yet."
        self._our_offer: sdp.Session | None = None
        "Ours, not answered yet."

    def on_port(self, host: str, port: int) -> None:
        self._bound_host = host
        self.host, self.port = self.public_host or host, port

    def another(self, codecs: Sequence[str], public_host: str, srtp: sdp.Srtp) -> NearSide:
        """For another dialog with the same RTP port, in which nothing has been said yet."""
        new = NearSide(codecs or self.codecs, public_host or self.public_host, srtp)
        new.on_port(self._bound_host, self.port)
        return new

    def take_offer(self, text: str, *, answered: bool = False) -> None:
        """Raises NotAcceptable and changes nothing when the offer is no good.

        `answered`: by the sip process, with what we said last. So what is encrypted has stayed so, with our old key.
        """
        self._offer, self.choice = self._chosen(text, self._as_it_is if answered else self.srtp)

    def answer(self) -> str:
        """Our answer to the offer taken, or an offer of our own when there was none."""
        if self._offer is None or self.choice is None:
            return self.offer()
        key = self._key_for(self.choice.crypto)
        self.ours = sdp.build_answer(
            self._offer, self.choice, host=self.host, port=self.port, previous=self.ours, key=key
        )
        self._offer = None
        return self.ours

    def offer(self) -> str:
        if self.srtp != "off" and not self._keys:
            self._keys = crypto.offer()
        self.ours = sdp.build_offer(
            self.codecs, host=self.host, port=self.port, previous=self.ours, srtp=self.srtp, keys=self._keys
        )
        self._our_offer = sdp.parse(self.ours)
        return self.ours

    def take_answer(self, text: str) -> bool:
        """Their answer to our offer: the open one or, in answer to a re-INVITE without any, what we said last.

        The sip process offers that again by itself. False when nothing has come of it: a repetition, or an answer to
        nothing of ours.
        """
        if not self.ours:
            return False
        answer = _parsed(text)
        choice = sdp.choose_answered(self._our_offer or sdp.parse(self.ours), answer, self._keys, self.srtp)
        self._our_offer = None
        if choice is None:
            raise NotAcceptable(488, "no-common-codec", "the answer takes none of the codecs we offered")
        before, self.choice, self._answered = self.choice, choice, choice.crypto
        return choice != before

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
            rtcp_host=self.choice.rtcp_host,
            rtcp_port=self.choice.rtcp_port,
            rtcp_mux=self.choice.rtcp_mux,
            srtp=self._srtp_keys(self.choice.crypto),
        )

    @property
    def _as_it_is(self) -> sdp.Srtp:
        return "required" if self._answered else "off"

    def _key_for(self, theirs: crypto.Crypto | None) -> crypto.Crypto | None:
        """Our key in an answer to theirs: the old one only if theirs is the old one too."""
        before, self._answered = self._answered, theirs
        if theirs is None:
            self._keys = []
            return None
        same = before is not None and (before.suite, before.key, before.mki) == (theirs.suite, theirs.key, theirs.mki)
        ours = (crypto.matching(self._keys, theirs) if same else None) or crypto.fresh(theirs.tag, theirs.suite)
        self._keys = [ours]
        return ours

    def _srtp_keys(self, theirs: crypto.Crypto | None) -> SrtpKeys | None:
        ours = crypto.matching(self._keys, theirs)
        if theirs is None or ours is None:
            return None
        return SrtpKeys(suite=theirs.suite, ours=ours.key, theirs=theirs.key, theirs_mki=theirs.mki)

    def _chosen(self, text: str, srtp: sdp.Srtp) -> tuple[sdp.Session, sdp.Choice]:
        offer = _parsed(text)
        choice = sdp.choose(offer, self.codecs, srtp)
        if choice is None:
            in_the_clear = srtp == "required" and sdp.choose(offer, self.codecs) is not None
            reason = "srtp-required" if in_the_clear else "no-common-codec"
            raise NotAcceptable(488, reason, sdp.why_not(offer, self.codecs, srtp))
        return offer, choice


def _parsed(text: str) -> sdp.Session:
    try:
        return sdp.parse(text)
    except sdp.SdpError as error:
        # 400 rather than 488: the body is wrong in itself, no other codec would mend it (RFC 3261, 21.4.1).
        raise NotAcceptable(400, "bad-sdp", str(error)) from None
