from __future__ import annotations

import random

import pytest

from media.conceal import SILENT_MS, conceal, join
from media.near import COMFORT_NOISE, NearEnd
from media.playout import Playout
from media.wire import NearReport
from tests.helpers.nearend import LOUD, NAT, PCMU, SDP, START, STRANGER, hear, near_end, packet, report, spec
from tests.helpers.wire import Wire

# --- caller to platform -----------------------------------------------------------------------------------------------


def test_packets_in_order_are_handed_up_as_they_came() -> None:
    near = near_end()
    assert hear(near, range(1, 101)) == [LOUD] * 100
    assert near.report(0) == report(received=100, expected=100, max_gap_ms=20.0)
    assert near.peer == SDP


def test_what_is_lost_is_concealed_and_what_is_late_stays_out() -> None:
    near = near_end()
    out = hear(near, [1, 2])
    out += [near.receive(packet(n), SDP, START + at) for n, at in ((4, 0.085), (3, 0.086), (4, 0.087), (5, 0.1))]
    goes_on = join(PCMU, conceal(PCMU, LOUD + LOUD, 40, 160), LOUD)
    assert out == [LOUD, LOUD, conceal(PCMU, LOUD + LOUD, 160) + goes_on, None, None, LOUD]
    assert near.mender.concealed_ms == 20
    figures = near.report(0)
    assert (figures.received, figures.expected, figures.lost, figures.late, figures.duplicate) == (5, 5, 0, 1, 1)
    assert near.uplink.filled == 160


def test_loss_over_a_bad_wire_is_counted_and_filled() -> None:
    near, wire = near_end(), Wire(19 * "." + "x")
    for number in range(1, 502):
        wire.send(packet(number), START + number * 0.02 + 0.001)
    up = b"".join(near.receive(data, SDP, at) or b"" for data, at in wire.arrivals())
    assert len(up) == 501 * 160
    assert near.mender.concealed_ms == 20 * wire.lost == 20 * 25
    assert near.report(0) == report(received=476, expected=501, lost=25, max_gap_ms=40.0)


def test_a_law_is_filled_with_its_own_silence() -> None:
    near = near_end(spec(codec="PCMA"))
    near.receive(packet(1, payload_type=8), SDP, START + 0.021)
    pause = 160  # the timestamp runs on, the sequence does not: nothing was lost, the caller was silent
    up = near.receive(packet(2, skew=pause, payload_type=8), SDP, START + 0.061)
    assert up == 160 * b"\xd5" + LOUD
    assert near.mender.concealed_ms == 0


@pytest.mark.parametrize("size", [0, 1, 79, 161, 333, 1400])
def test_payloads_of_any_size(size: int) -> None:
    """None is right or wrong in itself; the longest is more than may run ahead of real time, so it is dropped."""
    near = near_end()
    payload = (LOUD * 10)[:size]
    up = near.receive(packet(1, payload=payload), SDP, START + 0.02)
    assert up == (payload if size < 1000 else None)
    assert near.receive(packet(2, skew=size - 160 - 160), SDP, START + 0.2) == LOUD
    assert near.malformed == 0


def test_no_packet_before_the_negotiation() -> None:
    near = NearEnd()
    assert near.receive(packet(1), SDP, START) is None
    assert near.tick(1, 0, Playout(PCMU, 20, sends_ahead=True), START) == []
    assert near.report(0) == NearReport()
    assert (near.started, near.expects_audio, near.quiet_ms(START + 99)) == (False, False, 0)


def test_the_filler_speaks_when_nothing_comes() -> None:
    near = near_end()
    hear(near, range(1, 51))
    stand_in = b"".join(near.filler(START + 1.0 + n * 0.02) or b"" for n in range(1, 51))
    fading, silence = stand_in[: SILENT_MS * 8], stand_in[SILENT_MS * 8 :]
    assert fading == conceal(PCMU, LOUD + LOUD, SILENT_MS * 8)  # in one piece, though it was made in three
    assert set(silence) == {0xFF}
    assert near.mender.concealed_ms == SILENT_MS
    assert len(stand_in) == 8000


