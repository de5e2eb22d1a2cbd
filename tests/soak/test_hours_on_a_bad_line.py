"""Whole hours on the simulated clock, over lines that do everything to a call at once: it lives, and nothing runs away.

Both ends' clocks are off ours by up to 200 ppm, both counters of the caller wrap, packets are lost, late, doubled and
swapped, and either way stalls now and then for nearly two seconds, the platform's also while such a stall is drained.
"""

from __future__ import annotations

import random

import pytest

from media.playout import DRAIN_MS, STANDING_MS
from media.uplink import AHEAD_MS, HOLD_OFF_MS, WIDEST_HOLD_OFF_MS
from tests.helpers.audio import tone
from tests.helpers.simcall import SimCall
from tests.helpers.wire import Faults, FaultyWire, Stall

MINUTE_S = 60
LONGEST_STALL_S = 1.8
"A packet that is more than 100 others late would be taken for another stream (RFC 3550, A.1)."


def bad(dice: random.Random, minutes: int, *, is_tcp: bool) -> FaultyWire:
    """A WebSocket loses nothing, but it stalls for all that."""
    stalls, at_s, apart_s = [], 0.0, 0.3 if is_tcp else LONGEST_STALL_S
    while (at_s := at_s + dice.uniform(apart_s, 40)) < minutes * MINUTE_S:
        stalls.append(Stall(at_s=at_s, lasts_s=dice.choice((0.03, 0.1, 0.4, LONGEST_STALL_S)) * dice.random()))
    faults = Faults(jitter_s=dice.choice((0.0, 0.01, 0.04)), stalls=tuple(stalls), seed=dice.randrange(1000))
    if is_tcp:
        return FaultyWire(faults)
    worse = Faults(
        loss=dice.choice((0.0, 0.01, 0.05)),
        burst=(1, 4),
        jitter_s=faults.jitter_s,
        overtakes=dice.random() < 0.5,
        swapped=0.02,
        doubled=0.02,
        stalls=faults.stalls,
        seed=faults.seed,
    )
    return FaultyWire(worse)


@pytest.mark.parametrize(
    ("minutes", "seed"),
    [pytest.param(2, seed) for seed in range(6)]
    + [pytest.param(60, seed, marks=[pytest.mark.soak, pytest.mark.timeout(600)]) for seed in range(100, 112)],
)
def test_a_call_lives_through_it(minutes: int, seed: int) -> None:
    dice = random.Random(seed)
    clock = 1 + dice.uniform(-200, 200) / 1e6
    call = SimCall(
        dice.choice(("PCMU", "PCMA", "G722", "opus")),
        up=bad(dice, minutes, is_tcp=False),
        down=bad(dice, minutes, is_tcp=True),
        keeps=False,
        clock_offset_s=dice.random() * 0.02,
    )
    units = call.codec.clock_rate_hz * MINUTE_S
    minute, said = tone(400, MINUTE_S, call.rate_hz), tone(400, MINUTE_S, call.codec.line_rate_hz)
    first = 0xFFFFFFFF - units * minutes // 2
    deepest = 0
    for number in range(minutes):
        at_s = number * MINUTE_S / clock
        timestamp = (first + units * number) & 0xFFFFFFFF
        call.caller_says(said, at_s=at_s, sequence=60_000 + 3000 * number & 0xFFFF, timestamp=timestamp, clock=clock)
        call.platform_says(minute, at_s=at_s, clock=clock)
        call.run((number + 1) * MINUTE_S / clock)
        deepest = max(deepest, len(call.playout))
    call.run(minutes * MINUTE_S / clock + LONGEST_STALL_S + (STANDING_MS + DRAIN_MS) / 1000 + 1)
    near, far = call.reports()
    assert len(call.playout) == 0
    assert far.played_ms + far.overflow_ms == pytest.approx(far.received_ms, abs=20)
    assert far.received_ms == minutes * MINUTE_S * 1000
    assert deepest <= (LONGEST_STALL_S * 1000 + STANDING_MS + DRAIN_MS) / 20
    lasts_ms = (call.now - call.near.uplink.origin) * 1000
    assert far.sent_ms == pytest.approx(lasts_ms, abs=AHEAD_MS + WIDEST_HOLD_OFF_MS + 40)
    assert call.most_ahead_ms <= AHEAD_MS + 0.1
    assert call.most_behind_ms <= WIDEST_HOLD_OFF_MS + HOLD_OFF_MS
    assert near.expected == pytest.approx(minutes * MINUTE_S * 50, abs=5)
    assert near.lost == pytest.approx(call.up.lost, abs=5)
