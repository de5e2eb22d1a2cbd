"""Whole calls through a worker: real RTP sockets, a real WebSocket platform, and ears."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest

from media import rtp, wire
from media.codecs import CODECS
from tests.helpers.workerbench import Bench, Caller, bench, until

PCMU = CODECS["PCMU"]


def frame(level: int) -> bytes:
    """20 ms of PCMU that is recognisable: one code repeated."""
    return bytes([level]) * 160


def pcm(level: int) -> bytes:
    """The same as s16le."""
    return PCMU.decode(frame(level)).astype("<i2").tobytes()


def tone(hz: float, seconds: float, rate_hz: int = 8000, level: int = 8000) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)).astype(np.int16)


def loudest_hz(samples: np.ndarray, rate_hz: int = 8000) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate_hz / len(samples)


async def test_both_directions_byte_for_byte() -> None:
    async with bench() as on:
        caller = await on.talking()
        await caller.speak([frame(level) for level in range(1, 21)])
        await until(lambda: len(on.platform.audio) >= 20 * 320)
        heard_by_platform = bytes(on.platform.audio)
        for level in range(1, 21):
            assert pcm(level) in heard_by_platform
        await on.platform.say(b"".join(pcm(level) for level in range(41, 51)))
        wanted = b"".join(frame(level) for level in range(41, 51))
        await until(lambda: wanted in caller.audio())


async def test_the_stream_to_the_caller_is_continuous_and_never_jumps() -> None:
    async with bench() as on:
        caller = await on.talking()
        await until(lambda: len(caller.heard) >= 5)
        await on.platform.say(pcm(9) * 3)
        await until(lambda: len(caller.heard) >= 30)
        steps = [
            (rtp.seq_diff(b.sequence, a.sequence), rtp.ts_diff(b.timestamp, a.timestamp), b.marker)
            for a, b in zip(caller.heard, caller.heard[1:], strict=False)
        ]
        assert set(steps) == {(1, 160, False)}
        assert caller.heard[0].marker
        assert {packet.ssrc for packet in caller.heard} == {caller.heard[0].ssrc}
        assert {len(packet.payload) for packet in caller.heard} == {160}


@pytest.mark.parametrize(
    ("codec", "encoding", "rate_hz"),
    [("PCMU", "mulaw", 8000), ("PCMA", "mulaw", 8000), ("PCMA", "s16le", 8000), ("PCMU", "s16le", 16000)],
)
async def test_every_format_carries_the_tone_it_was_given(codec: str, encoding: str, rate_hz: int) -> None:
    """The caller sings 440 Hz, the platform 900 Hz; each must hear the other's."""
    async with bench() as on:
        caller = await on.talking(codec, encoding, rate_hz=rate_hz)
        row = CODECS[codec]
        song = row.encode(tone(440, 0.6))
        agent = tone(900, 0.6, rate_hz)
        await on.platform.say(PCMU.encode(agent) if encoding == "mulaw" else agent.astype("<i2").tobytes())
        await caller.speak([song[at : at + 160] for at in range(0, len(song), 160)])
        await until(lambda: len(caller.audio()) >= 160 * 40)
        up = bytes(on.platform.audio)
        heard = PCMU.decode(up) if encoding == "mulaw" else np.frombuffer(up[: len(up) // 2 * 2], np.int16)
        assert loudest_hz(heard[rate_hz // 5 :], rate_hz) == pytest.approx(440, abs=5)
        down = row.decode(caller.audio())
        assert loudest_hz(down[800:4000]) == pytest.approx(900, abs=5)


async def test_silence_goes_up_when_the_caller_says_nothing() -> None:
    async with bench() as on:
        await on.talking()
        await until(lambda: len(on.platform.audio) >= 16000 // 4)
        assert set(np.frombuffer(bytes(on.platform.audio), np.int16)) == {0}
        report = await on.control.close()
        assert report.far.filled_ms == report.far.sent_ms > 0


async def test_lost_packets_leave_a_hole_of_their_own_length() -> None:
    async with bench() as on:
        caller = await on.talking()
        for number in range(30):
            if number in (10, 11):
                caller.sequence, caller.timestamp = (
                    (caller.sequence + 2) & 0xFFFF,
                    (caller.timestamp + 320) & 0xFFFFFFFF,
                )
                await asyncio.sleep(0.04)
                continue
            caller.send(frame(50 + number))
            await asyncio.sleep(0.02)
        await until(lambda: pcm(79) in bytes(on.platform.audio))
        report = await on.control.close()
        assert report.near.lost == 4
        assert report.near.expected == report.near.received + 4
        # The first packet after the hole is faded in, the second is as it was.
        before, after = bytes(on.platform.audio).index(pcm(59)), bytes(on.platform.audio).index(pcm(63))
        hole_ms = (after - before) / 16 - 40
        assert 40 <= hole_ms <= 100


async def test_barge_in_is_silence_with_the_next_packet() -> None:
    async with bench() as on:
        caller = await on.talking(sends_ahead=True)
        await on.platform.say(pcm(33) * 200)
        await until(lambda: frame(33) in caller.audio())
        await on.platform.say("clear")
        moment = await on.control.moment("flush")
        assert moment.data["dropped_ms"] > 3000
        cleared = len(caller.heard)
        await until(lambda: len(caller.heard) >= cleared + 10)
        assert caller.heard[-1].payload == frame(0xFF)
        after = [packet.payload == frame(33) for packet in caller.heard[cleared:]]
        assert sum(after) <= 1, "one frame may have been on its way when the flush came"
        await on.platform.say(pcm(44))
        await until(lambda: frame(44) in caller.audio())
        report = await on.control.close()
        assert report.barge_in_ms.count == 1
        assert report.far.flushed_ms == moment.data["dropped_ms"]


async def test_flush_with_nothing_queued_is_harmless() -> None:
    async with bench() as on:
        caller = await on.talking()
        await on.platform.say("clear")
        assert (await on.control.moment("flush")).data == {"dropped_ms": 0}
        await on.platform.say(pcm(44))
        await until(lambda: frame(44) in caller.audio())


async def test_last_words_are_played_before_the_end_is_told() -> None:
    async with bench() as on:
        caller = await on.talking(sends_ahead=True)
        await on.platform.say(b"".join(pcm(level) for level in range(1, 26)))
        await on.platform.say("bye")
        ended = await on.control.next(wire.FarEnded)
        assert (ended.by, ended.reason) == ("platform", "said bye")
        await until(lambda: frame(25) in caller.audio())
        assert b"".join(frame(level) for level in range(1, 26)) in caller.audio()


async def test_last_words_end_at_the_drain_limit() -> None:
    async with bench(drain_ms=100) as on:
        caller = await on.talking(sends_ahead=True)
        await on.platform.say(pcm(7) * 500)
        await on.platform.say("bye")
        await on.control.next(wire.FarEnded)
        assert caller.audio().count(frame(7)) < 100


async def test_the_platform_is_told_goodbye_and_closed_when_the_call_is() -> None:
    async with bench() as on:
        await on.talking()
        await on.control.close()
        await asyncio.wait_for(on.platform.gone.wait(), 5)
        assert on.platform.words == ["hello", "goodbye"]
        assert on.platform.socket is not None
        assert on.platform.socket.close_code == 1000


async def test_a_socket_that_drops_ends_the_call_as_an_error() -> None:
    async with bench() as on:
        await on.talking()
        assert on.platform.socket is not None
        on.platform.socket.transport.abort()
        ended = await on.control.next(wire.FarEnded)
        assert (ended.by, ended.reason) == ("error", "connection lost")


@pytest.mark.parametrize(("code", "by"), [(1000, "platform"), (1011, "error"), (4001, "error")])
async def test_a_socket_closed_by_the_platform(code: int, by: str) -> None:
    async with bench() as on:
        await on.talking()
        assert on.platform.socket is not None
        await on.platform.socket.close(code)
        assert (await on.control.next(wire.FarEnded)).by == by


async def test_text_where_audio_is_due_and_odd_bytes_are_counted_not_fatal() -> None:
    async with bench() as on:
        caller = await on.talking()
        await on.platform.say("{nonsense")
        assert (await on.control.moment("trouble")).text == "unknown word of 9 characters"
        await on.platform.say(pcm(21)[:-1])
        await on.platform.say(pcm(21)[-1:] + pcm(22))
        await until(lambda: frame(21) + frame(22) in caller.audio())
        assert (await on.control.close()).far.trouble == 1


async def test_digits_by_rtp_and_by_info_reach_the_platform() -> None:
    async with bench() as on:
        caller = await on.talking()
        caller.send(frame(1))
        event = bytes([5, 0x8A, 0x03, 0x20])
        for _ in range(3):
            caller.send_raw(rtp.serialize(101, caller.sequence, caller.timestamp, caller.ssrc, event))
            caller.sequence = (caller.sequence + 1) & 0xFFFF
        heard = await on.control.next(wire.DigitHeard)
        assert (heard.digit, heard.duration_ms) == ("5", 100)
        await on.control.send(wire.Digit(call="c1", digit="#"))
        await until(lambda: on.platform.words == ["hello", "key 5", "key #"])
        await on.control.close()
        # Who hears of the key by DigitHeard notes it, with its length and way: it stood twice among the moments.
        assert [one.moment.kind for one in on.control.seen if isinstance(one, wire.FarEvent)].count("digit") == 0


async def test_a_third_party_is_neither_heard_nor_answered() -> None:
    async with bench() as on:
        caller = await on.talking()
        await caller.speak([frame(3)] * 5)
        intruder = on.caller(caller.target)
        await intruder.speak([frame(66)] * 5)
        await caller.speak([frame(4)] * 5)
        await until(lambda: pcm(4) in bytes(on.platform.audio))
        report = await on.control.close()
        assert report.near.wrong_source == 5
        assert pcm(66)[:2] not in {bytes(on.platform.audio)[at : at + 2] for at in range(0, len(on.platform.audio), 2)}
        assert intruder.heard == []


async def test_a_caller_behind_nat_is_answered_where_he_really_is() -> None:
    async with bench() as on:
        target = await on.control.open()
        caller, wrong = on.caller(target), on.caller(target)
        await on.control.send(wire.ConnectFar(call="c1", far=on.platform.spec()))
        await on.control.next(wire.FarReady)
        await on.control.send(wire.StartNear(call="c1", near=wrong.near()))
        await until(lambda: wrong.heard)
        await caller.speak([frame(3)] * 5)
        await until(lambda: len(caller.heard) > 5)


async def test_garbage_on_the_rtp_port_changes_nothing() -> None:
    async with bench() as on:
        caller = await on.talking()
        rng = np.random.default_rng(7)
        for length in range(64):
            caller.send_raw(rng.bytes(length))
        caller.send(b"")
        caller.send(frame(1)[:137])
        caller.send(frame(2), payload_type=3)
        caller.send(frame(5))
        await until(lambda: pcm(5) in bytes(on.platform.audio))
        report = await on.control.close()
        assert report.near.malformed > 40
        assert report.near.wrong_payload_type >= 1


async def _hold(on: Bench, caller: Caller, *, receives: bool, sends: bool) -> None:
    await on.control.send(
        wire.StartNear(call="c1", near=caller.near(receives=receives, sends=sends, dtmf_payload_type=101))
    )


async def test_hold_stops_the_stream_and_resume_continues_it() -> None:
    async with bench() as on:
        caller = await on.talking()
        await until(lambda: len(caller.heard) >= 5)
        await _hold(on, caller, receives=False, sends=True)
        await asyncio.sleep(0.06)
        held, up = len(caller.heard), len(on.platform.audio)
        await until(lambda: len(on.platform.audio) >= up + 16 * 200)
        assert len(caller.heard) == held, "nothing is sent to a caller who has us on hold"
        await _hold(on, caller, receives=True, sends=True)
        await until(lambda: len(caller.heard) >= held + 5)
        before, after = caller.heard[held - 1], caller.heard[held]
        assert rtp.seq_diff(after.sequence, before.sequence) == 1
        gap = rtp.ts_diff(after.timestamp, before.timestamp)
        assert gap % 160 == 0
        assert gap > 160
        assert after.marker


async def test_address_and_codec_change_in_mid_call() -> None:
    async with bench() as on:
        caller = await on.talking()
        await caller.speak([frame(3)] * 3)
        moved = on.caller(caller.target, payload_type=8)
        moved.sequence = caller.sequence
        await on.control.send(wire.StartNear(call="c1", near=moved.near("PCMA")))
        await until(lambda: moved.heard)
        last, first = caller.heard[-1], moved.heard[0]
        assert (first.ssrc, rtp.seq_diff(first.sequence, last.sequence), first.payload_type) == (last.ssrc, 1, 8)
        loud = CODECS["PCMA"].encode(np.full(160, 5000, np.int16))
        await moved.speak([loud] * 3)
        expected = CODECS["PCMA"].decode(loud).tobytes()
        await until(lambda: expected in bytes(on.platform.audio))
        await on.platform.say(expected)
        await until(lambda: loud in moved.audio())


async def test_a_caller_who_falls_silent_is_told_once() -> None:
    async with bench(quiet_after_ms=100) as on:
        caller = await on.talking()
        await caller.speak([frame(3)] * 3)
        assert (await on.control.next(wire.NearQuiet)).silent_ms >= 100
        await caller.speak([frame(3)] * 3)
        assert (await on.control.next(wire.NearQuiet)).silent_ms >= 100
        assert sum(isinstance(event, wire.NearQuiet) for event in on.control.seen) == 2


async def test_recording_has_the_caller_left_and_the_agent_right(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "call.wav"
    async with bench() as on:
        target = await on.control.open(recording=str(path))
        caller = on.caller(target)
        await on.control.send(wire.ConnectFar(call="c1", far=on.platform.spec(sends_ahead=True)))
        await on.control.next(wire.FarReady)
        await on.control.send(wire.StartNear(call="c1", near=caller.near()))
        await on.platform.say(tone(900, 0.5).tobytes())
        song = PCMU.encode(tone(440, 0.5))
        await caller.speak([song[at : at + 160] for at in range(0, len(song), 160)])
        report = await on.control.close()
        assert report.recording == str(path)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8000, 2)
        both = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
    assert loudest_hz(both[:, 0]) == pytest.approx(440, abs=5)
    assert loudest_hz(both[:, 1]) == pytest.approx(900, abs=5)


async def test_a_recording_that_cannot_be_written_costs_the_call_nothing() -> None:
    async with bench() as on:
        target = await on.control.open(recording="/proc/no-such-place/call.wav")
        caller = on.caller(target)
        await on.control.send(wire.ConnectFar(call="c1", far=on.platform.spec()))
        await on.control.next(wire.FarReady)
        await on.control.send(wire.StartNear(call="c1", near=caller.near()))
        await caller.speak([frame(3)] * 60)
        assert pcm(3) in bytes(on.platform.audio)
        report = await on.control.close()
        assert report.recording == ""
        assert report.recording_failed.startswith("FileNotFoundError: ")


async def test_the_far_end_can_be_replaced_under_a_running_stream() -> None:
    """The seam that failover will use: the caller's RTP must not notice."""
    async with bench() as on, bench() as other:
        caller = await on.talking()
        await on.platform.say(pcm(11))
        await until(lambda: frame(11) in caller.audio())
        await on.control.send(wire.ConnectFar(call="c1", far=other.platform.spec()))
        await on.control.next(wire.FarReady)
        await other.platform.say(pcm(12))
        await until(lambda: frame(12) in caller.audio())
        await asyncio.wait_for(on.platform.gone.wait(), 5)
        steps = {
            (rtp.seq_diff(b.sequence, a.sequence), rtp.ts_diff(b.timestamp, a.timestamp))
            for a, b in zip(caller.heard, caller.heard[1:], strict=False)
        }
        assert steps == {(1, 160)}
        assert not any(isinstance(event, wire.FarEnded) for event in on.control.seen)


async def test_latency_is_measured_both_ways() -> None:
    async with bench() as on:
        on.platform.echoes = True
        caller = await on.talking()
        await caller.speak([frame(level % 100 + 1) for level in range(150)])
        report = await on.control.close()
        assert report.up_ms.count == report.near.received == 150
        assert report.near.lost == 0
        assert report.down_ms.count > 100
        assert report.down_ms.p50 <= report.queued_ms.max
        assert report.far.flushed_ms == 0
