"""One call without sockets for the caller or a platform: what media.call does with its parts, by hand and on a
simulated clock, with the compiled packet step or without.
"""

from __future__ import annotations

import socket
from typing import Any

from media import rtp
from media.beat import Beat
from media.clock import Bell
from media.codecs import CODECS
from media.near import Address, NearEnd
from media.playout import Playout
from media.step import COMPILED
from media.summary import Tally
from media.transcode import transcoder
from media.wire import NearSpec

START = 1000.0


class HandAlarm:
    """Rings when the test says so."""

    def __init__(self) -> None:
        self.bell: Bell | None = None

    def add(self, at: float, function: Any) -> Bell:
        self.bell = Bell(at, 1, function)
        return self.bell

    def sooner(self, bell: Bell, at: float) -> None:
        bell.at = at

    def remove(self, bell: Bell) -> None:
        self.bell = None


class StepCall:
    """`passed` counts the packets, both ways, that took the short way."""

    def __init__(self, spec: NearSpec, encoding: str, near: NearEnd, *, compiled: bool, sends_ahead: bool) -> None:
        self.near = near
        self.tally = Tally()
        self.alarm = HandAlarm()
        self.sends_ahead = sends_ahead
        self.playout = Playout(near.codec, spec.ptime_ms, sends_ahead=sends_ahead)
        self.beat = Beat(self.alarm, self.playout, self._tick, self.tally.late.add)  # type: ignore[arg-type]
        self.encoding = encoding
        self.is_paused = False
        self.up: list[bytes] = []
        self.taped: list[bytes] = []
        self.attended: list[float] = []
        self.passed = [0, 0]
        self.ticked = 0
        self._ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._theirs = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for sock in (self._ours, self._theirs):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        self.caller_at: Address = self._theirs.getsockname()
        self.step: Any = None
        if compiled:
            assert COMPILED is not None
            self.step = COMPILED(
                self._ours.fileno(),
                near,
                self.tally,
                self._not_called,
                self._not_called,
                self._attend,
                self._not_called,
            )
        self.agree(spec, START)
        near.uplink.start(START)

    @property
    def direct(self) -> Any:
        """This is its own far end."""
        return None if self.is_paused else self.up.append

    def agree(self, spec: NearSpec, now: float) -> None:
        """The SDP, for the first time or anew."""
        self.near.start(spec, now)
        self.transcoder = transcoder(self.near.codec, self.encoding, 8000)
        self.playout = self.playout.successor(self.near.codec, spec.ptime_ms, sends_ahead=self.sends_ahead)
        self.beat.use(self.playout, spec.ptime_ms, now)
        if self.step is not None:
            step = self.step
            step.far, step.tap, step.playout = self, self.taped.append, self.playout
            step.pacer, step.bell = self.beat.hands
            step.up_table, step.down_table = self.transcoder.tables or (None, None)
            step.attend_at = float("inf")

    def receive(self, data: bytes, source: Address, now: float) -> None:
        if self.step is not None and self.step.offer_up(data, source, now):
            self.passed[0] += 1
            return
        self._send_up(self.near.receive(data, source, now))

    def hear(self, data: bytes, now: float) -> None:
        """Agent's voice."""
        if self.step is not None and self.step.offer_down(data, now):
            self.passed[1] += 1
            return
        self.tally.down_bytes += len(data)
        if not len(data) % self.transcoder.down_sample_bytes:
            self.playout.push(self.transcoder.down(data), now)
            self.beat.hasten(now)

    def rings_at(self) -> float:
        assert self.alarm.bell is not None
        return self.alarm.bell.at

    def ring(self, now: float) -> None:
        bell = self.alarm.bell
        assert bell is not None
        bell.at = bell.function(now) or 0.0

    def sent(self) -> list[bytes]:
        """What has come at the caller's since it was last asked."""
        packets = []
        while True:
            try:
                packets.append(self._theirs.recv(4096))
            except BlockingIOError:
                return packets

    def state(self) -> dict[str, object]:
        """Every slot of every object that both ways share."""
        near, playout = self.near, self.playout
        parts: dict[str, object] = {
            "near": near,
            "reception": near.reception,
            "uplink": near.uplink,
            "mender": near.mender,
            "turns": near.turns,
            "tally": self.tally,
            "playout": playout,
            "farewell": playout._mender,
            "pacer": self.beat.hands[0],
            "bell": self.beat.hands[1],
        }
        plain = (int, float, bytes, str, bool, type(None))
        found: dict[str, object] = {}
        for name, part in parts.items():
            for slot in type(part).__slots__:  # type: ignore[attr-defined]
                value = getattr(part, slot)
                if isinstance(value, plain):
                    found[f"{name}.{slot}"] = value
        found["up_ms"], found["down_ms"] = self.tally.up.counts(), playout.down.counts()
        found["turns"] = near.turns.latency.counts()
        return found

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()

    def _send_up(self, audio: bytes | None) -> None:
        if audio:
            self.taped.append(audio)
            self.tally.up_bytes += len(audio)
            if not self.is_paused:
                self.up.append(self.transcoder.up(audio))

    def _tick(self, frames: int, skipped: int, early: float, now: float) -> None:
        if self.step is not None and frames == 1 and not skipped and self.step.tick(now, early):
            self.ticked += 1
            return
        for packet in self.near.tick(frames, skipped, self.playout, now, early):
            self._ours.sendto(packet, self.near.peer)
        self._attend(now)

    def _attend(self, now: float) -> None:
        self.attended.append(now)
        self._send_up(self.near.overdue(now))
        self._send_up(self.near.filler(now))

    def _not_called(self, *unexpected: object) -> None:
        raise AssertionError(f"called with {unexpected}")


def caller_packet(sequence: int, timestamp: int, payload: bytes, **changes: int) -> bytes:
    fields = {"payload_type": 0, "ssrc": 0xCAFE, **changes}
    return rtp.serialize(
        fields["payload_type"],
        sequence & 0xFFFF,
        timestamp & 0xFFFFFFFF,
        fields["ssrc"],
        payload,
        bool(fields.get("mark")),
    )


PCMU, PCMA = CODECS["PCMU"], CODECS["PCMA"]
