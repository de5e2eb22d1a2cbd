from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from media import rtp
from media.codecs import CODECS
from media.dtmf import Press
from media.near import COMFORT_NOISE, LEARN_S, MOVED_AFTER_S, Address, NearEnd
from media.playout import Playout
from media.wire import NearReport, NearSpec
from tests.helpers.wire import Wire

PCMU, PCMA = CODECS["PCMU"], CODECS["PCMA"]
SDP: Address = ("192.0.2.1", 4000)
NAT: Address = ("198.51.100.7", 61_234)
STRANGER: Address = ("203.0.113.9", 5555)
SSRC = 0xCAFE
LOUD = bytes(0x80 + n % 0x40 for n in range(160))
START = 100.0


def spec(
    *,
    codec: str = "PCMU",
    at: Address = SDP,
    dtmf: int = 101,
    ptime_ms: int = 20,
    sends: bool = True,
    receives: bool = True,
) -> NearSpec:
    return NearSpec(
        host=at[0],
        port=at[1],
        codec=codec,
        payload_type=CODECS[codec].payload_type,
        dtmf_payload_type=dtmf,
        ptime_ms=ptime_ms,
        sends=sends,
        receives=receives,
    )


def near_end(negotiated: NearSpec | None = None, now: float = START) -> NearEnd:
    near = NearEnd()
    near.uplink.start(now)
    near.start(negotiated or spec(), now)
    return near


def packet(number: int, *, payload: bytes = LOUD, payload_type: int = 0, ssrc: int = SSRC, skew: int = 0) -> bytes:
    """The caller's n-th packet of 20 ms."""
    return rtp.serialize(payload_type, number & 0xFFFF, (number * 160 + skew) & 0xFFFFFFFF, ssrc, payload)


def hear(near: NearEnd, numbers: Iterable[int], source: Address = SDP, *, ssrc: int = SSRC) -> list[bytes | None]:
    """Packets, each at the time its number says."""
    return [near.receive(packet(n, ssrc=ssrc), source, START + n * 0.02) for n in numbers]


class Stream:
    """What a near end sends, tick by tick."""

    def __init__(self, near: NearEnd, playout: Playout | None = None) -> None:
        self.near = near
        self.playout = playout or Playout(PCMU, 20, sends_ahead=True)
        self.now = START
        self.packets: list[rtp.Packet] = []

    def run(self, ticks: int, *, skipped: int = 0) -> list[rtp.Packet]:
        sent = []
        for _ in range(ticks):
            sent += [rtp.parse(data) for data in self.near.tick(1, skipped, self.playout, self.now)]
            skipped = 0
            self.now += self.near.ptime_ms / 1000
        self.packets += sent
        return sent

    def steps(self) -> list[tuple[int, int]]:
        """How far each packet is ahead of the one before: (sequence, timestamp)."""
        pairs = zip(self.packets, self.packets[1:], strict=False)
        return [(rtp.seq_diff(b.sequence, a.sequence), rtp.ts_diff(b.timestamp, a.timestamp)) for a, b in pairs]

    def marks(self) -> list[int]:
        return [number for number, packet in enumerate(self.packets) if packet.marker]


def report(**figures: float) -> NearReport:
    return NearReport(**figures)  # type: ignore[arg-type]


# --- caller to platform -----------------------------------------------------------------------------------------------


def test_packets_in_order_are_handed_up_as_they_came() -> None:
    near = near_end()
    assert hear(near, range(1, 101)) == [LOUD] * 100
    assert near.report(0) == report(received=100, expected=100, max_gap_ms=20.0)
    assert near.peer == SDP


def test_what_is_lost_is_silence_and_what_is_late_stays_out() -> None:
    near = near_end()
    out = hear(near, [1, 2])
    out += [near.receive(packet(n), SDP, START + at) for n, at in ((4, 0.085), (3, 0.086), (4, 0.087), (5, 0.1))]
    assert out == [LOUD, LOUD, 160 * PCMU.silence + LOUD, None, None, LOUD]
    figures = near.report(0)
    assert (figures.received, figures.expected, figures.lost, figures.late, figures.duplicate) == (5, 5, 0, 1, 1)
    assert near.uplink.filled == 160


