"""One call under the microscope: every frame is marked, so that the delay is known fifty times a second.

The probe stands at the mouth of a caller. Between it and the bridge lies a line of its own (`--line`, a Stretch): a
frame is spoken on the 20 ms grid and handed to the network when it is through that line, or never. `--stall 3:500`
makes that line hold everything back for 500 ms, three seconds into the measured time, and then let it out at once.

The way back has no line: nothing reacts to when the probe hears something, so it is added in the evaluation.

    python -m bridge.bench.probe --target 127.0.0.1:5060 --seconds 20 --line '{"one_way_ms": 15, "jitter_ms": 5}'

Standard output carries JSON lines: `Measuring`, `Measured`, `Probed` of bridge.bench.results.
"""

from __future__ import annotations

import argparse
import gc
import random
import select
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass

import msgspec

from bridge.bench.figures import figures
from bridge.bench.line import Line, Stretch
from bridge.bench.marks import CALLS, FRAME_SAMPLES, INDEXES, SAMPLES_PER_MS, SILENCE, find, mark, vote
from bridge.bench.results import Came, Measured, Measuring, Probed, Spoken, Stall
from bridge.bench.siptext import NotSip, parse
from bridge.bench.sockets import Address, address, arrived, rtp_socket, send_all, udp_socket
from bridge.bench.uac import OVER, State, Uac

