"""What a near end sends: one stream that never breaks, and digits in it."""

from __future__ import annotations

import pytest

from media import rtp
from media.dtmf import Press
from media.near import NearEnd
from media.playout import Playout
from media.wire import NearSpec
from tests.helpers.nearend import LOUD, PCMU, SDP, START, Stream, hear, near_end, packet, report, spec
from tests.helpers.wire import Wire

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


def test_who_has_us_on_hold_may_be_silent_and_is_missed_only_when_his_music_stops() -> None:
    """RFC 3264, 8.4: sendonly is what a holder says, whether he sends anything or not."""
    stream = Stream(near_end())
    stream.near.start(spec(receives=False), stream.now)
    stream.near.receive(packet(0), SDP, stream.now + 0.1)  # was under way
    assert stream.near.quiet_ms(stream.now + 60) == 0
    stream.near.receive(packet(1), SDP, stream.now + 5)
    assert stream.near.quiet_ms(stream.now + 20) == 15_000
    stream.near.start(spec(), stream.now + 30)
    assert stream.near.quiet_ms(stream.now + 45) == 15_000


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
