"""The audio path over bad wires, on a simulated clock, from platform to caller, and there and back."""

from __future__ import annotations

import numpy as np
import pytest

from media.conceal import SILENT_MS
from media.playout import DRAIN_MS, STANDING_MS
from media.wire import FarReport, NearReport
from tests.helpers.audio import silence, tone
from tests.helpers.impairments import CODECS, JITTER, LOSS, STALLS, of
from tests.helpers.ruler import read, rising
from tests.helpers.simcall import SimCall
from tests.helpers.wire import Faults, FaultyWire, Stall, Wire

TALK_S = 6.0


def answer(faults: Faults, codec: str = "PCMU", *, lasts_s: float = TALK_S, message_ms: int = 20) -> SimCall:
    """A platform that paces in real time, until everything has been played."""
    call = SimCall(codec, down=FaultyWire(faults), clock_offset_s=0.005)
    call.platform_says(rising(lasts_s, call.rate_hz), message_ms=message_ms)
    return call.run(lasts_s + 1.0)


@CODECS
@of([Faults(), *JITTER])
def test_jitter_of_the_platform_costs_no_more_than_itself(faults: Faults, codec: str) -> None:
    call = answer(faults, codec)
    near, far = call.reports()
    assert near == NearReport(sent=call.near.sent)
    assert far == FarReport(
        sent_ms=far.sent_ms,
        filled_ms=far.sent_ms,
        received_ms=6000,
        played_ms=6000 - far.overflow_ms,
        overflow_ms=far.overflow_ms,
        underruns=far.underruns,
    )
    heard = call.down_readings()
    assert call.is_one_stream()
    assert far.underruns <= 4  # until the phase and the queue have found their places
    assert far.overflow_ms <= 40
    assert heard.silent_ms() <= 40
    assert heard.delay_ms(4, 6) <= 20 + faults.jitter_s * 1000 + 25 + 10  # frame, jitter, phase, codec
    settled = read(call.heard_by_caller()[2 * call.codec.line_rate_hz :], call.codec.line_rate_hz)
    assert settled.silent_ms() <= 20


@CODECS
@of(STALLS)
@pytest.mark.parametrize("message_ms", [20, 100])
def test_a_stall_of_the_platform_is_a_pause_and_leaves_no_delay(faults: Faults, message_ms: int, codec: str) -> None:
    stall_ms = faults.stalls[0].lasts_s * 1000
    end_s = 2.0 + message_ms / 1000 + faults.stalls[0].lasts_s
    call = answer(faults, codec, message_ms=message_ms)
    near, far = call.reports()
    assert near == NearReport(sent=call.near.sent)
    assert far == FarReport(
        sent_ms=far.sent_ms,
        filled_ms=far.sent_ms,
        received_ms=6000,
        played_ms=6000 - far.overflow_ms,
        overflow_ms=far.overflow_ms,
        underruns=1 if stall_ms < 1000 else 0,
    )
    assert far.overflow_ms == pytest.approx(stall_ms, abs=20)
    heard = call.down_readings()
    assert call.is_one_stream()
    assert heard.silent_ms() == pytest.approx(stall_ms - SILENT_MS, abs=40)  # what was heard last fades
    assert heard.delay_ms(end_s + 1.1, 6) == pytest.approx(heard.delay_ms(0.5, 1.5), abs=21)
    settled_s = end_s + (STANDING_MS + DRAIN_MS) / 1000
    standing = [depth for at, depth in call.depths if settled_s + 0.06 < at < TALK_S]
    assert max(standing) <= message_ms / 20
    assert min(heard.steps_ms()) >= -stall_ms - 25  # nothing is heard twice but by the pause itself


def test_now_and_then_a_retransmission_costs_four_pauses_and_then_none() -> None:
    """100 ms late, every two seconds, for half a minute."""
    late = Faults(stalls=tuple(Stall(at_s=1.01 + 2.0 * n, lasts_s=0.1) for n in range(14)))
    call = SimCall(down=FaultyWire(late))
    call.platform_says(rising(30.0))
    call.run(29.0)
    _, far = call.reports()
    # One at the very beginning, and one more where the stalls are not all of the same number of ticks.
    assert 4 <= far.underruns <= 6
    assert 240 <= far.overflow_ms <= 320
    heard = read(call.heard_by_caller()[10 * 8000 :])
    assert heard.silent_ms() == 0
    assert heard.delay_ms(0, 1) == pytest.approx(heard.delay_ms(17, 18), abs=5)