def test_the_first_loss_of_a_call_whose_caller_came_after_the_platform() -> None:
    """Heard: a hole, cut hard. The filler's silence before his first packet had been counted as part of it."""
    near = near_end()
    before = b"".join(near.filler(START + n * 0.02) or b"" for n in range(1, 26))
    assert set(before) == {0xFF}
    hear(near, range(25, 31))
    lost = near.receive(packet(32), SDP, START + 0.661)
    assert lost is not None
    assert lost[:160] == conceal(PCMU, LOUD + LOUD, 160)
    assert near.mender.concealed_ms == 20


@pytest.mark.parametrize("is_full", [False, True])
def test_a_loss_that_is_not_filled_leaves_no_click(is_full: bool) -> None:
    """Heard: a click. The ledger stood ahead, nothing was filled, and the audio behind the loss began anywhere."""
    near = near_end()
    hear(near, range(1, 10))
    last, at = (15, START + 0.4) if is_full else (12, START + 0.2)
    for n in range(10, last + 1):  # a burst: the ledger stands ahead now
        assert near.receive(packet(n), SDP, START + 0.195) == LOUD
    if is_full:  # and what comes behind the loss is left out as well
        assert near.receive(packet(last + 2), SDP, START + 0.195) is None
        last += 1
    assert [near.receive(packet(n), SDP, at) for n in (last + 2, last + 3)] == [ON, LOUD]
    assert near.uplink.filled == 0


ON = join(PCMU, conceal(PCMU, LOUD + LOUD, 40), LOUD)
"A new stream that begins where another has stopped."


def test_a_new_ssrc_is_a_new_stream_and_no_loss() -> None:
    near = near_end()
    hear(near, range(1, 51))
    out = [near.receive(packet(n, ssrc=77, skew=9999), SDP, START + 1.0 + n * 0.02) for n in range(1, 51)]
    assert out == [ON] + [LOUD] * 49
    assert near.report(0) == report(received=100, expected=100, ssrc_changes=1, max_gap_ms=20.0)


def test_the_same_ssrc_beginning_anew_is_no_loss_either() -> None:
    """Its first packet might have been a stray one; with the second it is heard that it was not."""
    near = near_end()
    hear(near, range(1, 51))
    out = [near.receive(packet(n + 20_000), SDP, START + 1.0 + n * 0.02) for n in range(1, 51)]
    assert out == [None, ON] + [LOUD] * 48
    assert near.report(0) == report(received=99, expected=99, late=1, max_gap_ms=20.0)


def test_a_stray_packet_changes_nothing() -> None:
    """Heard: a join in the middle of a word, and a new clock that the next packet in order did not fit."""
    near = near_end()
    hear(near, range(1, 51))
    assert near.receive(packet(20_000), SDP, START + 1.01) is None
    assert hear(near, range(51, 61)) == [LOUD] * 10
    assert near.report(0) == report(received=60, expected=60, late=1, max_gap_ms=20.0)


@pytest.mark.parametrize("payload_type", [0, 101])
def test_after_a_new_beginning_the_old_timestamps_mean_nothing(payload_type: int) -> None:
    """Nothing may look like a pause between the old timestamps and the new, whatever kind of packet comes first."""
    near = near_end()
    hear(near, range(1, 51))
    skew = -160 * 19_000
    kinds = ((19_999, 0), (20_000, payload_type), (20_001, 0))
    out = [
        near.receive(packet(n, payload_type=kind, skew=skew), SDP, START + 3.0 + (n - 20_000) * 0.02)
        for n, kind in kinds
    ]
    assert out == ([None, ON, LOUD] if payload_type == 0 else [None, None, ON])


