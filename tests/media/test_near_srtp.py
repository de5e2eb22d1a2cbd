"""The near end under SRTP, and digits in the audio."""

from __future__ import annotations

import secrets

import numpy as np
from msgspec.structs import replace

from media import rtp
from media.codecs import CODECS
from media.near import NearEnd
from media.playout import Playout
from media.srtp import SrtpSession
from media.wire import SrtpKeys
from tests.helpers.nearend import LOUD, NAT, PCMU, SDP, START, packet, spec

SUITE = "AES_CM_128_HMAC_SHA1_80"
KEYS = SrtpKeys(suite=SUITE, ours=secrets.token_bytes(30), theirs=secrets.token_bytes(30))


def encrypted() -> tuple[NearEnd, SrtpSession]:
    """A near end that speaks SRTP, and the caller's side of the same keys."""
    near = NearEnd()
    near.uplink.start(START)
    near.start(replace(spec(), srtp=KEYS), START)
    return near, SrtpSession(SUITE, our_key=KEYS.theirs, their_key=KEYS.ours)


def test_both_ways_through_the_keys() -> None:
    near, caller = encrypted()
    assert near.receive(caller.protect(packet(1)), SDP, START + 0.02) == LOUD
    playout = Playout(PCMU, 20, sends_ahead=True)
    playout.push(LOUD, START)
    (sent,) = near.tick(1, 0, playout, START + 0.02)
    assert LOUD not in sent
    assert rtp.parse(caller.unprotect(sent)).payload == LOUD


def test_plain_forged_and_repeated_packets_are_refused_before_anything_else() -> None:
    near, caller = encrypted()
    genuine = caller.protect(packet(1))
    near.receive(genuine, SDP, START + 0.02)
    for refused in (packet(2), genuine, genuine[:-1] + bytes([genuine[-1] ^ 1]), b"", bytes(40)):
        assert near.receive(refused, SDP, START + 0.03) is None
    figures = near.report(0)
    assert (figures.received, figures.unauthenticated, figures.malformed, figures.wrong_source) == (1, 5, 0, 0)
    assert near.peer == SDP


def test_another_address_is_believed_at_once_for_its_key_and_a_straggler_moves_nothing() -> None:
    near, caller = encrypted()
    data = [caller.protect(packet(n)) for n in range(1, 6)]
    at = [START + n * 0.02 for n in range(1, 6)]
    assert near.receive(data[0], NAT, at[0]) == LOUD
    moved = (NAT[0], NAT[1] + 1)
    assert near.receive(data[2], moved, at[1]) is not None
    assert near.receive(data[1], NAT, at[2]) is None
    assert (near.peer, near.wrong_source) == (moved, 1)
    assert near.receive(data[3], moved, at[3]) == LOUD


def test_a_reinvite_with_the_same_keys_keeps_the_session_and_with_others_begins_anew() -> None:
    near, caller = encrypted()
    near.receive(caller.protect(packet(1)), SDP, START + 0.02)
    before = near.srtp
    near.start(replace(spec(sends=False), srtp=KEYS), START + 1)
    assert near.srtp is before
    other = replace(KEYS, ours=secrets.token_bytes(30), theirs=secrets.token_bytes(30))
    near.start(replace(spec(), srtp=other), START + 2)
    assert near.receive(caller.protect(packet(101)), SDP, START + 2.02) is None
    fresh = SrtpSession(SUITE, our_key=other.theirs, their_key=other.ours)
    assert near.receive(fresh.protect(packet(102)), SDP, START + 2.04) is not None
    near.start(spec(), START + 3)
    assert near.srtp is None


def test_another_key_of_theirs_alone_keeps_our_side_of_the_session() -> None:
    near, caller = encrypted()
    near.receive(caller.protect(packet(1)), SDP, START + 0.02)
    before = near.srtp
    changed = replace(KEYS, theirs=secrets.token_bytes(30))
    near.start(replace(spec(), srtp=changed), START + 1)
    assert near.srtp is before
    fresh = SrtpSession(SUITE, our_key=changed.theirs, their_key=changed.ours)
    assert near.receive(fresh.protect(packet(52)), SDP, START + 1.04) is not None
    assert near.receive(caller.protect(packet(53)), SDP, START + 1.06) is None


def test_the_first_sequence_number_is_safe_for_srtp() -> None:
    playout = Playout(PCMU, 20, sends_ahead=True)
    for _ in range(50):
        near, caller = encrypted()
        (sent,) = near.tick(1, 0, playout, START)
        assert rtp.parse(caller.unprotect(sent)).sequence < 2**15


def dial_tone(seconds: float, *frequencies_hz: float) -> np.ndarray:
    at = np.arange(int(seconds * 8000)) / 8000
    return np.asarray(sum(6000 * np.sin(2 * np.pi * hz * at) for hz in frequencies_hz), np.int16)


def test_digits_in_the_audio_are_heard_only_when_asked_for_and_no_events_were_agreed_on() -> None:
    """Many a trunk sends both: each key was heard twice."""
    song = CODECS["PCMU"].encode(np.concatenate((dial_tone(0.1, 770, 1336), np.zeros(1600, np.int16))))
    for wanted, events, presses in ((True, -1, ["5"]), (False, -1, []), (True, 101, [])):
        near = NearEnd(inband_dtmf=wanted)
        near.uplink.start(START)
        near.start(spec(dtmf=101), START)
        near.start(spec(dtmf=events), START)
        for number, at in enumerate(range(0, len(song), 160), 1):
            near.receive(packet(number, payload=song[at : at + 160]), SDP, START + number * 0.02)
        assert [press.digit for press in near.presses] == presses
