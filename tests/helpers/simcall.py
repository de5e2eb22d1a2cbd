"""One call on a simulated clock: what `media.call` does with sockets and timers, done with numbers.

caller ==up==> NearEnd --> transcoder --> platform          the wires may be as bad as can be
caller <------ NearEnd <-- Playout <-- transcoder <==down== platform
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from msgspec.structs import replace

from media import rtp, wire
from media.clock import Pacer
from media.codecs import CODECS, Codec
from media.near import NearEnd
from media.playout import Playout
from media.summary import Tally, far_report
from media.transcode import transcoder
from tests.helpers.audio import Samples
from tests.helpers.nearend import SDP, START
from tests.helpers.ruler import Readings, read
from tests.helpers.wire import Wire

TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9}
DYNAMIC = 96


class SimCall:
    """The bridge between two wires, and the ears at both ends."""

    def __init__(
        self,
        codec: str = "PCMU",
        *,
        up: Wire | None = None,
        down: Wire | None = None,
        rate_hz: int = 0,
        sends_ahead: bool = False,
        echoes: bool = False,
        keeps: bool = True,
        clock_offset_s: float = 0.0,
    ) -> None:
        self.codec: Codec = CODECS[codec]
        self.rate_hz = rate_hz or self.codec.line_rate_hz
        "What the platform takes and sends, as s16le."
        self.up, self.down = up or Wire(), down or Wire()
        self.echoes, self._keeps = echoes, keeps
        self.now = START
        self.caller_at = SDP
        self.near = NearEnd()
        self.spec = wire.NearSpec(host=SDP[0], port=SDP[1], codec=codec, payload_type=TYPES.get(codec, DYNAMIC))
        self.near.start(self.spec, START)
        self.near.uplink.start(START)
        self.far = wire.FarSpec(platform="sim", dialect="raw", rate_hz=self.rate_hz, sends_ahead=sends_ahead)
        self.transcoder = transcoder(self.codec, "s16le", self.rate_hz)
        self.playout = Playout(self.codec, 20, sends_ahead=sends_ahead)
        self.pacer = Pacer(START + clock_offset_s, 20)
        self._drained_ms = 0
        self.chunks: list[tuple[float, bytes]] = []
        "What the platform got, and when."
        self.packets: list[tuple[float, rtp.Packet]] = []
        "What the caller was sent, and when."
        self.depths: list[tuple[float, int]] = []
        "Frames waiting for the caller after each tick."
        self.tally = Tally()
        self.most_ahead_ms = self.most_behind_ms = 0.0

    # --- both ends speak --------------------------------------------------------------------------------------------

    def caller_says(
        self,
        sound: Samples,
        *,
        at_s: float = 0.0,
        sequence: int = 1,
        timestamp: int = 0,
        ssrc: int = 7,
        clock: float = 1.0,
    ) -> None:
        """In packets of 20 ms, each sent when its last sample has been spoken. `clock` above 1 runs fast."""
        codec = self.codec
        encoder = codec.encoder() if codec.encoder else None
        line, size, step = codec.encode(sound), codec.frame_bytes(20), codec.clock_rate_hz // 50
        for number in range(len(line) // size):
            payload = line[number * size : (number + 1) * size]
            data = rtp.serialize(
                self.spec.payload_type,
                (sequence + number) & 0xFFFF,
                (timestamp + number * step) & 0xFFFFFFFF,
                ssrc,
                encoder.encode(payload) if encoder else payload,
            )
            self.up.send(data, START + at_s + (number + 1) * 0.02 / clock)

    def platform_says(
        self, sound: Samples, *, at_s: float = 0.0, message_ms: int = 20, ahead: bool = False, clock: float = 1.0
    ) -> None:
        """In messages of this length, in real time or all at once."""
        size = self.rate_hz * message_ms // 1000
        for number, begin in enumerate(range(0, len(sound), size)):
            at = START + at_s + (0.0 if ahead else (number + 1) * message_ms / 1000 / clock)
            self.down.send(sound[begin : begin + size].tobytes(), at)

    def barge_in(self) -> int:
        """What the call does for a platform's flush."""
        self.transcoder.reset()
        return self.playout.flush(self.now)

    def agree(self, **changes: object) -> None:
        """A re-INVITE."""
        self.spec = replace(self.spec, **changes)
        self.near.start(self.spec, self.now)

    def moves_to(self, address: tuple[str, int]) -> None:
        """The caller's stream comes from elsewhere from now on, and a re-INVITE says so."""
        self.caller_at = address
        self.agree(host=address[0], port=address[1])

    # --- time passes ------------------------------------------------------------------------------------------------

    def run(self, until_s: float) -> SimCall:
        """Everything that happens up to this second of the call, in its order."""
        until = START + until_s
        while True:
            tick_at = max(self.now, self.pacer.tick_at(self.playout.is_waiting))  # a frame may come while it is open
            at, step = min((self.up.next_at, 0), (self.down.next_at, 1), (tick_at, 2))
            if at > until:
                self.now = until
                return self
            self.now = at
            (self._from_caller, self._from_platform, self._tick)[step]()

    def _from_caller(self) -> None:
        for data, at in self.up.arrivals(self.now):
            self._send_up(self.near.receive(data, self.caller_at, at))

    def _from_platform(self) -> None:
        for data, at in self.down.arrivals(self.now):
            self.tally.down_bytes += len(data)
            self.playout.push(self.transcoder.down(data), at)

    def _tick(self) -> None:
        now, pacer, playout = self.now, self.pacer, self.playout
        early = max(0.0, pacer.due_at - now)
        frames, skipped = pacer.due(max(now, pacer.due_at))
        for data in self.near.tick(frames, skipped, playout, now, early):
            if self._keeps:
                self.packets.append((now, rtp.parse(data)))
        if playout.drained_ms != self._drained_ms:
            self._drained_ms = playout.drained_ms
            pacer.forget()
        elif playout.waited >= 0:
            pacer.align(playout.waited)
        self._send_up(self.near.overdue(now))
        self._send_up(self.near.filler(now))
        if self._keeps:
            self.depths.append((now - START, len(playout)))

    def _send_up(self, line: bytes | None) -> None:
        behind_ms = self.near.uplink.behind(self.now) * 1000 / self.codec.clock_rate_hz
        self.most_behind_ms = max(self.most_behind_ms, behind_ms)
        self.most_ahead_ms = max(self.most_ahead_ms, -behind_ms)
        if not line:
            return
        self.tally.up_bytes += len(line)
        data = self.transcoder.up(line)
        if self._keeps:
            self.chunks.append((self.now - START, data))
        if self.echoes:
            self.down.send(data, self.now)

    # --- ears -------------------------------------------------------------------------------------------------------

    def heard_by_platform(self) -> Samples:
        return np.frombuffer(b"".join(data for _, data in self.chunks), np.int16)

    def heard_by_caller(self) -> Samples:
        """By the timestamps: what was not sent is silent, as it is for the caller."""
        decoder = self.codec.decoder() if self.codec.decoder else None
        first = self.packets[0][1].timestamp
        per_unit = self.codec.line_rate_hz / self.codec.clock_rate_hz
        parts: list[Samples] = []
        length = 0
        for _, packet in self.packets:
            payload = decoder.decode(packet.payload) if decoder else packet.payload
            due = round(rtp.ts_diff(packet.timestamp, first) * per_unit)
            parts += [np.zeros(due - length, np.int16), self.codec.decode(payload)]
            length = due + len(parts[-1])
        return np.concatenate(parts)

    def up_readings(self) -> Readings:
        """Of a rising tone that the caller sang."""
        return read(self.heard_by_platform(), self.rate_hz)

    def down_readings(self) -> Readings:
        return read(self.heard_by_caller(), self.codec.line_rate_hz)

    def is_one_stream(self) -> bool:
        """Do sequence numbers and timestamps of what the caller was sent run on without a jump?"""
        steps = {
            (rtp.seq_diff(b.sequence, a.sequence), rtp.ts_diff(b.timestamp, a.timestamp))
            for (_, a), (_, b) in itertools.pairwise(self.packets)
        }
        return steps == {(1, self.codec.clock_rate_hz // 50)}

    def leads_ms(self) -> Iterator[tuple[float, float]]:
        """After each message to the platform: when, and how much more than real time asks for it has got."""
        got = 0
        for at, data in self.chunks:
            got += len(data)
            yield at, got / 2 / self.rate_hz * 1000 - at * 1000

    @property
    def sent_up_ms(self) -> float:
        return self.tally.up_bytes / self.codec.frame_bytes(1)

    def reports(self) -> tuple[wire.NearReport, wire.FarReport]:
        """The figures of both ends. What no two wires have in common (jitter, longest gap) is left out."""
        near = replace(self.near.report(0), jitter_ms=0.0, max_gap_ms=0.0)
        far = far_report(self.near, self.playout, self.far, self.tally, 0.0)
        return near, far