def test_both_counters_of_the_caller_wrap() -> None:
    near = near_end()
    skew = 2**32 - 65_536 * 160 - 800
    for n in range(65_500, 65_600):
        up = near.receive(packet(n, skew=skew), SDP, START + (n - 65_499) * 0.02)
        assert up == LOUD
    assert near.report(0) == report(received=100, expected=100, max_gap_ms=20.0)


def test_jitter_and_the_longest_gap() -> None:
    near = near_end()
    hear(near, range(1, 51))
    near.receive(packet(51), SDP, START + 1.02 + 0.030)
    figures = near.report(3)
    assert (figures.jitter_ms, figures.max_gap_ms, figures.send_errors) == (30 / 16, 50.0, 3)


# --- what must not get in ---------------------------------------------------------------------------------------------


def test_a_wrong_payload_type_of_the_caller_is_counted_as_that() -> None:
    near = near_end()
    for number in range(5):  # before the source is locked and after
        assert near.receive(packet(number, payload_type=18), SDP, START + number * 0.02) is None
    hear(near, [5])
    assert near.receive(packet(6, payload_type=18), SDP, START + 0.12) is None
    assert near.report(0) == report(received=1, expected=1, wrong_payload_type=6, max_gap_ms=100.0)


def test_a_wrong_payload_type_of_a_stranger_teaches_nothing() -> None:
    near = near_end()
    assert near.receive(packet(1, payload_type=18), STRANGER, START) is None
    assert near.peer == SDP
    assert near.report(0) == report(wrong_source=1)


def test_rtcp_is_ignored() -> None:
    near = near_end()
    hear(near, [1])
    for source in (SDP, STRANGER):
        for data in (
            bytes.fromhex("80c9 0001 0000cafe"),  # an empty receiver report, shorter than an RTP header
            bytes.fromhex("80c8 0006") + bytes(24),
            bytes.fromhex("81c9 0007") + bytes(28),
            bytes.fromhex("81cb 0001 0000cafe"),
        ):
            assert near.receive(data, source, START + 0.03) is None
    assert near.report(0) == report(received=1, expected=1, max_gap_ms=20.0)


def test_comfort_noise_is_a_sign_of_life_and_no_loss() -> None:
    """RFC 3389: it takes sequence numbers of its own; the filler plays its part."""
    near = near_end()
    hear(near, range(1, 11))
    for number in range(11, 21):
        noise = packet(number, payload=b"\x40", payload_type=COMFORT_NOISE)
        assert near.receive(noise, SDP, START + number * 0.02) is None
    assert near.quiet_ms(START + 0.9) == 500
    assert hear(near, range(21, 31))[-1] == LOUD
    assert near.report(0) == report(received=30, expected=30, max_gap_ms=20.0)


@pytest.mark.parametrize("seed", range(4))
def test_garbage_is_never_an_exception(seed: int) -> None:
    """Noise, and good packets with a few bytes turned, cut or doubled; then the call goes on as if nothing had been."""
    dice, near = random.Random(seed), near_end()
    hear(near, [0])
    for number in range(1, 3000):
        data = bytearray(packet(number, payload_type=dice.choice((0, 8, 13, 101))))
        for _ in range(dice.randrange(6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        kinds = (bytes(data), bytes(data[: dice.randrange(40)]), dice.randbytes(dice.randrange(200)), bytes(data * 2))
        up = near.receive(dice.choice(kinds), dice.choice((SDP, STRANGER, NAT)), START + number * 0.02)
        assert up is None or isinstance(up, bytes)
        near.filler(START + number * 0.02)
        near.tick(1, 0, Playout(PCMU, 20, sends_ahead=True), START + number * 0.02)
    figures = near.report(0)
    assert min(figures.malformed, figures.wrong_source, figures.wrong_payload_type) > 0
    fresh = [near.receive(packet(n, ssrc=1), SDP, START + 60 + n * 0.02) for n in range(100)]
    assert fresh[-50:] == [LOUD] * 50
