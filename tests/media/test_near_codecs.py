"""The near end with codecs other than G.711, with swapped packets, and with a codec that changes in mid-call."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from msgspec.structs import replace

from media import rtp
from media.codecs import CODECS, Codec
from media.conceal import conceal, join
from media.near import COMFORT_NOISE, NearEnd
from media.playout import Playout
from tests.helpers.audio import loudest_hz, tone
from tests.helpers.nearend import LOUD, PCMU, SDP, START, near_end, packet, spec

CODED = pytest.mark.parametrize("name", [name for name, row in CODECS.items() if row.encoder])
TYPE = 96


def coded_packets(codec: Codec, song: np.ndarray, ptime_ms: int, first: int = 1) -> list[bytes]:
    """A caller's packets in this codec."""
    assert codec.encoder is not None
    encoder, size = codec.encoder(), codec.frame_bytes(ptime_ms)
    line, step = song.tobytes(), codec.clock_rate_hz * ptime_ms // 1000
    return [
        rtp.serialize(TYPE, first + number, number * step, 7, encoder.encode(line[at : at + size]))
        for number, at in enumerate(range(0, len(line) - size + 1, size))
    ]


def listening(name: str, ptime_ms: int = 20) -> NearEnd:
    near = NearEnd()
    near.start(replace(spec(codec=name, ptime_ms=ptime_ms), payload_type=TYPE), START)
    near.uplink.start(START)
    return near


