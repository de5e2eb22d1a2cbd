"""SRTP (RFC 3711): one call's packets encrypted, decrypted and proven genuine, by libsrtp.

Keys come from the SDP (`a=crypto`, RFC 4568), which is read elsewhere. One session carries both directions of one call:
ours with our key, theirs with theirs.

Measured on 172-byte packets (G.711, 20 ms): protect and unprotect 2 us each, a refused packet 3 us.

What whoever sends must know: the first sequence number is below 2**15 (RFC 3711, 3.3.1; otherwise a receiver that
misses the first packets may miss the wrap and hear nothing from then on), and a key is never used for two streams with
the same SSRC: a new `SrtpSession` needs a new key, a re-INVITE that changes no key keeps the session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pylibsrtp

from media.wire import SrtpKeys

MAX_PACKET_BYTES = 1356
"What libsrtp's Python binding takes in one piece, less the room for the longest tag."

PROFILES: Final = {
    "AES_CM_128_HMAC_SHA1_80": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
"RFC 4568, 6.2. The reports of both have tags of 80 bits (RFC 3711, 5.2)."
TAG_BYTES: Final = {"AES_CM_128_HMAC_SHA1_80": 10, "AES_CM_128_HMAC_SHA1_32": 4}
RTCP_TAG_BYTES: Final = 10
KEY_BYTES: Final = 30
"Master key (16) and master salt (14), one after the other."


class Refused(ValueError):
    """A packet that is not to be used. The text is one of three, short and countable."""


FORGED: Final = "authentication failed"
REPLAYED: Final = "replayed"
MALFORMED: Final = "not an SRTP packet"

_REFUSALS: Final = {
    "authentication failure": FORGED,
    "replay check failed (bad index)": REPLAYED,
    "replay check failed (index too old)": REPLAYED,
}
"libsrtp's words. Whatever else it says of a packet from outside means that it is none."


class SrtpSession:
    """Both directions of one call. `unprotect` takes any SSRC: each has a rollover counter of its own.

    A packet whose SSRC nobody has heard of costs nothing but its check: libsrtp remembers a stream only after its first
    genuine packet.
    """

    __slots__ = (
        "_inbound",
        "_mki",
        "_outbound",
        "_suite",
        "_their_key",
        "authentication_failures",
        "malformed",
        "replays",
    )

    def __init__(self, suite: str, *, our_key: bytes, their_key: bytes, their_mki: bytes = b"") -> None:
        """Raises ValueError for a suite we do not speak or a key of another length."""
        if suite not in PROFILES:
            raise ValueError(f"no such SRTP suite: {suite}")
        self._suite = suite
        self._outbound = _session(suite, our_key, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        self._inbound = _session(suite, their_key, pylibsrtp.Policy.SSRC_ANY_INBOUND)
        self._their_key, self._mki = their_key, their_mki
        self.authentication_failures = 0
        "Packets from outside, RTP and RTCP, whose tag is not what their key makes of them; a wrong MKI too."
        self.replays = 0
        """Packets that have come before, or are older than the 128 last. libsrtp looks at this before the tag, so who
        sends nonsense with numbers in use is counted here."""
        self.malformed = 0

    def __repr__(self) -> str:  # no keys
        return (
            f"<SrtpSession {self._suite} {self.authentication_failures} forged {self.replays} replayed"
            f" {self.malformed} malformed>"
        )

    def expect(self, their_key: bytes, their_mki: bytes = b"") -> None:
        """They may have changed their key (re-INVITE). With the key we know, their rollover counter goes on."""
        if their_key != self._their_key:
            self._inbound = _session(self._suite, their_key, pylibsrtp.Policy.SSRC_ANY_INBOUND)
        self._their_key, self._mki = their_key, their_mki

    def protect(self, packet: bytes) -> bytes:
        """An RTP packet of ours. Numbers must go up: libsrtp refuses to use one twice, which is a ValueError."""
        return _ours(self._outbound.protect, packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        return _ours(self._outbound.protect_rtcp, packet)

    def unprotect(self, packet: bytes) -> bytes:
        """The RTP packet inside what has come. Raises Refused."""
        if self._mki:
            packet = self._without_mki(packet, TAG_BYTES[self._suite])
        return self._theirs(self._inbound.unprotect, packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        if self._mki:
            packet = self._without_mki(packet, RTCP_TAG_BYTES)
        return self._theirs(self._inbound.unprotect_rtcp, packet)

    def _theirs(self, remove: Callable[[bytes], bytes], packet: bytes) -> bytes:
        try:
            return remove(packet)
        except pylibsrtp.Error as error:
            why = _REFUSALS.get(str(error), MALFORMED)
        except ValueError:  # longer than the binding's buffer
            why = MALFORMED
        raise self._counted(why)

    def _counted(self, why: str) -> Refused:
        self.authentication_failures += why is FORGED
        self.replays += why is REPLAYED
        self.malformed += why is MALFORMED
        return Refused(why)

    def _without_mki(self, packet: bytes, tag_bytes: int) -> bytes:
        """Their MKI stands before the tag and is not covered by it (RFC 3711, 3.1): with one key it says nothing."""
        end = len(packet) - tag_bytes
        start = end - len(self._mki)
        if start < 0:
            raise self._counted(MALFORMED)
        if packet[start:end] != self._mki:
            raise self._counted(FORGED)
        return packet[:start] + packet[end:]


def _ours(add: Callable[[bytes], bytes], packet: bytes) -> bytes:
    try:
        return add(packet)
    except pylibsrtp.Error as error:
        raise ValueError(f"libsrtp would not protect {len(packet)} bytes: {error}") from None


def _session(suite: str, key: bytes, ssrc_type: int) -> pylibsrtp.Session:
    if len(key) != KEY_BYTES:
        raise ValueError(f"an SRTP key has {KEY_BYTES} bytes, not {len(key)}")
    return pylibsrtp.Session(pylibsrtp.Policy(key=key, ssrc_type=ssrc_type, srtp_profile=PROFILES[suite]))


def session(standing: SrtpSession | None, before: SrtpKeys | None, now: SrtpKeys | None) -> SrtpSession | None:
    """The session of these keys. It lives as long as our own one.

    A new session would begin with our rollover counter at 0 again, under a key that has already encrypted those packets
    (RFC 3711, 3.2.1).
    """
    if now == before or now is None:
        return standing if now is not None else None
    if standing and before and (now.suite, now.ours) == (before.suite, before.ours):
        standing.expect(now.theirs, now.theirs_mki)
        return standing
    return SrtpSession(now.suite, our_key=now.ours, their_key=now.theirs, their_mki=now.theirs_mki)
