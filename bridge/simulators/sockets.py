"""The media port: WebSockets on one side, pure sessions on the other. The only file that touches a media socket.

An echo is answered inside the frame callback, from the buffer the frame came in: no copy, no queue, no task, no clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from bridge.simulators.calls import Close, Knock, Opened, Out, Refusal, Session, SimulatedCall

log = logging.getLogger(__name__)

MAX_FRAME_BYTES = 4 * 1024 * 1024

ABNORMAL = 1006
NO_STATUS = 1005

TEXT_WHERE_AUDIO_IS_DUE = '{"audio":"this should have been a binary frame"}'
TEXT_EVERY_S = 0.02
CLOSE_PATIENCE_S = 2.0
PLAN_SLACK_S = 1.0
"A timer may ring late; only what is long past is forgotten."


class MediaSocket(WSListener):
    """One call's socket: carries between picows and the session, and plays the failures of the socket."""

    def __init__(self, call: SimulatedCall, session: Session, port: MediaPort) -> None:
        self.call, self.session, self._port = call, session, port
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0
        self._plans: list[tuple[float, asyncio.Handle]] = []
        "Failures to come, and the patience for the other side's close frame."
        self._transport: WSTransport | None = None
        self._partial: list[bytes] = []
        self._partial_type = WSMsgType.TEXT
        self._held: list[Out] | None = None
        "Not None while the socket stalls: what will be sent at its end."
        self._silent = False
        self._direct_echo = session.echoes
        self._closing = False

    # --- picows ---

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._port.opened(self)
        if self.call.failures.socket == "close":
            self._send([Close()])
            return
        self._arm_failures()
        self._send(self.session.on_open(self._loop.time()))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is WSMsgType.BINARY and frame.fin:
            self.call.received_bytes += frame.payload_size
            if self._direct_echo:
                self.call.sent_bytes += frame.payload_size
                transport.send(WSMsgType.BINARY, frame.get_payload_as_memoryview())
            else:
                self._on_message(kind, frame.get_payload_as_bytes())
        elif kind is WSMsgType.CLOSE:
            self._on_close_frame(transport, frame)
        elif kind is WSMsgType.TEXT and frame.fin:
            self._on_message(kind, frame.get_payload_as_bytes())
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._on_fragment(kind, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        for _, plan in self._plans:
            plan.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._transport = None, None
        self.session.on_close(ABNORMAL)
        self._port.closed(self)

    def _on_close_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        code = int(frame.get_close_code().value) or NO_STATUS
        self.session.on_close(code)
        if not self._closing:
            transport.send_close(WSCloseCode.OK if code == NO_STATUS else frame.get_close_code())
        transport.disconnect()

    def _on_fragment(self, kind: WSMsgType, frame: WSFrame) -> None:
        if kind is not WSMsgType.CONTINUATION:
            self._partial, self._partial_type = [], kind
        self._partial.append(frame.get_payload_as_bytes())
        if kind is WSMsgType.BINARY or self._partial_type is WSMsgType.BINARY:
            self.call.received_bytes += frame.payload_size
        if frame.fin:
            whole, self._partial = b"".join(self._partial), []
            self._on_message(self._partial_type, whole)

    def _on_message(self, kind: WSMsgType, data: bytes) -> None:
        now = self._loop.time()
        if kind is WSMsgType.TEXT:
            text = data.decode("utf-8", "replace")
            if not self.session.audio_is_text:
                self.call.note_text(text)
            self._send(self.session.on_text(text, now))
        elif self.session.echoes:
            self._send([data])
        else:
            self._send(self.session.on_binary(data, now))

    # --- sending ---

    def act(self, outs: list[Out]) -> None:
        """From outside the socket: REST may speak into a live call."""
        self._send(outs)

    def cut(self) -> None:
        """The connection breaks, as when the platform's machine dies."""
        if self._transport is not None:
            self._transport.underlying_transport.abort()

    def _send(self, outs: list[Out]) -> None:
        if self._held is not None:
            self._held += outs
        elif not self._silent:
            for out in outs:
                self._send_one(out)
        self._arm()

    def _send_one(self, out: Out) -> None:
        transport = self._transport
        if transport is None or self._closing:
            return
        if isinstance(out, bytes):
            self.call.sent_bytes += len(out)
            transport.send(WSMsgType.BINARY, out)
        elif isinstance(out, str):
            transport.send(WSMsgType.TEXT, out)
        else:
            self._close(transport, out)

    def _close(self, transport: WSTransport, close: Close) -> None:
        """The frame now, the connection when the other side has answered it (RFC 6455, 7.1.1).

        Closing TCP at once would have the kernel answer the caller's next audio with RST, and a burst of last words
        that is still in the send buffer would be lost.
        """
        self._closing, self._direct_echo = True, False
        if close.code is None:
            transport.send(WSMsgType.CLOSE, b"")
        else:
            transport.send_close(WSCloseCode(close.code))
        self._later(CLOSE_PATIENCE_S, transport.disconnect)

    def _arm(self) -> None:
        """One timer for the whole session, moved after every entry."""
        alive = self._transport is not None and not self._closing
        when = self.session.next_deadline() if alive else None
        if self._timer is not None:
            if self._timer_at == when:
                return
            self._timer.cancel()
            self._timer = None
        if when is not None:
            # uvloop hands out a plain Handle, which cannot be asked for its time, when that time has passed already.
            self._timer, self._timer_at = self._loop.call_at(when, self._on_timer), when

    def _on_timer(self) -> None:
        self._timer = None
        self._send(self.session.on_timer(self._loop.time()))

    # --- failures ---

    def _arm_failures(self) -> None:
        failures = self.call.failures
        beginnings: dict[str, Callable[[], None]] = {
            "drop": self.cut,
            "silent": self._go_silent,
            "stall": self._stall,
            "text": self._send_text_for_audio,
        }
        if begin := beginnings.get(failures.socket):
            self._later(failures.after_ms / 1000, begin)

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        now = self._loop.time()
        self._plans = [(at, timer) for at, timer in self._plans if at > now - PLAN_SLACK_S]
        self._plans.append((now + delay_s, self._loop.call_later(delay_s, action)))

    def _go_silent(self) -> None:
        self._silent, self._direct_echo = True, False

    def _stall(self) -> None:
        self._held, self._direct_echo = [], False
        self._later(self.call.failures.stall_ms / 1000, self._burst)

    def _burst(self) -> None:
        held, self._held = self._held or [], None
        self._direct_echo = self.session.echoes
        self._send(held)

    def _send_text_for_audio(self) -> None:
        self._direct_echo = False
        self._silent = True
        self._send_one(TEXT_WHERE_AUDIO_IS_DUE)
        self._later(TEXT_EVERY_S, self._send_text_for_audio)


Opener = Callable[[Knock, float], Opened]
"Finds the call that is asked for and opens its session: the vendor's part."


class MediaPort:
    """Listens for media sockets of all calls of one simulator."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._sockets: dict[str, MediaSocket] = {}
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        self._server = await ws_create_server(
            self._accept, host, port, max_frame_size=MAX_FRAME_BYTES, websocket_handshake_timeout=5
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for socket in list(self._sockets.values()):
            socket.act([Close(1001)])
        await self._server.wait_closed()
        self._server = None

    def find(self, call_id: str) -> MediaSocket | None:
        return self._sockets.get(call_id)

    def _accept(self, request: WSUpgradeRequest) -> MediaSocket | WSUpgradeResponseWithListener:
        # Of most vendors the path identifies the call; clients may add query parameters (apiVersion, clientVersion).
        asked = urlsplit(request.path.decode("ascii", "replace"))
        headers = {name.lower(): value for name, value in request.headers.items()}
        opened = self._opener(Knock(asked.path, asked.query, headers), asyncio.get_running_loop().time())
        if isinstance(opened, Refusal):
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(opened.status), None)
        return MediaSocket(*opened, self)

    def opened(self, socket: MediaSocket) -> None:
        self._sockets[socket.call.id] = socket
        log.info("= call %d joined", socket.call.number)

    def closed(self, socket: MediaSocket) -> None:
        if self._sockets.get(socket.call.id) is socket:
            del self._sockets[socket.call.id]
            call = socket.call
            log.info(
                "= call %d ended: %s, heard %.1f s, said %.1f s",
                *(call.number, call.end_reason, call.received_ms / 1000, call.sent_ms / 1000),
            )
