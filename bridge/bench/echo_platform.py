"""The benchmark's own voice platform: takes any call, sends each audio frame back in the callback that brought it.

It speaks as much of Ultravox or VAPI as a bridge needs to set up a call. What it does not do is the point: no pacing,
no speech detection, no timer. So what it costs is printed beside what the bridge costs, and what it adds is the time of
one callback. When a mark arrives it notes the time, for the one-way figures; `GET /bench/heard` hands the notes over.

    python -m bridge.bench.echo_platform

The first line of standard output is the HTTP port.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import picows
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.bench.marks import read_mulaw, read_s16le
from bridge.bench.results import Heard

HOST = "127.0.0.1"

ReadMark = Callable[[bytes], tuple[int, int] | None]

SILENT_BYTES = {"s16le": 0x00, "mulaw": 0xFF}
READERS: dict[str, ReadMark] = {"s16le": read_s16le, "mulaw": read_mulaw}


class EchoListener(picows.WSListener):
    """One media socket."""

    def __init__(self, encoding: str, hello: tuple[bytes, ...], notes: list[Heard]) -> None:
        self._read, self._hello, self._notes = READERS[encoding], hello, notes
        self._silence = bytes([SILENT_BYTES[encoding]]) * 320

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        for message in self._hello:
            transport.send(picows.WSMsgType.TEXT, message)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.BINARY:
            now = time.monotonic()
            audio = frame.get_payload_as_bytes()
            transport.send(picows.WSMsgType.BINARY, audio)
            if not self._silence.startswith(audio):
                self._note(audio, now)
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()

    def _note(self, audio: bytes, now: float) -> None:
        found = self._read(audio)
        if found is not None:
            self._notes.append(Heard(call=found[0], index=found[1], at_s=now))


class EchoPlatform:
    """Two servers on one loop: HTTP for creating calls, WebSocket for their audio."""

    def __init__(self) -> None:
        self.ws_port = 0
        self.notes: list[Heard] = []
        self._waiting: dict[str, picows.WSListener] = {}

    def routes(self) -> Sequence[Route]:
        return [
            Route("/api/calls", self.create_ultravox, methods=["POST"]),
            Route("/api/agents/{agent}/calls", self.create_ultravox, methods=["POST"]),
            Route("/call", self.create_vapi, methods=["POST"]),
            Route("/bench/heard", self.heard, methods=["GET"]),
        ]

    def listener(self, encoding: str, hello: tuple[bytes, ...]) -> picows.WSListener:
        """Who takes the next call's socket."""
        return EchoListener(encoding, hello, self.notes)

    async def create_ultravox(self, request: Request) -> Response:
        call = secrets.token_hex(8)
        hello = [{"type": "call_started", "callId": call}, {"type": "state", "state": "listening"}]
        return _created({"callId": call, "joinUrl": self._expect(call, "s16le", hello)})

    async def create_vapi(self, request: Request) -> Response:
        asked = await request.json()
        audio = asked["transport"].get("audioFormat", {}).get("format", "pcm_s16le")
        call = secrets.token_hex(8)
        hello = [{"type": "status-update", "status": "in-progress"}]
        url = self._expect(call, "mulaw" if audio == "mulaw" else "s16le", hello)
        return _created({"id": call, "transport": {"provider": "vapi.websocket", "websocketCallUrl": url}})

    async def heard(self, request: Request) -> Response:
        notes, self.notes[:] = list(self.notes), []
        return Response(msgspec.json.encode(notes), media_type="application/json")

    def _expect(self, call: str, encoding: str, hello: list[dict[str, str]]) -> str:
        self._waiting[call] = self.listener(encoding, tuple(map(msgspec.json.encode, hello)))
        return f"ws://{HOST}:{self.ws_port}/{call}"

    def join(self, request: picows.WSUpgradeRequest) -> picows.WSListener | None:
        """A call's socket may be opened once; None is answered with 404."""
        return self._waiting.pop(request.path.decode().partition("?")[0].strip("/"), None)

    async def serve(self, http: socket.socket) -> None:
        sockets = await picows.ws_create_server(self.join, HOST, 0)
        self.ws_port = sockets.sockets[0].getsockname()[1]
        config = uvicorn.Config(
            Starlette(routes=self.routes()), log_level="warning", access_log=False, lifespan="off", ws="none"
        )
        async with sockets:
            await uvicorn.Server(config).serve(sockets=[http])


def _created(body: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(body), 201, media_type="application/json")


def run(platform: EchoPlatform) -> int:
    """Until SIGTERM."""
    # Listening before the port is told: whoever reads it may connect at once.
    http = socket.create_server((HOST, 0))
    print(http.getsockname()[1], flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(platform.serve(http))
    return 0


if __name__ == "__main__":
    sys.exit(run(EchoPlatform()))
