"""What breaks off and goes on again, by ear: in no direction, for no reason, does it click."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from media import rtp
from media.clock import Pacer
from media.codecs import Codec
from media.conceal import JOIN_MS, SILENT_MS
from tests.helpers.audio import tone
from tests.helpers.impairments import JITTER, STALLS, of
from tests.helpers.nearend import SDP, START
from tests.helpers.simcall import TYPES, SimCall
from tests.helpers.wire import Faults, FaultyWire, Wire

HZ, PEAK = 330, 8000
TALK_S = 4.0
LINES = pytest.mark.parametrize("codec", ["PCMU", "G722", "opus"])


def clicks(sound: np.ndarray, rate_hz: int) -> list[float]:
    """When there is a step that neither the tone has nor a fade of it (seconds). The codecs' own onset is left out."""
    slope = 2 * np.pi * HZ / rate_hz * PEAK
    fade = 2 * PEAK / (JOIN_MS * rate_hz / 1000)
    allowed = 1.3 * slope + fade  # codecs are not exact; a click is several times that
    steps = np.abs(np.diff(sound.astype(int)))
    steps[: np.argmax(np.abs(sound) > PEAK / 4) + rate_hz // 25] = 0
    return [float(at) / rate_hz for at in np.flatnonzero(steps > allowed)]


def sounding_s(sound: np.ndarray, rate_hz: int) -> float:
    """How long anything is heard."""
    windows = np.abs(sound[: len(sound) // (rate_hz // 100) * (rate_hz // 100)].reshape(-1, rate_hz // 100).astype(int))
    return float(np.count_nonzero(windows.max(axis=1) > 300)) / 100


# --- from the platform ------------------------------------------------------------------------------------------------


@LINES
@pytest.mark.parametrize("sends_ahead", [False, True])
@of([Faults(), *JITTER, *STALLS])
def test_an_agent_whose_audio_comes_late(faults: Faults, sends_ahead: bool, codec: str) -> None:
    call = SimCall(codec, down=FaultyWire(faults), sends_ahead=sends_ahead, clock_offset_s=0.005)
    call.platform_says(tone(HZ, TALK_S, call.rate_hz))
    call.run(TALK_S + 2.5)
    assert clicks(call.heard_by_caller(), call.codec.line_rate_hz) == []
    assert call.is_one_stream()


@LINES
@pytest.mark.parametrize("sends_ahead", [False, True])
@pytest.mark.parametrize("after_s", [1.0, 1.0035, 1.0137])
def test_an_agent_who_is_interrupted(after_s: float, sends_ahead: bool, codec: str) -> None:
    """And speaks again, at once or later: the cut is the one hard edge, what follows begins softly."""
    for pause_s in (0.005, 0.4):
        call = SimCall(codec, sends_ahead=sends_ahead, clock_offset_s=0.005)
        call.platform_says(tone(HZ, TALK_S, call.rate_hz), ahead=sends_ahead)
        call.run(after_s)
        call.down = Wire()
        call.barge_in()
        answer = tone(HZ, 1.0, call.rate_hz)
        attack = call.rate_hz // 100
        answer[:attack] = answer[:attack] * np.linspace(0, 1, attack)
        call.platform_says(answer, at_s=after_s + pause_s, ahead=sends_ahead)
        call.run(after_s + pause_s + 2.0)
        heard, rate_hz = call.heard_by_caller(), call.codec.line_rate_hz
        assert all(after_s - 0.03 <= at_s <= after_s + 0.05 for at_s in clicks(heard, rate_hz))
        assert -0.03 <= sounding_s(heard, rate_hz) - (after_s + 1.0) <= SILENT_MS / 1000 + 0.04  # its end fades as well


@LINES
def test_a_caller_who_puts_us_on_hold_and_comes_back(codec: str) -> None:
    call = SimCall(codec, clock_offset_s=0.005)
    call.platform_says(tone(HZ, 3.0, call.rate_hz))
    call.run(1.0)
    before = len(call.packets)
    call.agree(sends=False, receives=False)
    call.run(2.0)
    assert len(call.packets) == before
    call.agree(sends=True, receives=True)
    call.run(3.5)
    back = rtp.ts_diff(call.packets[before][1].timestamp, call.packets[0][1].timestamp)
    heard = call.heard_by_caller()[back * call.codec.line_rate_hz // call.codec.clock_rate_hz :]
    if codec == "PCMU":  # the others first hand out what they held back when the hold began
        assert np.abs(heard[:8].astype(int)).max() < PEAK / 2
    assert clicks(heard, call.codec.line_rate_hz) == []
    assert 0.97 <= sounding_s(heard, call.codec.line_rate_hz) <= 1.0 + SILENT_MS / 1000 + 0.04


class Renegotiated(SimCall):
    """A call whose ptime changes, as `media.call` does it."""

    def use_ptime(self, ptime_ms: int) -> None:
        self.agree(ptime_ms=ptime_ms)
        self.playout = self.playout.successor(self.codec, ptime_ms, sends_ahead=self.playout.sends_ahead)
        self.pacer = Pacer(self.pacer.due_at, ptime_ms)


@LINES
@pytest.mark.parametrize("sends_ahead", [False, True])
@pytest.mark.parametrize("ptimes_ms", [(10, 60, 10), (60, 10, 60), (20, 40, 20)])
def test_another_packet_length_in_mid_tone_down(ptimes_ms: tuple[int, ...], sends_ahead: bool, codec: str) -> None:
    """Longer packets take longer to fill: so long the tone is held, once; nothing of it is lost."""
    call = Renegotiated(codec, sends_ahead=sends_ahead)
    call.use_ptime(ptimes_ms[0])
    call.platform_says(tone(HZ, 3.0, call.rate_hz), ahead=sends_ahead)
    for number, ptime_ms in enumerate(ptimes_ms):
        call.use_ptime(ptime_ms)
        call.run(1.0 * (number + 1))
    call.run(4.0)
    heard, rate_hz = call.heard_by_caller(), call.codec.line_rate_hz
    assert clicks(heard, rate_hz) == []
    # Held for a frame where it had to wait, and for the last one at its end.
    assert 2.97 <= sounding_s(heard, rate_hz) <= 3.0 + 3 * 0.06
    assert call.playout.played_ms == pytest.approx(3000 - call.playout.drained_ms, abs=max(ptimes_ms))
    steps = [rtp.seq_diff(b.sequence, a.sequence) for (_, a), (_, b) in itertools.pairwise(call.packets)]
    assert set(steps) == {1}
    lasts_s = rtp.ts_diff(call.packets[-1][1].timestamp, call.packets[0][1].timestamp) / call.codec.clock_rate_hz
    assert lasts_s == pytest.approx(4.0, abs=0.1)


# --- from the caller --------------------------------------------------------------------------------------------------


class Voice:
    """A caller's packets, whatever their length, from one encoder."""

    def __init__(self, codec: Codec) -> None:
        self.codec, self._encoder = codec, codec.encoder() if codec.encoder else None
        self.sent = self._timestamp = 0

    def packets(self, sound: np.ndarray, ptime_ms: int) -> Iterator[bytes]:
        line, size = self.codec.encode(sound), self.codec.frame_bytes(ptime_ms)
        for at in range(0, len(line) - size + 1, size):
            frame = line[at : at + size]
            payload = self._encoder.encode(frame) if self._encoder else frame
            yield rtp.serialize(TYPES.get(self.codec.name, 96), self.sent + 1, self._timestamp, 7, payload)
            self.sent += 1
            self._timestamp += self.codec.clock_rate_hz * ptime_ms // 1000


@LINES
@pytest.mark.parametrize("ptimes_ms", [(10, 60, 10), (60, 10, 60), (20, 40, 20)])
def test_another_packet_length_in_mid_tone_up(ptimes_ms: tuple[int, ...], codec: str) -> None:
    call = SimCall(codec, clock_offset_s=0.005)
    rate_hz, voice = call.codec.line_rate_hz, Voice(call.codec)
    song = tone(HZ, 3.6, rate_hz)
    for part, ptime_ms in enumerate(ptimes_ms):
        begins_s = 1.2 * part
        piece = song[round(begins_s * rate_hz) : round((begins_s + 1.2) * rate_hz)]
        for number, data in enumerate(voice.packets(piece, ptime_ms), 1):
            call.up.send(data, START + begins_s + number * ptime_ms / 1000)
    call.run(3.601)
    near, far = call.reports()
    assert (near.lost, near.late, near.received) == (0, 0, voice.sent)
    assert (far.concealed_ms, far.ahead_dropped_ms) == (0, 0)
    heard = call.heard_by_platform()
    if codec == "PCMU":
        assert call.codec.decode(call.codec.encode(song)).tobytes() in heard.tobytes()
    assert clicks(heard, rate_hz) == []


@LINES
@pytest.mark.parametrize("gap_s", [0.0, 0.03, 0.4])
def test_another_ssrc_in_mid_tone_over_a_line_that_swaps(gap_s: float, codec: str) -> None:
    """Packets are held for one that comes later, and then a new stream begins: none of them is lost."""
    call = SimCall(codec, clock_offset_s=0.005)
    rate_hz = call.codec.line_rate_hz
    song = tone(HZ, TALK_S, rate_hz)
    half = len(song) // 2
    call.up = FaultyWire(Faults(swapped=0.15, swap=1, seed=4))
    call.caller_says(song[:half])
    call.run(1.995)
    call.up, old = FaultyWire(Faults()), call.up
    for data, at in old.arrivals():  # what is still on its way, and the new stream behind it
        call.up.send(data, max(at, call.now))
    call.caller_says(song[half:], at_s=2.0 + gap_s, ssrc=99, sequence=40_000, timestamp=3_000_000_000)
    call.run(TALK_S + gap_s + 0.2)
    near, far = call.reports()
    assert (near.received, near.lost, near.ssrc_changes) == (200, 0, 1)
    heard = call.heard_by_platform()
    assert clicks(heard, rate_hz) == []
    spoken_s = sounding_s(heard, rate_hz)
    late_s = near.late * 0.02  # what came too late to be waited for was bridged
    assert TALK_S - late_s - far.ahead_dropped_ms / 1000 - 0.05 <= spoken_s <= TALK_S + 0.12


@pytest.mark.parametrize("codec", ["PCMU", "opus"])
def test_a_caller_who_moves_and_stops_for_a_moment(codec: str) -> None:
    """Half a second between the old address and the new one: it fades, and comes back softly."""
    call = SimCall(codec, clock_offset_s=0.005)
    rate_hz = call.codec.line_rate_hz
    song = tone(HZ, TALK_S, rate_hz)
    half = len(song) // 2
    call.caller_says(song[:half])
    call.run(2.01)
    call.moves_to(("198.51.100.20", 7000))
    step = call.codec.clock_rate_hz // 50
    call.caller_says(song[half:], at_s=2.5, sequence=101, timestamp=125 * step)
    call.run(TALK_S + 0.7)
    heard = call.heard_by_platform()
    assert clicks(heard, rate_hz) == []
    assert sounding_s(heard, rate_hz) == pytest.approx(TALK_S + 0.05, abs=0.08)
    assert call.caller_at != SDP


def test_the_ear_hears_a_click() -> None:
    sound = tone(HZ, 1.0)
    assert clicks(sound, 8000) == []
    broken = np.concatenate([sound[:4002], np.zeros(160, np.int16), sound[4002:]])
    assert clicks(broken, 8000) != []
    assert sounding_s(broken, 8000) == pytest.approx(1.0, abs=0.02)