def test_loss_over_a_bad_wire_is_counted_and_filled() -> None:
    near, wire = near_end(), Wire(19 * "." + "x")
    for number in range(1, 502):
        wire.send(packet(number), START + number * 0.02 + 0.001)
    up = b"".join(near.receive(data, SDP, at) or b"" for data, at in wire.arrivals())
    assert len(up) == 501 * 160
    assert up.count(160 * PCMU.silence) == wire.lost == 25
    assert near.report(0) == report(received=476, expected=501, lost=25, max_gap_ms=40.0)


def test_a_law_is_filled_with_its_own_silence() -> None:
    near = near_end(spec(codec="PCMA"))
    near.receive(packet(1, payload_type=8), SDP, START + 0.021)
    assert near.receive(packet(3, payload_type=8), SDP, START + 0.061) == 160 * b"\xd5" + LOUD


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
    silence = [near.filler(START + 1.0 + n * 0.02) or b"" for n in range(1, 51)]
    assert set(b"".join(silence)) == {0xFF}
    assert 0.9 * 8000 <= sum(map(len, silence)) <= 0.95 * 8000
    assert {len(part) % 160 for part in silence} == {0}


def test_a_new_ssrc_is_a_new_stream_and_no_loss() -> None:
    near = near_end()
    hear(near, range(1, 51))
    out = [near.receive(packet(n, ssrc=77, skew=9999), SDP, START + 1.0 + n * 0.02) for n in range(1, 51)]
    assert out == [LOUD] * 50
    assert near.report(0) == report(received=100, expected=100, ssrc_changes=1, max_gap_ms=20.0)


def test_the_same_ssrc_beginning_anew_is_no_loss_either() -> None:
    near = near_end()
    hear(near, range(1, 51))
    out = [near.receive(packet(n + 20_000), SDP, START + 1.0 + n * 0.02) for n in range(1, 51)]
    assert out == [LOUD] * 50
    assert near.report(0) == report(received=100, expected=100, max_gap_ms=20.0)


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


# --- symmetric RTP ----------------------------------------------------------------------------------------------------


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
    assert near.receive(packet(1, ssrc=7), SDP, START + 0.03) == LOUD
    assert near.peer == SDP
    assert hear(near, [2, 3], NAT) == [None, None]
    assert (near.wrong_source, near.ssrc_changes) == (2, 1)


def test_a_third_party_is_ignored_once_the_source_is_locked() -> None:
    near = near_end()
    hear(near, [1])
    assert hear(near, [2, 3], STRANGER) == [None, None]
    assert near.receive(packet(4, ssrc=1), STRANGER, START + 60) is None  # nor when the caller is silent
    assert near.receive(packet(2), STRANGER, START + MOVED_AFTER_S) is None  # nor too early, had it the SSRC
    assert near.peer == SDP
    assert near.report(0) == report(received=1, expected=1, wrong_source=4, max_gap_ms=20.0)


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
        pytest.param(packet(70), MOVED_AFTER_S - 0.1, id="too soon"),
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


# --- platform to caller -----------------------------------------------------------------------------------------------


def test_silence_is_sent_from_the_first_tick_on() -> None:
    stream = Stream(near_end())
    sent = stream.run(100)
    assert [p.payload for p in sent] == [160 * b"\xff"] * 100
    assert {(p.payload_type, p.ssrc) for p in sent} == {(0, sent[0].ssrc)}
    assert (stream.steps(), stream.marks()) == ([(1, 160)] * 99, [0])
    assert stream.near.report(0) == report(sent=100)


def test_two_calls_have_nothing_in_common() -> None:
    first = [Stream(near_end()).run(1)[0] for _ in range(8)]
    assert len({p.ssrc for p in first}) == len({p.timestamp for p in first}) == 8


def test_speech_is_sent_in_its_place() -> None:
    stream = Stream(near_end())
    stream.run(3)
    stream.playout.push(LOUD * 2, stream.now)
    stream.run(4)
    assert [p.payload == LOUD for p in stream.packets] == [False] * 3 + [True] * 2 + [False] * 2
    assert (stream.steps(), stream.marks()) == ([(1, 160)] * 6, [0])


