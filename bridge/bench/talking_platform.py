"""The benchmark's talkative platform: it sends half a minute of sound ahead, interrupts itself, and begins anew.

    > 30 s of a tone, as fast as the socket takes it
      a pause of random length, so that the interruption falls anywhere into the bridge's 20 ms
    > playback_clear_buffer                              the time is noted just before it is handed to the socket
      quiet for long enough that silence can be heard on the line; then from the start

Which call a socket belongs to it learns from the marks in the caller's audio. `GET /bench/clears` hands the notes over.

    python -m bridge.bench.talking_platform --every-ms 600

The first line of standard output is the HTTP port.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import struct
import sys
import time
from collections.abc import Sequence

import msgspec
import picows
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.bench.echo_platform import READERS, EchoPlatform, run
from bridge.bench.results import Clear

AHEAD_S = 30
RATE_HZ = 8000
TONE_HZ = 425
QUIET_S = 0.25
"After an interruption: twelve packets of silence must be seen before the next words."
CLEAR = b'{"type":"playback_clear_buffer"}'


def tone(seconds: float) -> bytes:
    """s16le. No frame of it is silent in mu-law."""
    samples = (int(8000 * math.sin(2 * math.pi * TONE_HZ * n / RATE_HZ)) for n in range(int(RATE_HZ * seconds)))
    return b"".join(struct.pack("<h", sample) for sample in samples)


class Talker(picows.WSListener):
    """One media socket, and the task that talks on it."""

    def __init__(self, hello: tuple[bytes, ...], clears: list[Clear], second: bytes, every_s: float) -> None:
        self._hello, self._clears, self._second, self._every_s = hello, clears, second, every_s
        self._read = READERS["s16le"]
        self._call = -1
        self._talk: asyncio.Task[None] | None = None

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        for message in self._hello:
            transport.send(picows.WSMsgType.TEXT, message)
        self._talk = asyncio.get_running_loop().create_task(self._talk_on(transport))

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        if self._talk is not None:
            self._talk.cancel()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.BINARY and self._call < 0:
            found = self._read(frame.get_payload_as_bytes())
            self._call = found[0] if found is not None else -1
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()

    async def _talk_on(self, transport: picows.WSTransport) -> None:
        while True:
            for _ in range(AHEAD_S):
                transport.send(picows.WSMsgType.BINARY, self._second)
            await asyncio.sleep((self._every_s - QUIET_S) * random.uniform(0.8, 1.2))
            if self._call >= 0:
                self._clears.append(Clear(call=self._call, at_s=time.monotonic()))
            transport.send(picows.WSMsgType.TEXT, CLEAR)
            await asyncio.sleep(QUIET_S)


class TalkingPlatform(EchoPlatform):
    """The same two servers with other listeners. Speaks Ultravox only: VAPI does not send ahead."""

    def __init__(self, every_s: float) -> None:
        super().__init__()
        self._every_s, self._second, self._clears = every_s, tone(1.0), list[Clear]()

    def routes(self) -> Sequence[Route]:
        return [*super().routes(), Route("/bench/clears", self.clears, methods=["GET"])]

    async def clears(self, request: Request) -> Response:
        return Response(msgspec.json.encode(self._clears), media_type="application/json")

    def listener(self, encoding: str, hello: tuple[bytes, ...]) -> picows.WSListener:
        return Talker(hello, self._clears, self._second, self._every_s)


def main() -> int:
    parser = argparse.ArgumentParser(description="A voice platform that sends ahead and interrupts itself.")
    parser.add_argument("--every-ms", type=int, default=600, help="from one interruption of a call to the next")
    return run(TalkingPlatform(parser.parse_args().every_ms / 1000))


if __name__ == "__main__":
    sys.exit(main())
