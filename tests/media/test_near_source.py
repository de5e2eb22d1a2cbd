"""Whose packets a near end believes: symmetric RTP and its lock."""

from __future__ import annotations

import pytest

from media import rtp
from media.conceal import conceal, join
from media.near import Address, NearEnd
from media.source import LEARN_S, MISSED_S, MOVED_AFTER_S
from tests.helpers.nearend import LOUD, NAT, PCMU, SDP, SSRC, START, STRANGER, hear, near_end, packet, report, spec


def test_the_address_of_the_sdp_until_somebody_speaks() -> None:
    assert near_end().peer == SDP
    assert NearEnd().peer == ("", 0)


def test_behind_a_nat_the_real_address_is_learnt_at_once() -> None:
    near = near_end()
    assert hear(near, [1, 2], NAT) == [LOUD, LOUD]
    assert near.peer == NAT
    assert near.wrong_source == 0


def test_but_not_any_more_after_the_first_seconds() -> None:
    near = near_end()
    late = START + LEARN_S
    assert near.receive(packet(1), NAT, late) is None
    assert near.peer == SDP
    assert near.receive(packet(2), SDP, late) == LOUD  # the SDP's own address may come when it likes
    assert near.report(0) == report(received=1, expected=1, wrong_source=1, max_gap_ms=5000.0)


def test_the_address_of_the_sdp_wins_over_a_learnt_one() -> None:
    near = near_end()
    hear(near, [1], NAT)
    assert near.receive(packet(1, ssrc=7), SDP, START + 0.03) == join(PCMU, conceal(PCMU, LOUD, 40), LOUD)
    assert near.peer == SDP
    assert hear(near, [2, 3], NAT) == [None, None]
    assert (near.wrong_source, near.ssrc_changes) == (2, 1)


def test_a_third_party_is_ignored_once_the_source_is_locked() -> None:
    near = near_end()
    hear(near, [1])
    assert hear(near, [2, 3], STRANGER) == [None, None]
    assert near.receive(packet(4, ssrc=1), STRANGER, START + 60) is None  # nor when the caller is silent
    assert near.receive(packet(2), STRANGER, START + 0.019 + MISSED_S) is None  # nor too early, had it the SSRC
    assert near.peer == SDP
    assert near.report(0) == report(received=1, expected=1, wrong_source=4, max_gap_ms=20.0)


@pytest.mark.parametrize("locked", [SDP, NAT])
@pytest.mark.parametrize(("ptime_ms", "lost"), [(10, 5), (20, 2), (30, 2), (60, 2)])
def test_a_nat_that_gives_another_port_costs_a_few_packets(locked: Address, ptime_ms: int, lost: int) -> None:
    """Heard: a whole second of silence."""
    near, moved = near_end(spec(ptime_ms=ptime_ms)), (locked[0], locked[1] + 1)
    size = ptime_ms * 8

    def speak(number: int, source: Address) -> bytes | None:
        data = rtp.serialize(0, number, number * size, SSRC, LOUD[:80] * (size // 80))
        return near.receive(data, source, START + number * ptime_ms / 1000 + number * 1e-6)

    assert None not in [speak(number, locked) for number in range(1, 51)]
    heard = [speak(number, moved) is not None for number in range(51, 101)]
    assert heard == [False] * lost + [True] * (50 - lost)
    assert near.peer == moved
    assert near.wrong_source == lost


def test_whoever_knows_the_stream_is_refused_as_long_as_the_caller_is_heard() -> None:
    """Ahead of him by a few packets, and over a line on which every packet is late by up to 35 ms."""
    near = near_end()
    hear(near, range(1, 11))
    for number in range(11, 200):
        late_s = 0.035 * (number % 3) / 2
        assert near.receive(packet(number + 3), STRANGER, START + number * 0.02 + late_s - 0.001) is None
        assert near.receive(packet(number), SDP, START + number * 0.02 + late_s) == LOUD
    assert near.peer == SDP
    assert near.wrong_source == 189


@pytest.mark.parametrize("locked", [SDP, NAT])
def test_a_nat_that_rebinds_goes_on_with_the_same_ssrc(locked: Address) -> None:
    near, moved = near_end(), ("198.51.100.7", 61_999)
    hear(near, range(1, 11), locked)
    silent_since = START + 0.2
    assert near.receive(packet(70), moved, silent_since + MOVED_AFTER_S + 0.2) is not None
    assert near.peer == moved
    assert hear(near, [71], locked) == ([LOUD] if locked == SDP else [None])


@pytest.mark.parametrize(
    ("data", "after_s"),
    [
        pytest.param(packet(11), MISSED_S - 0.01, id="too soon"),
        pytest.param(packet(200), MOVED_AFTER_S - 0.1, id="too soon for what does not follow"),
        pytest.param(packet(10), MOVED_AFTER_S - 0.1, id="what has come already"),
        pytest.param(packet(70, ssrc=1), MOVED_AFTER_S + 0.2, id="another SSRC"),
        pytest.param(packet(20_000), MOVED_AFTER_S + 0.2, id="a sequence number from nowhere"),
        pytest.param(packet(70, payload_type=18), MOVED_AFTER_S + 0.2, id="another payload type"),
    ],
)
def test_what_is_not_taken_for_a_rebinding(data: bytes, after_s: float) -> None:
    near = near_end()
    hear(near, range(1, 11))
    assert near.receive(data, STRANGER, START + 0.2 + after_s) is None
    assert (near.peer, near.wrong_source) == (SDP, 1)


def test_a_new_address_in_a_re_invite_unlocks() -> None:
    near = near_end()
    hear(near, [1], NAT)
    other = ("192.0.2.2", 4002)
    near.start(spec(at=other), START + 0.03)
    assert near.peer == other
    assert near.receive(packet(2), NAT, START + 0.04) == LOUD  # still behind the NAT
    assert near.peer == NAT


def test_a_re_invite_with_the_same_address_keeps_the_lock() -> None:
    near = near_end()
    hear(near, [1], NAT)
    near.start(spec(codec="PCMA"), START + 0.03)
    assert near.peer == NAT
    assert near.receive(packet(2, payload_type=8), STRANGER, START + 0.04) is None