@CODECS
def test_what_a_platform_sends_ahead_is_never_drained(codec: str) -> None:
    """Thirty seconds at once, stalls on the way: every word is played in its time."""
    call = SimCall(codec, down=FaultyWire(Faults(stalls=(Stall(at_s=0.0, lasts_s=0.5),))), sends_ahead=True)
    half = rising(14.0, call.rate_hz)
    call.platform_says(half, at_s=0.1, message_ms=200, ahead=True)
    call.platform_says(np.concatenate([half, half[: 2 * call.rate_hz]]), at_s=3.0, message_ms=500, ahead=True)
    call.run(32.0)
    _, far = call.reports()
    assert far == FarReport(sent_ms=far.sent_ms, filled_ms=far.sent_ms, received_ms=30_000, played_ms=30_000)
    heard = call.down_readings()
    assert heard.silent_ms() == 0
    assert np.abs(heard.steps_ms()).max() <= 45  # where the tone falls back to its lowest
    if codec == "PCMU":
        spoken = call.codec.decode(call.codec.encode(half))
        assert spoken.tobytes() * 2 in call.heard_by_caller().tobytes()


def test_words_are_cut_only_after_silence_had_its_turn() -> None:
    """A voice with a pause of 20 ms every 100 ms: a stall of 100 ms is made good in the pauses alone."""
    voice = np.concatenate([np.concatenate([tone(400, 0.08), silence(0.02)])] * 50)
    call = SimCall(down=FaultyWire(Faults(stalls=(Stall(at_s=1.0, lasts_s=0.1),))), clock_offset_s=0.005)
    call.platform_says(voice)
    call.run(6.0)
    assert call.playout.drained_ms == 100
    words = np.count_nonzero(np.abs(call.heard_by_caller().astype(np.int32)) > 200)
    assert words == np.count_nonzero(np.abs(call.codec.decode(call.codec.encode(voice)).astype(np.int32)) > 200)


@pytest.mark.parametrize("sends_ahead", [False, True])
@of([Faults(), JITTER[2], *STALLS])
@pytest.mark.parametrize("after_s", [1.5, 2.1, 2.55, 3.1])
def test_barge_in_is_silence_with_the_next_tick(faults: Faults, after_s: float, sends_ahead: bool) -> None:
    """While nothing is wrong, in the stall, in the burst behind it, while it is drained."""
    call = SimCall(down=FaultyWire(faults), sends_ahead=sends_ahead)
    call.platform_says(rising(after_s), ahead=sends_ahead)
    call.run(after_s)
    sounding, before = len(call.packets), call.playout.played_ms
    call.down = Wire()  # the platform has stopped sending
    dropped_ms = call.barge_in()
    call.run(after_s + 0.5)
    assert all(call.codec.is_quiet(packet.payload) for _, packet in call.packets[sounding:])
    assert call.packets[sounding][0] - call.packets[0][0] <= after_s + 0.02
    assert 24 <= len(call.packets) - sounding <= 25  # the first may leave early, and then it is long until the last
    _, far = call.reports()
    assert (far.flushed_ms, far.played_ms) == (dropped_ms, before)
    assert call.is_one_stream()
    call.platform_says(rising(1.0), at_s=after_s + 0.5)
    call.run(after_s + 2.0)
    assert call.playout.played_ms == before + 1000
    assert 0 <= call.down_readings().delay_ms(after_s + 0.7, after_s + 1.4, since_s=after_s + 0.5) <= 55


# --- there and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["PCMU", "G722"])
@of([Faults(), LOSS[2], JITTER[2], Faults(doubled=0.1), *STALLS])
def test_an_echo_comes_back_in_time_after_all_of_it(faults: Faults, codec: str) -> None:
    call = SimCall(codec, up=FaultyWire(faults), echoes=True, clock_offset_s=0.005)
    call.caller_says(rising(TALK_S, call.codec.line_rate_hz))
    call.run(TALK_S + 0.2)
    heard = call.down_readings()
    assert call.is_one_stream()
    assert heard.delay_ms(5.2, 6.0) <= 20 + 2 * faults.jitter_s * 1000 + 20 + 25
