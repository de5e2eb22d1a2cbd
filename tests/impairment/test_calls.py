"""Whole calls over bad lines: real RTP and WebSocket sockets, a worker, and ears at both ends.

The same faults as in tests/media/test_path*.py, where the clock is simulated and everything is exact. Here the machine
adds its own delays, so nothing is said of absolute times: order, continuity, and delays before against delays after.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np
import pytest
from msgspec.structs import replace

from media import rtp, wire
from media.codecs import CODECS, Codec
from media.conceal import SILENT_MS
from media.reorder import WIDEST_S
from tests.helpers.audio import Samples
from tests.helpers.badline import BadLine
from tests.helpers.ruler import Readings, read, rising
from tests.helpers.wire import Faults, Line, Stall
from tests.helpers.workerbench import Bench, Caller, bench, until

CLEAN = Faults()
TYPES = {"PCMU": 0, "G722": 9}
MACHINE_MS = 25
"What a busy machine may add: a tick and some."


@dataclass
class Talk:
    """A call that stands, over a bad line."""

    on: Bench
    line: BadLine
    caller: Caller
    codec: Codec

    async def sing(self, sound: Samples) -> None:
        """The caller speaks, a packet every 20 ms."""
        encoder = self.codec.encoder() if self.codec.encoder else None
        line, size = self.codec.encode(sound), self.codec.frame_bytes(20)
        frames = [line[at : at + size] for at in range(0, len(line) - size + 1, size)]
        await self.caller.speak([encoder.encode(frame) if encoder else frame for frame in frames])

    async def answer(self, sound: Samples, faults: Faults = CLEAN) -> None:
        """The platform speaks in real time, over a TCP connection that stalls."""
        way, size = Line(faults), self.codec.line_rate_hz // 50
        began = time.monotonic()
        for number, at in enumerate(range(0, len(sound), size)):
            (arrives,) = way.arrivals(began + number * 0.02)
            await asyncio.sleep(max(0.0, arrives - time.monotonic()))
            await self.on.platform.say(sound[at : at + size].tobytes())

    async def close(self) -> wire.CallReport:
        """Hang up when everything on the line has arrived."""
        await asyncio.sleep(0.15)
        return await self.on.control.close()

    def up(self) -> Readings:
        """What the platform heard."""
        whole = len(self.on.platform.audio) // 2 * 2
        return read(np.frombuffer(bytes(self.on.platform.audio[:whole]), np.int16), self.codec.line_rate_hz)

    def down(self) -> Readings:
        return read(self.heard(), self.codec.line_rate_hz)

    def heard(self) -> Samples:
        """What the caller heard, every packet in the place that its timestamp says; nothing where none came."""
        packets = sorted(self.caller.heard, key=lambda packet: rtp.ts_diff(packet.timestamp, self.first.timestamp))
        per_unit = self.codec.line_rate_hz // self.codec.clock_rate_hz
        last = rtp.ts_diff(packets[-1].timestamp, packets[0].timestamp)
        sound = np.zeros((last + 160) * per_unit, np.int16)
        decoder = self.codec.decoder() if self.codec.decoder else None
        for packet in packets:
            payload = decoder.decode(packet.payload) if decoder else packet.payload
            at = rtp.ts_diff(packet.timestamp, packets[0].timestamp) * per_unit
            sound[at : at + 160 * per_unit] = self.codec.decode(payload)
        return sound

    @property
    def first(self) -> rtp.Packet:
        return self.caller.heard[0]


@contextlib.asynccontextmanager
async def talk(
    codec: str = "PCMU", *, up: Faults = CLEAN, down: Faults = CLEAN, sends_ahead: bool = False, echoes: bool = False
) -> AsyncIterator[Talk]:
    async with bench() as on:
        on.platform.echoes = echoes
        target = await on.control.open()
        line = BadLine(target, up, down)
        caller = on.caller(line.caller_side, TYPES[codec])
        line.ends_at(caller.address)
        row = CODECS[codec]
        spec = on.platform.spec(rate_hz=row.line_rate_hz, sends_ahead=sends_ahead)
        await on.control.send(wire.ConnectFar(call="c1", far=spec))
        await on.control.next(wire.FarReady)
        host, port = line.worker_side
        await on.control.send(wire.StartNear(call="c1", near=caller.near(codec, host=host, port=port)))
        await until(lambda: caller.heard and len(on.platform.audio) >= row.line_rate_hz // 5 * 2)
        try:
            yield Talk(on, line, caller, row)
        finally:
            line.close()


def counted(report: wire.NearReport) -> wire.NearReport:
    """What is counted, without what is measured: that depends on the machine."""
    measured = ("jitter_ms", "max_gap_ms", "ticks_late", "ticks_skipped", "mos_up", "mos_down")
    return replace(report, **dict.fromkeys(measured, 0))


def is_balanced(report: wire.CallReport, packets: int) -> bool:
    """Has every packet that came gone up, but for what is counted as dropped or late?"""
    heard_ms = report.far.sent_ms - report.far.filled_ms + report.far.ahead_dropped_ms
    late_ms = report.near.late * 20
    return packets * 20 - late_ms - 2 <= heard_ms <= packets * 20 + 2


def first_s(heard: Readings) -> float:
    """When the tone begins."""
    return float(heard.at_s[np.flatnonzero(~np.isnan(heard.original_s))[0]])


@pytest.mark.parametrize("codec", ["PCMU", "G722"])
async def test_loss_doubles_and_swaps_both_ways(codec: str) -> None:
    bad_up = Faults(loss=0.04, doubled=0.1, swapped=0.05, seed=7)
    bad_down = Faults(loss=0.03, doubled=0.1, seed=5)
    async with talk(codec, up=bad_up, down=bad_down, echoes=True) as call:
        await call.sing(rising(3.0, call.codec.line_rate_hz))
        report = await call.close()
        up, lost = call.line.up, call.line.up.lost
        assert up.lost > 3 < up.swapped
        assert counted(report.near) == wire.NearReport(
            received=150 - lost,
            expected=150,
            lost=lost,
            late=report.near.late,
            duplicate=up.doubled,
            sent=report.near.sent,
        )
        assert report.near.sent >= call.line.down.sent
        assert report.near.sent - call.line.down.sent <= 1  # the last one was still on its way
        assert 0 < report.near.late <= up.swapped
        assert is_balanced(report, 150 - lost)
        assert report.far.concealed_ms >= lost * 20
        heard = call.up().first(2.9)
        assert heard.off_ms() <= 3 * 20 + 45 + MACHINE_MS  # holes that lie close together
        assert heard.silent_ms() == 0
        # What is lost on the way down is nobody's to conceal but the caller's; the rest stands in its place.
        echoed = call.down()
        grown_ms = echoed.delay_ms(2.5, 3.0) - echoed.delay_ms(0.5, 1.0)
        assert abs(grown_ms) <= WIDEST_S * 1000 + 20 + MACHINE_MS  # the reorder window is jitter to the way back


@pytest.mark.parametrize("faults", [Faults(jitter_s=0.06), Faults(jitter_s=0.03, overtakes=True)], ids=str)
async def test_jitter_up_is_not_heard(faults: Faults) -> None:
    async with talk(up=faults) as call:
        await call.sing(rising(3.0))
        report = await call.close()
        assert counted(report.near) == wire.NearReport(
            received=150, expected=150, late=report.near.late, sent=report.near.sent
        )
        assert is_balanced(report, 150)
        heard = call.up().first(2.9)  # he ends, and is concealed
        assert heard.silent_ms() == 0
        assert heard.off_ms() <= (20 + 35 if faults.overtakes else 15) + MACHINE_MS
        assert (report.near.late > 0) == faults.overtakes


async def test_a_stall_of_the_caller_is_a_pause_and_then_he_is_in_time_again() -> None:
    async with talk(up=Faults(stalls=(Stall(at_s=1.0, lasts_s=0.5),))) as call:
        await call.sing(rising(3.5))
        report = await call.close()
        assert counted(report.near) == wire.NearReport(received=175, expected=175, sent=report.near.sent)
        assert is_balanced(report, 175)
        far = report.far
        assert far == wire.FarReport(
            sent_ms=far.sent_ms,
            filled_ms=far.filled_ms,
            concealed_ms=far.concealed_ms,
            ahead_dropped_ms=far.ahead_dropped_ms,
        )
        assert 500 - 60 <= far.ahead_dropped_ms <= 500 + 20
        heard = call.up()
        began = first_s(heard)
        before_ms, after_ms = heard.delay_ms(began + 0.2, began + 0.9), heard.delay_ms(began + 2.6, began + 3.4)
        assert after_ms == pytest.approx(before_ms + 10, abs=10 + MACHINE_MS)
        assert heard.silent_ms() == pytest.approx(500 - SILENT_MS, abs=40)  # what was concealed fades


@pytest.mark.parametrize("codec", ["PCMU", "G722"])
async def test_a_stall_of_the_platform_is_a_pause_and_leaves_no_delay(codec: str) -> None:
    async with talk(codec) as call:
        stalls = Faults(stalls=(Stall(at_s=1.0, lasts_s=0.5),))
        await call.answer(rising(3.5, call.codec.line_rate_hz), stalls)
        report = await call.close()
        far = report.far
        assert far == wire.FarReport(
            sent_ms=far.sent_ms,
            filled_ms=far.sent_ms,
            received_ms=3500,
            played_ms=3500 - far.overflow_ms,
            overflow_ms=far.overflow_ms,
            underruns=far.underruns,
        )
        assert far.underruns >= 1
        assert far.overflow_ms == pytest.approx(500, abs=40 + MACHINE_MS)
        heard = call.down()
        began = first_s(heard)
        before_ms, after_ms = heard.delay_ms(began + 0.2, began + 0.9), heard.delay_ms(began + 2.7, began + 3.4)
        assert after_ms == pytest.approx(before_ms, abs=20 + MACHINE_MS)
        assert heard.silent_ms() == pytest.approx(500 - SILENT_MS, abs=60 + MACHINE_MS)
        steps = {rtp.ts_diff(b.timestamp, a.timestamp) for a, b in itertools.pairwise(call.caller.heard)}
        assert steps == {160}


async def test_what_is_sent_ahead_is_played_to_the_last_sample_though_it_came_in_bursts() -> None:
    async with talk(sends_ahead=True) as call:
        song = rising(2.4)
        for begin, pause_s in ((0, 0.3), (8000, 0.5), (16_000, 0.0)):
            await call.on.platform.say(song[begin : begin + 8000].tobytes())
            await asyncio.sleep(pause_s)
        wanted = call.codec.encode(song)
        await until(lambda: wanted in call.caller.audio())
        far = (await call.close()).far
        assert far == wire.FarReport(sent_ms=far.sent_ms, filled_ms=far.sent_ms, received_ms=2400, played_ms=2400)


async def test_barge_in_into_the_burst_after_a_stall_is_silence_with_the_next_packet() -> None:
    async with talk() as call:
        song = rising(1.5)
        await call.answer(song[:4000])
        await asyncio.sleep(0.3)
        await call.on.platform.say(song[4000:].tobytes())  # all at once, and before it could be drained ...
        await call.on.platform.say("clear")
        moment = await call.on.control.moment("flush")
        assert moment.data["dropped_ms"] >= 900
        cleared = len(call.caller.heard)
        await until(lambda: len(call.caller.heard) >= cleared + 20)
        loud = [not call.codec.is_quiet(packet.payload) for packet in call.caller.heard[cleared:]]
        assert sum(loud) <= 1, "one packet may have been on its way when the flush came"
        assert not any(loud[1:])
        report = await call.close()
        assert report.far.flushed_ms == moment.data["dropped_ms"]
        assert report.far.played_ms + report.far.flushed_ms + report.far.overflow_ms == report.far.received_ms == 1500


async def test_a_new_ssrc_and_a_new_address_in_mid_tone_over_a_line_with_jitter() -> None:
    async with talk(up=Faults(jitter_s=0.03)) as call:
        song = rising(3.0)
        await call.sing(song[:8000])
        call.caller.ssrc, call.caller.sequence, call.caller.timestamp = 0x9999, 100, 5_000_000
        await call.sing(song[8000:16_000])
        await asyncio.sleep(0.05)  # the last packets of the old address
        moved = BadLine(call.line._bridge, CLEAN, CLEAN)
        moved.ends_at(call.caller.address)
        host, port = moved.worker_side
        await call.on.control.send(wire.StartNear(call="c1", near=call.caller.near(host=host, port=port)))
        await until(lambda: moved.down.sent)
        call.caller.target = moved.caller_side
        await call.sing(song[16_000:])
        report = await call.close()
        moved.close()
        assert counted(report.near) == wire.NearReport(
            received=150, expected=150, ssrc_changes=1, sent=report.near.sent
        )
        assert is_balanced(report, 150)
        heard = call.up()
        began = first_s(heard)
        assert heard.delay_ms(began + 1.2, began + 1.8) == pytest.approx(
            heard.delay_ms(began + 0.2, began + 0.8), abs=20 + MACHINE_MS
        )
        assert 0 <= heard.silent_ms() <= 100  # while he moves he says nothing for 50 ms
