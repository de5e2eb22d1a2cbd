"""The far end as a WebSocket: carries frames between a call and its platform's dialect, decides nothing.

picows is the shell (a C parser and masker on the loop's own transport). On the finished path in Python, at 20 calls, a
call costs 0.46 % of a core with it, 0.54 with `websockets`' pure protocol in a protocol of our own, and 0.73 with its
asyncio client (`puente bench path`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from picows import WSCloseCode, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from media.far import Audio, Dialect, FarEar, FarFailure, FarHappening, Frame, PlatformHungUp, Ready, Trouble
from media.wire import FarSpec

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"More than 30 s of 48 kHz s16le in one message; a larger one closes the socket."
MAX_WRAPPED_BYTES = 2 * 1024 * 1024
"The same for audio as base64 in JSON: three minutes of mu-law. It must be read in one go, and that takes 3 ms."
MOST_FRAGMENTS = 10_000
"Of one message. Each costs some bytes of ours, even an empty one."
BACKLOG_MS = 200
"Caller's audio that may wait for a slow socket; the oldest beyond it is dropped and counted."
TCP_NOTSENT_LOWAT = 25
"Linux: how much unsent data the kernel takes; without it a slow platform hides seconds in the socket buffer."
PING_IDLE_S = 20.0
_BINARY = WSMsgType.BINARY
"An enum's member costs a look-up in two dictionaries each time it is named."
PONG_PATIENCE_S = 0.5
"A platform that has no word for being ready and answers no ping either is taken for ready after this."


class FarSocket(WSListener):
    """One call's socket to its platform."""

    def __init__(self, spec: FarSpec, dialect: Dialect, ear: FarEar) -> None:
        self._spec = spec
        self._dialect = dialect
        self._ear = ear
        self._raw = dialect.raw_audio
        self._most_bytes = MAX_MESSAGE_BYTES if self._raw else MAX_WRAPPED_BYTES
        self._transport: WSTransport | None = None
        self.direct: Callable[[bytes], object] | None = None
        self._fragments: list[bytes] = []
        self._fragment_type = WSMsgType.BINARY
        self._fragment_bytes = 0
        self._closing = False
        self._paused = False
        self._backlog: deque[bytes] = deque()
        "Audio, not yet a frame: what is numbered by the dialect goes out in the order of its numbers."
        bytes_per_ms = spec.rate_hz * (1 if spec.encoding == "mulaw" else 2) / 1000
        self._bytes_per_ms = bytes_per_ms
        self._backlog_ms = 0.0
        self._at_ms = 0.0
        "How much of the caller's audio has been sent or dropped (counted only where the dialect wants to know)."
        self.backlog_dropped_ms = 0.0
        self._answered = asyncio.Event()
        "Set by a pong, and by the end."

    async def open(self, timeout_s: float) -> None:
        """Connect and say hello. Raises FarFailure."""
        if not self._spec.url.startswith(("ws://", "wss://")):
            raise FarFailure("nonsense", "the media URL is neither ws:// nor wss://")
        try:
            async with asyncio.timeout(timeout_s):
                await ws_connect(
                    lambda: self,
                    self._spec.url,
                    extra_headers=self._spec.headers or None,
                    websocket_handshake_timeout=None,
                    max_frame_size=self._most_bytes,
                    max_redirects=0,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=PING_IDLE_S,
                    auto_ping_reply_timeout=PING_IDLE_S,
                    logger_name="far",
                )
        except TimeoutError as error:
            raise FarFailure("slow", f"the media socket was not up after {timeout_s:g} s") from error
        except WSHandshakeError as error:
            status = int(error.response.status) if error.response is not None else 0
            what = f"HTTP {status} {HTTPStatus(status).phrase}" if status else "no valid HTTP answer"
            raise FarFailure(
                "refused" if status else "nonsense", f"the upgrade was answered with {what}", status
            ) from (error)
        except (OSError, ValueError) as error:  # ValueError: a URL that cannot be parsed
            raise FarFailure(
                "refused", f"{type(error).__name__}: {getattr(error, 'strerror', None) or 'bad URL'}"
            ) from (error)
        if self._dialect.ready_when_open:
            await self._prove_ready()

    async def _prove_ready(self) -> None:
        """Many a server accepts a socket and closes it at once when it does not want us: its pong comes behind that."""
        if self._transport is not None:
            self._transport.send_ping()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PONG_PATIENCE_S):
                await self._answered.wait()
        self._ear.on_far_happening(Ready())

    # --- what the call asks for -------------------------------------------------------------------------------------

    def send_audio(self, data: bytes) -> None:
        """Caller's audio in the platform's format, now."""
        if self._paused:
            self._wait_in_line(data)
        elif self._transport is not None:
            if self._raw:
                self._transport.send(WSMsgType.BINARY, data)
            else:
                self._send_wrapped(data)

    def send_digit(self, digit: str) -> None:
        for frame in self._dialect.on_digit(digit):
            self._send(frame)

    def send_mark(self, name: str) -> None:
        for frame in self._dialect.on_mark(name):
            self._send(frame)

    def tick(self, now: float) -> None:
        """A platform needs no clock of ours."""

    def close(self) -> None:
        """Say goodbye and close. Twice does nothing."""
        transport, self._transport, self.direct = self._transport, None, None
        if transport is None or self._closing:
            return
        self._closing = True
        for frame in self._dialect.goodbye():
            _send(transport, frame)
        transport.send_close(WSCloseCode.OK)
        transport.disconnect(graceful=True)

    # --- what picows tells us ---------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._open_way()
        pipe = transport.underlying_transport
        pipe.set_write_buffer_limits(high=0)
        raw = pipe.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, int(self._bytes_per_ms * BACKLOG_MS))
        for frame in self._dialect.on_open():
            self._send(frame)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is _BINARY and frame.fin:
            if self._raw:
                self._ear.on_far_audio(frame.get_payload_as_bytes())
            else:
                self._tell(self._dialect.on_binary(frame.get_payload_as_bytes()))
        elif kind is WSMsgType.TEXT and frame.fin:
            self._text(frame.get_payload_as_bytes())
        elif kind is WSMsgType.CLOSE:
            self._closed_by_platform(transport, frame.get_payload_as_bytes())
        elif kind is WSMsgType.PONG:
            self._answered.set()
        elif kind in (WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.CONTINUATION):
            self._fragment(transport, kind, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        lost, self._transport, self.direct = self._transport is not None, None, None
        self._backlog.clear()
        self._answered.set()
        if lost and not self._closing:
            self._closing = True
            self._ear.on_far_lost("connection lost")

    def pause_writing(self) -> None:
        self._paused, self.direct = True, None

    def resume_writing(self) -> None:
        self._paused = False
        while self._backlog and not self._paused:
            data = self._backlog.popleft()
            if self._raw:
                self._send(data)
            else:
                self._send_wrapped(data)
        self._backlog_ms = sum(map(len, self._backlog)) / self._bytes_per_ms
        self._open_way()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _binary(self, data: bytes) -> None:
        if self._raw:
            self._ear.on_far_audio(data)
        else:
            self._tell(self._dialect.on_binary(data))

    def _open_way(self) -> None:
        """Raw audio may go straight onto the socket, as long as nothing waits in line."""
        if self._raw and self._transport is not None and not self._paused:
            self.direct = partial(self._transport.send, _BINARY)

    def _text(self, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self._ear.on_far_happening(Trouble("a text frame that is not UTF-8"))
            return
        self._tell(self._dialect.on_text(text))

    def _tell(self, happenings: list[FarHappening]) -> None:
        for happening in happenings:
            if isinstance(happening, Audio):
                self._ear.on_far_audio(happening.data)
            else:
                self._ear.on_far_happening(happening)

    def _fragment(self, transport: WSTransport, kind: WSMsgType, frame: WSFrame) -> None:
        """A message in several frames (RFC 6455, 5.4)."""
        if kind is not WSMsgType.CONTINUATION:
            self._fragment_type, self._fragments, self._fragment_bytes = kind, [], 0
        self._fragments.append(frame.get_payload_as_bytes())
        self._fragment_bytes += len(self._fragments[-1])
        if self._fragment_bytes > self._most_bytes or len(self._fragments) > MOST_FRAGMENTS:
            transport.send_close(WSCloseCode.MESSAGE_TOO_BIG)
            transport.disconnect(graceful=False)
        elif frame.fin:
            whole, self._fragments = b"".join(self._fragments), []
            if self._fragment_type is WSMsgType.TEXT:
                self._text(whole)
            else:
                self._binary(whole)

    def _closed_by_platform(self, transport: WSTransport, payload: bytes) -> None:
        if self._closing:
            return
        # RFC 6455, 5.5.1: two bytes of code, then UTF-8 text; both may be missing (1005: no code given).
        code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
        reason = payload[2:].decode(errors="replace")
        self._closing = True
        self._transport = self.direct = None
        self._answered.set()
        transport.send_close(WSCloseCode.OK)
        transport.disconnect(graceful=True)
        ending = self._dialect.on_close(code, reason)
        if isinstance(ending, PlatformHungUp):
            self._ear.on_far_happening(ending)
        else:
            self._ear.on_far_lost(f"closed with {code}")

    def _wait_in_line(self, data: bytes) -> None:
        self._backlog.append(data)
        self._backlog_ms += len(data) / self._bytes_per_ms
        while self._backlog_ms > BACKLOG_MS and self._backlog:
            dropped = len(self._backlog.popleft()) / self._bytes_per_ms
            self._backlog_ms -= dropped
            self.backlog_dropped_ms += dropped
            self._at_ms += dropped

    def _send_wrapped(self, data: bytes) -> None:
        """Audio on a platform whose frames are more than samples."""
        for frame in self._dialect.audio(data, int(self._at_ms)):
            self._send(frame)
        self._at_ms += len(data) / self._bytes_per_ms

    def _send(self, frame: Frame) -> None:
        if self._transport is not None:
            _send(self._transport, frame)


def _send(transport: WSTransport, frame: Frame) -> None:
    transport.send(WSMsgType.BINARY if isinstance(frame, bytes) else WSMsgType.TEXT, frame)
