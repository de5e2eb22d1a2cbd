"""The echoing platform, further away, or with hiccups: what it hears goes back later, and all at once after a stall.

`--line '{"one_way_ms": 10, "jitter_ms": 2}'` puts a line before its socket, there and back; `--processing-ms` is what
the agent itself takes. `POST /bench/stall?ms=500` holds everything back for that long and then lets it out in one
burst; the answer says from when to when, on the monotonic clock.

    python -m bridge.bench.delayed_platform --line '{"one_way_ms": 10, "jitter_ms": 2}'

The first line of standard output is the HTTP port.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import deque
from collections.abc import Sequence

import msgspec
import picows
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.bench.echo_platform import READERS, EchoPlatform, run
from bridge.bench.line import Line, Stretch
from bridge.bench.results import Heard, Stall
from media.clock import Alarm, Bell


class Holding:
    """When the next frame may leave: shared by all calls of the platform."""

    def __init__(self, stretch: Stretch, processing_ms: float) -> None:
        self.stretch, self.processing_s = stretch, processing_ms / 1000
        self.until = 0.0
        "No frame leaves before: the platform stalls."


class DelayedEcho(picows.WSListener):
    """One media socket: frames leave in the order in which they came, each at its time."""

    def __init__(
        self, encoding: str, hello: tuple[bytes, ...], notes: list[Heard], holding: Holding, alarm: Alarm
    ) -> None:
        self._read, self._hello, self._notes = READERS[encoding], hello, notes
        self._holding, self._alarm = holding, alarm
        dice = random.Random()
        self._there, self._back = Line(holding.stretch, dice), Line(holding.stretch, dice)
        self._waiting: deque[tuple[float, bytes, float]] = deque()
        "(may leave at, audio, came at)"
        self._transport: picows.WSTransport | None = None
        self._handle: Bell | None = None

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        for message in self._hello:
            transport.send(picows.WSMsgType.TEXT, message)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self._transport = None
        self._waiting.clear()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.BINARY:
            now = time.monotonic()
            self._waiting.append((self._leaves_at(now), frame.get_payload_as_bytes(), now))
            self._let_out()
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()

    def _leaves_at(self, now: float) -> float:
        # A WebSocket is TCP: what is lost on the way comes later, so lines to platforms have no loss.
        there = self._there.through_at(now) or now
        return self._back.through_at(there + self._holding.processing_s) or now

    def _let_out(self) -> None:
        """Everything that is due leaves; the alarm rings for the first that is not."""
        waiting, now = self._waiting, time.monotonic()
        while waiting and self._transport is not None and max(waiting[0][0], self._holding.until) <= now:
            _, audio, came = waiting.popleft()
            self._transport.send(picows.WSMsgType.BINARY, audio)
            found = self._read(audio)
            if found is not None:
                self._notes.append(Heard(call=found[0], index=found[1], at_s=came, said_s=now))
        if waiting and self._handle is None:
            self._handle = self._alarm.add(max(waiting[0][0], self._holding.until), self._on_alarm)

    def _on_alarm(self, now: float) -> None:
        self._handle = None
        self._let_out()


class DelayedPlatform(EchoPlatform):
    """The same two servers with other listeners."""

    def __init__(self, stretch: Stretch, processing_ms: float) -> None:
        super().__init__()
        self._holding = Holding(stretch, processing_ms)
        self._clock: Alarm | None = None

    def routes(self) -> Sequence[Route]:
        return [*super().routes(), Route("/bench/stall", self.stall, methods=["POST"])]

    async def stall(self, request: Request) -> Response:
        began = time.monotonic()
        self._holding.until = began + int(request.query_params["ms"]) / 1000
        answer = Stall(began_s=began, ended_s=self._holding.until)
        return Response(msgspec.json.encode(answer), media_type="application/json")

    def listener(self, encoding: str, hello: tuple[bytes, ...]) -> picows.WSListener:
        if self._clock is None:
            self._clock = Alarm(asyncio.get_running_loop())
        return DelayedEcho(encoding, hello, self.notes, self._holding, self._clock)


def main() -> int:
    parser = argparse.ArgumentParser(description="An echoing voice platform at the end of a line.")
    parser.add_argument("--line", default="{}", help="a Stretch as JSON, there and back alike")
    parser.add_argument("--processing-ms", type=float, default=0.0)
    args = parser.parse_args()
    return run(DelayedPlatform(msgspec.json.decode(args.line, type=Stretch), args.processing_ms))


if __name__ == "__main__":
    sys.exit(main())