@CODED
@pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60])
def test_up_the_tone_arrives_as_line_audio_and_one_second_is_one_second(name: str, ptime_ms: int) -> None:
    codec, near = CODECS[name], listening(name, ptime_ms)
    packets = coded_packets(codec, tone(600, 1.2, codec.line_rate_hz), ptime_ms)
    up = b"".join(
        near.receive(data, SDP, START + (number + 1) * ptime_ms / 1000) or b"" for number, data in enumerate(packets)
    )
    assert codec.units(up) == codec.clock_rate_hz * 12 // 10
    assert loudest_hz(codec.decode(up)[codec.line_rate_hz // 10 :], codec.line_rate_hz) == pytest.approx(600, abs=5)
    assert near.uplink.filled == 0


@CODED
def test_down_every_frame_is_one_packet_and_the_far_side_hears_the_tone(name: str) -> None:
    codec, near = CODECS[name], listening(name)
    playout = Playout(codec, 20, sends_ahead=True)
    playout.push(tone(600, 1.0, codec.line_rate_hz).tobytes(), START)
    packets = [rtp.parse(data) for tick in range(60) for data in near.tick(1, 0, playout, START + (tick + 1) * 0.02)]
    step = codec.clock_rate_hz // 50
    assert len(packets) == 60
    assert {rtp.ts_diff(b.timestamp, a.timestamp) for a, b in itertools.pairwise(packets)} == {step}
    assert codec.decoder is not None
    decoder = codec.decoder()
    heard = np.frombuffer(b"".join(decoder.decode(one.payload) for one in packets), np.int16)
    second = heard[codec.line_rate_hz // 10 : codec.line_rate_hz]
    assert loudest_hz(second, codec.line_rate_hz) == pytest.approx(600, abs=5)
    assert np.abs(heard[-codec.line_rate_hz // 10 :].astype(int)).mean() < 50


def test_an_undecodable_payload_costs_its_own_frame_and_no_more() -> None:
    codec, near = CODECS["opus"], listening("opus")
    packets = coded_packets(codec, tone(600, 0.2, 48000), 20)
    packets[4] = packets[4][:12] + b"\xff\xff\xff"
    up = b"".join(near.receive(data, SDP, START + (n + 1) * 0.02) or b"" for n, data in enumerate(packets))
    assert near.malformed == 1
    assert codec.units(up) == 48000 // 5


def test_the_codec_may_change_in_mid_call() -> None:
    near = near_end()
    for number in range(1, 51):
        near.receive(packet(number), SDP, START + number * 0.02)
    assert near.uplink.sent == 8000
    near.start(replace(spec(codec="opus"), payload_type=TYPE), START + 1.0)
    codec = CODECS["opus"]
    packets = coded_packets(codec, tone(600, 1.0, 48000), 20, first=51)
    up = b"".join(near.receive(data, SDP, START + 1.0 + (n + 1) * 0.02) or b"" for n, data in enumerate(packets))
    assert codec.units(up) == 48000
    assert near.uplink.sent == 96000
    assert near.report(0).lost == 0


def swapped(order: list[int], near: NearEnd, first_at: int = 0) -> list[bytes | None]:
    """Packets in this order, one every 20 ms, each with its own number as payload."""
    return [
        near.receive(packet(number, payload=bytes([number]) * 160), SDP, START + (first_at + at + 1) * 0.02)
        for at, number in enumerate(order)
    ]


def test_after_the_first_swap_packets_are_waited_for_and_put_in_order() -> None:
    near = near_end()
    assert swapped([1, 2, 4, 3, 5], near)[3] is None  # the first late one finds the window closed
    late = swapped([6, 8, 7, 9], near, 5)
    assert late[1] is None
    assert b"".join(audio or b"" for audio in late) == b"".join(bytes([n]) * 160 for n in (6, 7, 8, 9))
    figures = near.report(0)
    assert (figures.late, figures.lost, figures.received) == (1, 0, 9)  # 3 was not used; 7 was


@pytest.mark.parametrize("payload_type", [101, COMFORT_NOISE])
def test_what_is_behind_a_key_or_comfort_noise_waits_for_nothing(payload_type: int) -> None:
    """Heard: the audio behind each key as late as the window is wide, once a packet had been late."""
    near = near_end()
    swapped([1, 2, 4, 3, 5], near)
    between = packet(6, payload=bytes.fromhex("050a0320"), payload_type=payload_type)
    assert near.receive(between, SDP, START + 0.12) is None
    (heard,) = swapped([7], near, 6)
    assert heard is not None
    assert heard.endswith(bytes([7]) * 160)
    assert near.mender.concealed_ms == 0  # a pause is no loss


def test_what_was_held_for_a_key_goes_up_with_it() -> None:
    near = near_end()
    swapped([1, 2, 4, 3, 5], near)
    assert swapped([7], near, 5) == [None]
    between = packet(6, payload=bytes.fromhex("050a0320"), payload_type=101)
    heard = near.receive(between, SDP, START + 0.125)
    assert heard is not None
    assert heard.endswith(bytes([7]) * 160)
    assert near.receive(between, SDP, START + 0.126) is None
    assert near.report(0).late == 1


def test_a_packet_that_never_comes_is_concealed_when_the_window_has_passed() -> None:
    near = near_end()
    swapped([1, 2, 4, 3, 5], near)
    assert swapped([7], near, 6) == [None]
    assert near.overdue(START + 0.141) is None
    audio = near.overdue(START + 0.3)
    assert audio is not None
    before = bytes([4]) * 160 + bytes([5]) * 160
    whole = conceal(PCMU, before, 200)
    assert audio == whole[:160] + join(PCMU, whole[160:], bytes([7]) * 160)
    assert near.mender.concealed_ms == 20


def test_a_new_stream_does_not_wait_for_the_old_one_and_loses_none_of_it() -> None:
    """Number 7 is held for 6, which never comes: it goes up with the new stream's first packet, and each end joins."""
    near = near_end()
    swapped([1, 2, 4, 3, 5, 7], near)
    audio = near.receive(packet(500, ssrc=99), SDP, START + 0.16)
    assert audio is not None
    heard = bytes([4]) * 160 + bytes([5]) * 160
    whole = conceal(PCMU, heard, 200)
    seventh = join(PCMU, whole[160:], bytes([7]) * 160)
    first = join(PCMU, conceal(PCMU, bytes([5]) * 160 + seventh, 40), LOUD)
    assert audio == whole[:160] + seventh + first
    assert near.overdue(START + 1.0) is None