def test_both_counters_wrap() -> None:
    near = near_end()
    near._sequence, near._timestamp = 0xFFFE, 0xFFFFFF00
    stream = Stream(near)
    stream.run(10)
    assert [p.sequence for p in stream.packets[:4]] == [0xFFFE, 0xFFFF, 0, 1]
    assert [p.timestamp for p in stream.packets[:4]] == [0xFFFFFF00, 0xFFFFFFA0, 0x40, 0xE0]
    assert stream.steps() == [(1, 160)] * 9


def test_several_frames_at_once_after_a_late_tick() -> None:
    near = near_end()
    playout = Playout(PCMU, 20, sends_ahead=True)
    playout.push(LOUD, START)
    sent = [rtp.parse(data) for data in near.tick(3, 0, playout, START)]
    assert [p.payload == LOUD for p in sent] == [True, False, False]
    assert [rtp.ts_diff(p.timestamp, sent[0].timestamp) for p in sent] == [0, 160, 320]


def test_skipped_frames_let_the_timestamps_run_on_and_are_marked() -> None:
    stream = Stream(near_end())
    stream.run(2)
    stream.run(2, skipped=7)
    assert (stream.steps(), stream.marks()) == ([(1, 160), (1, 160 * 8), (1, 160)], [0, 2])
    assert stream.near.report(0) == report(sent=4, ticks_skipped=7)


def test_hold_and_resume() -> None:
    """On hold nothing is sent, the clock runs on, and the agent's audio waits for nobody."""
    stream = Stream(near_end())
    on_air: list[bytes] = []
    stream.near.on_air = on_air.append
    stream.run(3)
    stream.near.start(spec(receives=False, sends=False), stream.now)
    stream.playout.push(LOUD * 5, stream.now)
    assert (stream.run(50), len(stream.playout), stream.near.expects_audio) == ([], 0, False)
    stream.near.start(spec(), stream.now)
    stream.run(3)
    assert (stream.steps(), stream.marks()) == (
        [(1, 160), (1, 160), (1, 160 * 51), (1, 160), (1, 160)],
        [0, 3],
    )
    assert stream.near.report(0) == report(sent=6)
    assert on_air == [160 * b"\xff"] * 56


@pytest.mark.parametrize(
    ("changed", "step", "marks"),
    [
        pytest.param(spec(codec="PCMA"), 160, [0], id="codec"),
        pytest.param(spec(ptime_ms=30), 240, [0], id="ptime"),
        pytest.param(spec(at=("192.0.2.2", 4002)), 160, [0, 3], id="address"),
        pytest.param(spec(dtmf=-1), 160, [0], id="nothing that matters here"),
        pytest.param(spec(sends=False), 160, [0], id="sendrecv to recvonly"),
    ],
)
def test_a_re_invite_never_breaks_the_stream(changed: NearSpec, step: int, marks: list[int]) -> None:
    stream = Stream(near_end())
    stream.run(3)
    stream.near.start(changed, stream.now)
    stream.playout = stream.playout.successor(stream.near.codec, changed.ptime_ms, sends_ahead=True)
    sent = stream.run(3)
    assert stream.steps() == [(1, 160), (1, 160), (1, 160), (1, step), (1, step)]
    assert stream.marks() == marks
    assert {p.payload_type for p in sent} == {changed.payload_type}
    assert {p.payload for p in sent} == {step * stream.near.codec.silence}
    assert len({p.ssrc for p in stream.packets}) == 1


def test_a_codec_that_we_do_not_have() -> None:
    near = near_end()
    with pytest.raises(ValueError, match=r"^no such codec: G729$"):
        near.start(NearSpec(host="192.0.2.1", port=4, codec="G729", payload_type=18), START)
    assert near.codec is PCMU  # the call goes on as it was


def test_how_long_the_caller_has_been_silent() -> None:
    near = near_end()
    hear(near, [1])
    assert near.quiet_ms(START + 3.02) == 3000
    near.start(spec(sends=False), START + 4)
    assert near.quiet_ms(START + 9) == 0  # on hold nothing is to be expected
    near.start(spec(), START + 10)
    assert near.quiet_ms(START + 12) == 2000  # counted from the resumption


# --- digits -----------------------------------------------------------------------------------------------------------


