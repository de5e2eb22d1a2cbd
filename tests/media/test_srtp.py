"""SRTP: the published vectors, two sessions back to back, and everything that must not come through."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Callable

import pytest

from media import rtcp, rtp
from media.srtp import MAX_PACKET_BYTES, PROFILES, Refused, SrtpSession
from tests.helpers.wire import Wire

BEST, SHORT = PROFILES
VECTOR_KEY = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6")
"Master key and salt of RFC 3711, B.3."
SESSION_AUTH_KEY = bytes.fromhex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
"What RFC 3711, B.3 derives from them; its first 20 bytes are the key of HMAC-SHA1."
A_KEY, B_KEY = bytes(range(30)), bytes(range(100, 130))
SSRC = 0xCAFEBABE
AUDIO = bytes(range(160))


def pair(suite: str = BEST, mki: bytes = b"") -> tuple[SrtpSession, SrtpSession]:
    """Two ends of one call; `mki` is what the first one's packets are expected to carry."""
    return (
        SrtpSession(suite, our_key=A_KEY, their_key=B_KEY),
        SrtpSession(suite, our_key=B_KEY, their_key=A_KEY, their_mki=mki),
    )


def packet(sequence: int, ssrc: int = SSRC) -> bytes:
    return rtp.serialize(0, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, ssrc, AUDIO)


def report(ssrc: int = SSRC) -> bytes:
    return rtcp.serialize([rtcp.ReceiverReport(ssrc)])


def counts(session: SrtpSession) -> tuple[int, int, int]:
    return session.authentication_failures, session.replays, session.malformed


