"""The audio path while a call changes (SSRC, address, hold) and while it lasts (an hour of drifting clocks, wraps)."""

from __future__ import annotations

import itertools

import pytest

from media import rtp
from media.rtp import seq_diff, ts_diff
from media.uplink import HOLD_OFF_MS
from media.wire import FarReport, NearReport
from tests.helpers.audio import tone
from tests.helpers.impairments import CODECS
from tests.helpers.nearend import START
from tests.helpers.ruler import rising
from tests.helpers.simcall import SimCall

# --- changes in mid-tone ----------------------------------------------------------------------------------------------


@CODECS
def test_a_new_ssrc_in_mid_tone_is_not_heard(codec: str) -> None:
    call = SimCall(codec, clock_offset_s=0.005)
    song = rising(4.0, call.codec.line_rate_hz)
    half = len(song) // 2
    call.caller_says(song[:half])
    call.run(2.005)
    call.caller_says(song[half:], at_s=2.0, ssrc=99, sequence=40_000, timestamp=3_000_000_000)
    call.run(4.001)
    assert call.reports() == (
        NearReport(received=200, expected=200, ssrc_changes=1, sent=call.near.sent),
        FarReport(sent_ms=4000),
    )
    assert call.up_readings().off_ms() <= (140 if codec == "opus" else 30)  # the codecs of both sides begin anew
    assert call.up_readings().silent_ms() == 0
    assert call.up_readings().delay_ms(3, 4) == pytest.approx(call.up_readings().delay_ms(0, 1), abs=2)


@CODECS
def test_a_caller_who_moves_in_mid_tone_is_heard_without_a_break(codec: str) -> None:
    call = SimCall(codec, clock_offset_s=0.005)
    call.caller_says(rising(4.0, call.codec.line_rate_hz))
    call.run(2.005)
    call.moves_to(("198.51.100.20", 7000))
    call.run(4.001)
    assert call.reports() == (NearReport(received=200, expected=200, sent=call.near.sent), FarReport(sent_ms=4000))
    assert call.up_readings().off_ms() <= 15
    assert call.is_one_stream()


@pytest.mark.parametrize("codec", ["PCMU", "opus"])
def test_hold_and_resume_in_mid_tone(codec: str) -> None:
    """A second on hold: both sides miss that second and nothing else."""
    call = SimCall(codec, clock_offset_s=0.005)
    song, rate_hz = rising(5.0, call.codec.line_rate_hz), call.codec.line_rate_hz
    call.caller_says(song[: 2 * rate_hz])
    call.caller_says(song[3 * rate_hz :], at_s=3.0, sequence=101, timestamp=100 * call.codec.clock_rate_hz // 50)
    call.platform_says(song)
    call.run(2.005)
    call.agree(sends=False, receives=False)
    call.run(3.005)
    call.agree(sends=True, receives=True)
    call.run(5.001)
    near, far = call.reports()
    assert (near.received, near.lost, far.played_ms) == (200, 0, 5000)
    assert call.sent_up_ms == pytest.approx(5000, abs=HOLD_OFF_MS + 20)
    # Upwards the pause begins with concealment.
    for heard, sounding_ms in ((call.up_readings(), 60), (call.down_readings(), 0)):
        assert heard.silent_ms() == pytest.approx(1000 - sounding_ms, abs=30)
        assert heard.delay_ms(3.6, 4.6) == pytest.approx(heard.delay_ms(0.5, 1.5), abs=HOLD_OFF_MS + 25)
    jumps = {seq_diff(b.sequence, a.sequence) for (_, a), (_, b) in itertools.pairwise(call.packets)}
    assert jumps == {1}


# --- long calls -------------------------------------------------------------------------------------------------------

HOUR_S = 3600


@pytest.mark.parametrize("ppm", [-200, 200])
def test_an_hour_of_drifting_clocks_both_ways(ppm: int) -> None:
    """Caller and platform tick 200 ppm off ours: 720 ms in an hour. Both counters of the caller wrap on the way."""
    clock = 1 + ppm / 1e6
    call = SimCall(keeps=False, clock_offset_s=0.005)
    minute = tone(400, 60.0)
    for number in range(60):
        call.caller_says(
            minute,
            at_s=number * 60 / clock,
            sequence=(60_000 + 3000 * number) & 0xFFFF,
            timestamp=(0xFFFFFFFF - 8000 * 600 + 480_000 * number) & 0xFFFFFFFF,
            clock=clock,
        )
        call.platform_says(minute, at_s=number * 60 / clock, clock=clock)
        call.run((number + 1) * 60 / clock + 0.002)
    near, far = call.reports()
    assert near == NearReport(received=HOUR_S * 50, expected=HOUR_S * 50, sent=near.sent)
    assert far.sent_ms == pytest.approx(HOUR_S * 1000 / clock, abs=HOLD_OFF_MS + 20)
    assert far.received_ms == HOUR_S * 1000
    assert far.played_ms == pytest.approx(HOUR_S * 1000, abs=20)
    assert (far.underruns, far.overflow_ms, far.flushed_ms) == (0, 0, 0)
    assert call.most_ahead_ms <= 40.1
    assert call.most_behind_ms <= HOLD_OFF_MS + 40
    off_by_ms = HOUR_S * 1000 * abs(ppm) / 1e6
    corrected_ms, other_ms = (far.ahead_dropped_ms, far.filled_ms) if ppm > 0 else (far.filled_ms, far.ahead_dropped_ms)
    assert corrected_ms == pytest.approx(off_by_ms, abs=HOLD_OFF_MS + 40)
    assert other_ms == 0
    # The tick follows the platform's clock: the last frame of the hour waits no longer than the first.
    assert call.playout.down.spread().p99 < 5
    assert len(call.playout) <= 1


def test_our_own_counters_wrap_in_mid_call() -> None:
    """26 minutes of packets: more than 65536."""
    call = SimCall(keeps=False)
    call.near._timestamp = 0xFFFFFFFF - 8000 * 600
    seen: list[rtp.Packet] = []
    tick = call.near.tick
    frames = 26 * 60 * 50
    for number in range(frames):
        seen = [*seen[-1:], *(rtp.parse(data) for data in tick(1, 0, call.playout, START + number * 0.02))]
        assert len(seen) == 1 or (
            seq_diff(seen[1].sequence, seen[0].sequence),
            ts_diff(seen[1].timestamp, seen[0].timestamp),
        ) == (1, 160)
    assert call.near.sent == frames > 65536