def carry(stream: Stream, listener: NearEnd, ticks: int, wire: Wire) -> list[Press]:
    """So many ticks of one near end, over the wire into another."""
    for _ in range(ticks):
        for sent in stream.run(1):
            data = rtp.serialize(sent.payload_type, sent.sequence, sent.timestamp, sent.ssrc, sent.payload, sent.marker)
            wire.send(data, stream.now)
        for data, at in wire.arrivals(stream.now):
            listener.receive(data, SDP, at)
        listener.tick(1, 0, Playout(PCMU, 20, sends_ahead=True), stream.now)
    presses, listener.presses = listener.presses, []
    return presses


@pytest.mark.parametrize("pattern", [".", "....x", "..x", ".2", "...>"])
def test_digits_from_one_near_end_to_another(pattern: str) -> None:
    stream, listener = Stream(near_end()), near_end()
    stream.near.sender.press("0019#")
    presses = carry(stream, listener, 100, Wire(pattern, late_s=0.03))
    assert "".join(press.digit for press in presses) == "0019#"


def test_around_digits_the_stream_is_continuous() -> None:
    stream = Stream(near_end())
    stream.run(2)
    stream.near.sender.press("5")
    stream.run(14)
    kinds = "".join("e" if p.payload_type == 101 else "." for p in stream.packets)
    assert kinds == ".." + 8 * "e" + "......"
    assert {p.sequence - stream.packets[0].sequence & 0xFFFF for p in stream.packets} == set(range(16))
    offsets = [rtp.ts_diff(p.timestamp, stream.packets[0].timestamp) for p in stream.packets]
    assert offsets == [0, 160, *[320] * 8, *range(10 * 160, 16 * 160, 160)]
    assert stream.marks() == [0, 2]


def test_a_digit_survives_skips_a_new_ptime_and_a_hold() -> None:
    stream, listener, wire = Stream(near_end()), near_end(), Wire()
    stream.near.sender.press("6")
    presses = carry(stream, listener, 3, wire)
    stream.run(1, skipped=4)
    presses += carry(stream, listener, 20, wire)
    stream.near.sender.press("7")
    presses += carry(stream, listener, 5, wire)
    stream.near.start(spec(ptime_ms=30), stream.now)
    presses += carry(stream, listener, 20, wire)
    stream.near.start(spec(ptime_ms=30, receives=False), stream.now)
    stream.near.sender.press("8")
    presses += carry(stream, listener, 20, wire)
    stream.near.start(spec(ptime_ms=30), stream.now)
    presses += carry(stream, listener, 20, wire)
    assert "".join(press.digit for press in presses) == "678"


def test_without_telephone_event_the_audio_goes_on() -> None:
    stream = Stream(near_end(spec(dtmf=-1)))
    stream.near.sender.press("1")
    assert {p.payload_type for p in stream.run(20)} == {0}


def test_a_digit_is_neither_audio_nor_loss_nor_jitter() -> None:
    stream, listener = Stream(near_end()), near_end()
    stream.near.sender.press("123")
    carry(stream, listener, 60, Wire())
    figures = listener.report(0)
    assert (figures.received, figures.lost, figures.late) == (60, 0, 0)
    assert figures.jitter_ms < 0.01


def test_a_lost_end_is_told_by_the_tick() -> None:
    near = near_end()
    near.receive(packet(1, payload=bytes.fromhex("050a0320"), payload_type=101), SDP, START)
    playout = Playout(PCMU, 20, sends_ahead=True)
    near.tick(1, 0, playout, START + 0.1)
    assert near.presses == []
    near.tick(1, 0, playout, START + 0.3)
    assert near.presses == [Press("5", 100)]


@pytest.mark.parametrize(("ptime_ms", "durations"), [(10, [80, 160]), (60, [480, 480])])
def test_durations_grow_by_the_negotiated_ptime(ptime_ms: int, durations: list[int]) -> None:
    stream = Stream(near_end(spec(ptime_ms=ptime_ms)), Playout(PCMU, ptime_ms, sends_ahead=True))
    stream.near.sender.press("5")
    assert [int.from_bytes(sent.payload[2:]) for sent in stream.run(2)] == durations
