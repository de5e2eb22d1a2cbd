"""The audio path over bad wires, on a simulated clock, from caller to platform: what is heard, how late, what counted.

What goes the other way is in test_path_down.py, changes in mid-call and long calls are in test_path_changes.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from media.conceal import JOIN_MS
from media.uplink import HOLD_OFF_MS
from media.wire import FarReport, NearReport
from tests.helpers.audio import Samples, gaps, silence, tone
from tests.helpers.impairments import ALL, BURSTS, CODECS, JITTER, LOSS, STALLS, SWAPS, WILD_JITTER, of
from tests.helpers.nearend import START
from tests.helpers.ruler import read, rising
from tests.helpers.simcall import SimCall
from tests.helpers.wire import Faults, FaultyWire

TALK_S = 6.0
PACKETS = 300


def talk(faults: Faults, codec: str = "PCMU") -> tuple[SimCall, FaultyWire]:
    """A caller whose pitch rises for six seconds, up to the moment when his last packet has come."""
    wire = FaultyWire(faults)
    call = SimCall(codec, up=wire, clock_offset_s=0.005)
    call.caller_says(rising(TALK_S, call.codec.line_rate_hz))
    return call.run(max(TALK_S, wire.last_at - START) + 0.001), wire


def roughest(pcm: Samples) -> int:
    """The largest step from one sample to the next: a click, when the sound itself has no such steps."""
    return int(np.abs(np.diff(pcm.astype(np.int32))).max())


@CODECS
@of([Faults(), *ALL])
def test_the_platform_gets_one_second_per_second(faults: Faults, codec: str) -> None:
    call, wire = talk(faults, codec)
    lasted_ms = (call.now - START) * 1000
    assert abs(call.sent_up_ms - lasted_ms) <= HOLD_OFF_MS
    near, far = call.reports()
    heard_ms = far.sent_ms - far.filled_ms + far.ahead_dropped_ms
    never_used = near.lost + near.late  # those of them that came in time for the window only delay
    assert PACKETS * 20 - never_used * 20 - 2 <= heard_ms <= PACKETS * 20 - near.lost * 20 + 2
    assert (near.expected, near.received, near.duplicate) == (PACKETS, PACKETS - wire.line.lost, wire.line.doubled)


@CODECS
def test_a_clean_line_is_passed_on_as_it_is(codec: str) -> None:
    call, _ = talk(Faults(), codec)
    assert call.reports() == (
        NearReport(received=PACKETS, expected=PACKETS, sent=call.near.sent),
        FarReport(sent_ms=6000),
    )
    assert call.up_readings().off_ms() <= 15
    if codec == "PCMU":
        spoken = call.codec.decode(call.codec.encode(rising(TALK_S)))
        assert np.array_equal(call.heard_by_platform(), spoken)


@CODECS
@of([*LOSS, *BURSTS])
def test_what_is_lost_is_concealed_in_its_place(faults: Faults, codec: str) -> None:
    call, wire = talk(faults, codec)
    near, far = call.reports()
    lost_ms = wire.line.lost * 20
    assert near == NearReport(
        received=PACKETS - wire.line.lost, expected=PACKETS, lost=wire.line.lost, sent=call.near.sent
    )
    assert far == FarReport(sent_ms=far.sent_ms, filled_ms=far.filled_ms, concealed_ms=far.concealed_ms)
    assert far.sent_ms == pytest.approx(6000, abs=1)
    assert far.filled_ms == pytest.approx(lost_ms, abs=1)
    heard = call.up_readings()
    # A repeated pitch stands still for as long as the hole lasts; Opus takes a packet to find its way back.
    assert heard.off_ms() <= 20 * max(faults.burst) + (100 if codec == "opus" else 35)
    assert abs(heard.delay_ms(5, 6) - heard.delay_ms(0, 1)) <= 2
    if max(faults.burst) == 1:
        assert far.concealed_ms == pytest.approx(lost_ms, abs=1)
        assert heard.silent_ms() == 0
        assert gaps(call.heard_by_platform(), call.rate_hz, longer_than_ms=4) == []
    else:  # after 60 ms nothing is left to repeat
        assert 60 * wire.line.lost / max(faults.burst) <= far.concealed_ms <= lost_ms
        # Opus' own guess at a pure tone is all but gone 10 ms before ours would be.
        early_ms = far.concealed_ms / 6 if codec == "opus" else 0
        assert heard.silent_ms() <= lost_ms - far.concealed_ms + early_ms


@of([*LOSS, *BURSTS, *WILD_JITTER, *SWAPS, *STALLS])
def test_no_hole_and_no_cut_clicks(faults: Faults) -> None:
    wire = FaultyWire(faults)
    call = SimCall(up=wire)
    song = tone(330, TALK_S)
    call.caller_says(song)
    call.run(TALK_S + 0.001)
    of_a_fade = 2 * 8000 / (JOIN_MS * 8)
    assert roughest(call.heard_by_platform()) <= roughest(song) * 1.04 + of_a_fade  # 4 %: a mu-law step


@CODECS
@of(JITTER)
def test_jitter_is_not_heard_at_all(faults: Faults, codec: str) -> None:
    """Audio goes up as it comes: to a platform that plays in real time only the latest packet matters."""
    call, _ = talk(faults, codec)
    assert call.reports() == (
        NearReport(received=PACKETS, expected=PACKETS, sent=call.near.sent),
        FarReport(sent_ms=6000),
    )
    assert call.up_readings().off_ms() <= 15


@CODECS
@of(SWAPS)
def test_swapped_packets_are_put_in_order_once_the_window_is_open(faults: Faults, codec: str) -> None:
    call, wire = talk(faults, codec)
    near, far = call.reports()
    assert wire.line.swapped > 20
    assert near == NearReport(received=PACKETS, expected=PACKETS, late=near.late, sent=call.near.sent)
    given_up_ms = 20 * faults.swap * 2  # the first one that is late opens the window, a later one may widen it
    assert far == FarReport(sent_ms=far.sent_ms, filled_ms=far.filled_ms, concealed_ms=far.filled_ms)
    assert 20 <= far.filled_ms <= given_up_ms
    assert call.up_readings().off_ms() <= 80
    first_s = 2.0
    settled = read(call.heard_by_platform()[round(first_s * call.rate_hz) :], call.rate_hz)
    assert np.abs(settled.steps_ms()).max() <= 15


def test_packets_that_come_twice_are_heard_once() -> None:
    call, wire = talk(Faults(doubled=0.1))
    assert wire.line.doubled > 20
    assert call.reports() == (
        NearReport(received=PACKETS, expected=PACKETS, duplicate=wire.line.doubled, sent=call.near.sent),
        FarReport(sent_ms=6000),
    )
    assert call.up_readings().off_ms() <= 15


@CODECS
@of(STALLS)
def test_a_stall_of_the_caller_is_a_pause_and_leaves_no_delay(faults: Faults, codec: str) -> None:
    stall_ms = faults.stalls[0].lasts_s * 1000
    end_s = 2.02 + faults.stalls[0].lasts_s
    call, _ = talk(faults, codec)
    near, far = call.reports()
    assert near == NearReport(received=PACKETS, expected=PACKETS, sent=call.near.sent)
    assert far == FarReport(sent_ms=6020, filled_ms=far.filled_ms, concealed_ms=60, ahead_dropped_ms=far.filled_ms - 20)
    assert far.filled_ms == stall_ms
    heard = call.up_readings()
    assert heard.silent_ms() == pytest.approx(far.filled_ms - 60, abs=40)  # what was concealed fades
    before_ms = heard.delay_ms(0.5, 1.5)
    assert heard.delay_ms(end_s + 1.0, TALK_S) == pytest.approx(before_ms + 20, abs=2)
    assert max(lead for at, lead in call.leads_ms() if at > end_s + 1.0) <= 20.01
    assert min(lead for at, lead in call.leads_ms() if at > end_s + 1.0) >= -0.1


def test_in_a_stall_of_silence_nothing_is_left_standing_at_all() -> None:
    wire = FaultyWire(STALLS[1])
    call = SimCall(up=wire)
    call.caller_says(np.concatenate([rising(2.0), silence(0.6), rising(3.4)]))
    call.run(TALK_S + 0.001)
    assert max(lead for at, lead in call.leads_ms() if at > 2.8) <= 45
    assert read(call.heard_by_platform()[round(2.7 * 8000) :]).silent_ms() == 0