FRAME_S = 0.02
NUMBERS = CALLS * INDEXES
"So many frames can be told apart: five and a half minutes."
LOOK_S = 0.1
"Between two looks into the RTP socket; the kernel has stamped what waits there."
NO_LINE = Stretch()
_HEADER = struct.Struct("!BBHII")
_RTP_HEADER_BYTES = 12


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run of the probe."""

    target: Address
    seconds: float
    stretch: Stretch = NO_LINE
    stalls: tuple[tuple[float, int], ...] = ()
    "(seconds into the measured time, ms)"
    settle_s: float = 2.0
    "From the answer to the measured time; the bridge slides its grid meanwhile."
    tail_s: float = 2.0
    "After the measured time frames go on, and what was spoken in it may still come back."


class Mouth:
    """The packets of the call. Frame n says its number: the marks' call digits carry what is above the index."""

    def __init__(self, dice: random.Random) -> None:
        self._ssrc, self._sequence, self._timestamp = dice.getrandbits(32), dice.getrandbits(16), dice.getrandbits(32)
        self.number = 0

    def packet(self) -> bytes:
        number = self.number % NUMBERS
        marker = 0 if self.number else 0x80
        header = _HEADER.pack(0x80, marker, self._sequence, self._timestamp, self._ssrc)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        self.number += 1
        return header + mark(number // INDEXES, number % INDEXES)


class Ear:
    """Reads what comes back: RTP timestamp unwrapped, number of the frame in it, if there is one."""

    def __init__(self) -> None:
        self.came: list[Came] = []
        self._timestamp = 0

    def receive(self, data: bytes, at_ns: int) -> None:
        if len(data) <= _RTP_HEADER_BYTES or data[0] >> 6 != 2:
            return
        timestamp = int.from_bytes(data[4:8], "big")
        # The nearest value to the last one: RTP timestamps wrap at 32 bits (RFC 3550, 5.1).
        self._timestamp += ((timestamp - self._timestamp + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        number, begins = read_frame(data[_RTP_HEADER_BYTES:])
        came = Came(at_s=at_ns / 1e9, timestamp=self._timestamp, number=number, begins_ms=begins / SAMPLES_PER_MS)
        self.came.append(came)


def read_frame(payload: bytes) -> tuple[int, int]:
    """(number of the frame, sample at which it begins) of a mu-law payload; -1 if there is none."""
    found = None if payload == SILENCE else vote(payload)
    if found is None:
        return -1, 0
    high, index = found
    return high * INDEXES + index, max(0, find(payload, index))


class Probe:
    """The one call and its loop. `run` returns when it is over."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        dice = random.Random()
        self._sip = udp_socket("127.0.0.1")
        self._sip.connect(plan.target)
        self._rtp = rtp_socket("127.0.0.1")
        target = f"sip:bench@{plan.target[0]}:{plan.target[1]}"
        self._uac = Uac(target, self._sip.getsockname(), self._rtp.getsockname()[1])
        self._mouth, self._ear = Mouth(dice), Ear()
        self._line = Line(plan.stretch, dice)
        self._under_way: deque[tuple[float, int, bytes]] = deque()
        "(through the line at, number, packet), in order: nothing overtakes."
        self._spoken: list[float] = []
        self._left: list[float | None] = []
        self._late_s: list[float] = []
        self._stalls: list[Stall] = []

    def run(self) -> Probed:
        gc.disable()  # nothing here makes cycles, and a collection would be a late packet
        try:
            since, until = self._call()
        finally:
            gc.enable()
            self._rtp.close()
            self._sip.close()
        return Probed(
            status=self._uac.status,
            ended_early=self._uac.ended_early,
            since_s=since,
            until_s=until,
            spoken=tuple(map(_spoken, self._spoken, self._left)),
            came=tuple(self._ear.came),
            stalls=tuple(self._stalls),
            send_late_ms=figures(late * 1e3 for late in self._late_s),
        )

    def _call(self) -> tuple[float, float]:
        plan = self._plan
        send_all(self._sip, self._uac.place(time.monotonic()))
        while self._uac.state in {State.CALLING, State.PROCEEDING}:
            self._wait(time.monotonic() + FRAME_S)
        since = until = time.monotonic()
        if self._uac.state is State.TALKING and self._uac.media is not None:
            self._rtp.connect(self._uac.media)
            since += plan.settle_s
            self._talk(since)
            _say(Measuring(calls_up=1))
            until = since + plan.seconds
            self._stalls = [_stall(since, at_s, ms) for at_s, ms in plan.stalls]
            self._talk(until)
            _say(Measured())
            self._talk(until + plan.tail_s)
            self._listen()
        send_all(self._sip, self._uac.hang_up(time.monotonic()))
        while self._uac.state not in OVER:
            self._wait(time.monotonic() + FRAME_S)
        return since, until

    def _talk(self, until: float) -> None:
        """Frame after frame on the 20 ms grid; each leaves when it is through the line."""
        speak_at = self._spoken[-1] + FRAME_S if self._spoken else time.monotonic()
        look_at = time.monotonic() + LOOK_S
        while speak_at < until and self._uac.state is State.TALKING:
            leaves_at = self._under_way[0][0] if self._under_way else speak_at
            self._wait(min(speak_at, leaves_at))
            now = time.monotonic()
            if now >= speak_at:
                self._speak(speak_at)
                speak_at += FRAME_S
            self._let_out()
            if now >= look_at:
                look_at = now + LOOK_S
                self._listen()

    def _speak(self, at: float) -> None:
        number, packet = self._mouth.number, self._mouth.packet()
        self._spoken.append(at)
        self._left.append(None)
        through_at = self._line.through_at(at)
        if through_at is None:
            return
        held = [stall.ended_s for stall in self._stalls if stall.began_s <= through_at < stall.ended_s]
        self._under_way.append((max([through_at, *held]), number, packet))

    def _let_out(self) -> None:
        while self._under_way and self._under_way[0][0] <= time.monotonic():
            due, number, packet = self._under_way.popleft()
            now = time.monotonic()
            self._left[number] = now
            self._late_s.append(now - due)
            try:
                self._rtp.send(packet)
            except (BlockingIOError, ConnectionRefusedError):
                self._left[number] = None

    def _listen(self) -> None:
        for data, at_ns in arrived(self._rtp):
            self._ear.receive(data, at_ns)

    def _wait(self, until: float) -> None:
        """Until then; signalling is handled at once."""
        while True:
            left_s = until - time.monotonic()
            readable, _, _ = select.select([self._sip], [], [], max(left_s, 0))
            if readable:
                self._on_sip()
            send_all(self._sip, self._uac.poll(time.monotonic()))
            if left_s <= 0 or not readable:
                return

    def _on_sip(self) -> None:
        try:
            message = parse(self._sip.recv(65536))
        except (BlockingIOError, ConnectionRefusedError, NotSip):
            return  # a target that is not there shows as 408
        if message.first("call-id") == self._uac.call_id:
            send_all(self._sip, self._uac.receive(message, time.monotonic()))


def _spoken(at: float, left: float | None) -> Spoken:
    return Spoken(spoken_s=at, left_s=left)


def _stall(since: float, at_s: float, ms: int) -> Stall:
    return Stall(began_s=since + at_s, ended_s=since + at_s + ms / 1000)


def _say(message: Measuring | Measured | Probed) -> None:
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()


def stall_of(text: str) -> tuple[float, int]:
    """`3:500`: three seconds in, half a second long."""
    at, _, ms = text.partition(":")
    return float(at), int(ms)


def main() -> int:
    parser = argparse.ArgumentParser(description="Places one call whose every frame is marked.")
    parser.add_argument("--target", type=address, required=True, help="host:port of the SIP side")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--line", default="{}", help="a Stretch as JSON, between the mouth and the bridge")
    parser.add_argument("--stall", type=stall_of, action="append", default=[], metavar="S:MS")
    args = parser.parse_args()
    stretch = msgspec.json.decode(args.line, type=Stretch)
    plan = Plan(target=args.target, seconds=args.seconds, stretch=stretch, stalls=tuple(args.stall))
    _say(Probe(plan).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