def refused(take: Callable[[bytes], bytes], data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        take(data)
    return str(caught.value)


# --- vectors ----------------------------------------------------------------------------------------------------------


def test_the_reference_packet() -> None:
    """The packet that libsrtp and others validate themselves by, with the master key of RFC 3711, B.3."""
    session = SrtpSession(BEST, our_key=VECTOR_KEY, their_key=VECTOR_KEY)
    plain = bytes.fromhex("800f1234decafbadcafebabe") + b"\xab" * 16
    sealed = bytes.fromhex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb")
    assert session.protect(plain) == sealed
    assert session.unprotect(sealed) == plain


def test_the_reference_report() -> None:
    session = SrtpSession(BEST, our_key=VECTOR_KEY, their_key=VECTOR_KEY)
    plain = bytes.fromhex("81c8000bcafebabe") + b"\xab" * 16
    sealed = bytes.fromhex("81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798")
    assert session.protect_rtcp(plain) == sealed
    assert session.unprotect_rtcp(sealed) == plain


@pytest.mark.parametrize(("suite", "tag_bytes"), [(BEST, 10), (SHORT, 4)])
def test_the_tag_is_made_with_the_session_key_of_the_rfc(suite: str, tag_bytes: int) -> None:
    """HMAC-SHA1 over the packet and the rollover counter (RFC 3711, 4.2), by another implementation of it."""
    session = SrtpSession(suite, our_key=VECTOR_KEY, their_key=VECTOR_KEY)
    for sequence, rollovers in ((0x7FFE, 0), (0xFFFE, 0), (0x10003, 1)):
        sealed = session.protect(packet(sequence))
        body, tag = sealed[:-tag_bytes], sealed[-tag_bytes:]
        mac = hmac.new(SESSION_AUTH_KEY, body + rollovers.to_bytes(4, "big"), hashlib.sha1)
        assert tag == mac.digest()[:tag_bytes]
        assert (len(body), body[:12]) == (172, packet(sequence)[:12])


# --- back to back -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", PROFILES)
def test_both_directions(suite: str) -> None:
    a, b = pair(suite)
    for sequence in range(20):
        assert b.unprotect(a.protect(packet(sequence))) == packet(sequence)
        assert a.unprotect(b.protect(packet(sequence, 5))) == packet(sequence, 5)
        assert b.unprotect_rtcp(a.protect_rtcp(report())) == report()
    assert AUDIO not in a.protect(packet(20))
    assert (counts(a), counts(b)) == ((0, 0, 0), (0, 0, 0))


@pytest.mark.parametrize("first", [0, 0x7FFF, 0xFFFE])
def test_more_than_one_rollover_over_a_bad_wire(first: int) -> None:
    """Every packet that the wire lets through is genuine, whatever was lost or swapped around the wraps."""
    a, b = pair()
    wire = Wire("....x..>.", delay_s=0.02)
    got = 0
    sequences = range(first, first + 2 * 65536 + 200, 20)  # a late one is 60 behind: inside the replay window
    for n, sequence in enumerate(sequences):
        wire.send(a.protect(packet(sequence)), n * 0.02)
        got += sum(b.unprotect(data)[12:] == AUDIO for data, _ in wire.arrivals(n * 0.02))
    got += sum(b.unprotect(data)[12:] == AUDIO for data, _ in wire.arrivals())
    assert (got, counts(b)) == (len(sequences) - wire.lost, (0, 0, 0))


def test_any_number_of_sources_each_with_its_own_rollover() -> None:
    a, b = pair()
    for sequence in (0xFFFE, 0xFFFF, 0x10000, 0x10001):
        assert b.unprotect(a.protect(packet(sequence, 1))) == packet(sequence, 1)
    for ssrc in range(2, 50):
        assert b.unprotect(a.protect(packet(0x1000, ssrc))) == packet(0x1000, ssrc)
    assert b.unprotect(a.protect(packet(0x10002, 1))) == packet(0x10002, 1)


def test_the_longest_packet() -> None:
    a, b = pair()
    longest = packet(1)[:12] + bytes(MAX_PACKET_BYTES - 12)
    assert b.unprotect(a.protect(longest)) == longest
    with pytest.raises(ValueError, match="packet is too long"):
        a.protect(longest + b"x")


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_that_did_not_change_goes_on_and_a_new_one_begins_anew() -> None:
    a, b = pair()
    for sequence in (0xFFFF, 0x10000):
        b.unprotect(a.protect(packet(sequence)))
    b.expect(A_KEY)
    assert b.unprotect(a.protect(packet(0x10001))) == packet(0x10001)  # a forgotten rollover would not be forgiven
    b.expect(B_KEY)
    assert refused(b.unprotect, a.protect(packet(0x10002))) == "authentication failed"
    other = SrtpSession(BEST, our_key=B_KEY, their_key=A_KEY)
    assert b.unprotect(other.protect(packet(7))) == packet(7)
    assert counts(b) == (1, 0, 0)


def test_a_key_of_somebody_else() -> None:
    a, _ = pair()
    stranger = SrtpSession(BEST, our_key=B_KEY, their_key=b"\0" * 30)
    assert refused(stranger.unprotect, a.protect(packet(1))) == "authentication failed"
    assert refused(stranger.unprotect_rtcp, a.protect_rtcp(report())) == "authentication failed"
    assert refused(stranger.unprotect, a.protect(packet(2))) == "authentication failed"
    assert counts(stranger) == (3, 0, 0)


def test_our_own_packets_sent_back_are_not_theirs() -> None:
    a, _ = pair()
    assert refused(a.unprotect, a.protect(packet(1))) == "authentication failed"


@pytest.mark.parametrize("suite", PROFILES)
def test_their_mki_is_taken_out(suite: str) -> None:
    mki = b"\0\0\0\1"
    tag_bytes = 10 if suite == BEST else 4
    a, b = pair(suite, mki)

    def marked(data: bytes, size: int, mark: bytes = mki) -> bytes:
        return data[:-size] + mark + data[-size:]

    assert b.unprotect(marked(a.protect(packet(1)), tag_bytes)) == packet(1)
    assert b.unprotect_rtcp(marked(a.protect_rtcp(report()), 10)) == report()
    assert refused(b.unprotect, marked(a.protect(packet(2)), tag_bytes, b"\0\0\0\2")) == "authentication failed"
    assert refused(b.unprotect, a.protect(packet(3))) == "authentication failed"
    assert refused(b.unprotect, bytes(tag_bytes + 3)) == "not an SRTP packet"
    assert refused(b.unprotect_rtcp, bytes(13)) == "not an SRTP packet"
    assert counts(b) == (2, 0, 2)


def test_what_is_no_key_and_no_suite() -> None:
    with pytest.raises(ValueError, match=r"^no such SRTP suite: F8_128_HMAC_SHA1_80$"):
        SrtpSession("F8_128_HMAC_SHA1_80", our_key=A_KEY, their_key=B_KEY)
    for ours, theirs in ((A_KEY[1:], B_KEY), (A_KEY, B_KEY + b"x"), (b"", B_KEY)):
        with pytest.raises(ValueError, match=r"^an SRTP key has 30 bytes, not (29|31|0)$"):
            SrtpSession(BEST, our_key=ours, their_key=theirs)
    a, _ = pair()
    with pytest.raises(ValueError, match=r"^an SRTP key has 30 bytes, not 0$"):
        a.expect(b"")


def test_no_key_is_shown() -> None:
    _, b = pair()
    assert refused(b.unprotect, packet(1)) == "authentication failed"
    assert repr(b) == f"<SrtpSession {BEST} 1 forged 0 replayed 0 malformed>"


# --- what must not come through ---------------------------------------------------------------------------------------


def test_every_tampered_bit() -> None:
    a, b = pair()
    b.unprotect(a.protect(packet(0)))
    sealed = a.protect(packet(1))
    for at in range(len(sealed)):
        for bit in range(8):
            broken = bytearray(sealed)
            broken[at] ^= 1 << bit
            with pytest.raises(Refused):
                b.unprotect(bytes(broken))
    assert b.unprotect(sealed) == packet(1)  # none of the forgeries has taken its place
    assert sum(counts(b)) == len(sealed) * 8


def test_every_truncation() -> None:
    a, b = pair()
    sealed, secret = a.protect(packet(1)), a.protect_rtcp(report())
    for size in range(len(sealed)):
        assert refused(b.unprotect, sealed[:size]) in ("authentication failed", "not an SRTP packet")
    for size in range(len(secret)):
        assert refused(b.unprotect_rtcp, secret[:size]) in ("authentication failed", "not an SRTP packet")
    assert (b.unprotect(sealed), b.unprotect_rtcp(secret)) == (packet(1), report())


def test_replays() -> None:
    a, b = pair()
    sealed = [a.protect(packet(sequence)) for sequence in range(300)]
    for data in sealed[100:]:
        b.unprotect(data)
    assert {refused(b.unprotect, data) for data in sealed} == {"replayed"}
    secret = a.protect_rtcp(report())
    assert b.unprotect_rtcp(secret) == report()
    assert refused(b.unprotect_rtcp, secret) == "replayed"
    assert counts(b) == (0, 301, 0)


def test_we_never_use_a_number_twice() -> None:
    """The same key stream over two payloads would give away both (RFC 3711, 9.1)."""
    a, _ = pair()
    a.protect(packet(1))
    with pytest.raises(ValueError, match=r"^libsrtp would not protect 172 bytes: replay check failed"):
        a.protect(packet(1))
    with pytest.raises(ValueError, match=r"^libsrtp would not protect 3 bytes: "):
        a.protect(b"123")


def test_garbage() -> None:
    dice = random.Random(3711)
    a, b = pair()
    rounds = 4000
    for n in range(rounds):
        data = dice.randbytes(dice.randrange(0, 1600))
        if n % 2 and data:
            data = b"\x80" + data[1:]
        with pytest.raises(Refused):
            (b.unprotect if n % 4 < 2 else b.unprotect_rtcp)(data)
    assert sum(counts(b)) == rounds
    assert b.unprotect(a.protect(packet(9))) == packet(9)
