"""The far socket's own decisions: backlog, fragments, closing. With a real socket: test_call, test_worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from picows import WSCloseCode, WSMsgType
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.utils import accept_key

from media import websocket, wire
from media.far import Audio, FarHappening, Flush, Frame, Mark, PlatformHungUp, Ready
from media.websocket import BACKLOG_MS, MOST_FRAGMENTS, FarSocket
from tests.helpers.rawdialect import Raw


class Ear:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def on_far_audio(self, data: bytes) -> None:
        self.heard.append(data)

    def on_far_happening(self, happening: FarHappening) -> None:
        self.heard.append(happening)

    def on_far_lost(self, reason: str) -> None:
        self.heard.append(reason)


class Pipe:
    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def get_extra_info(self, name: str) -> None:
        return None


class Transport:
    """Stands in for picows' transport: keeps what is sent."""

    def __init__(self) -> None:
        self.underlying_transport = Pipe()
        self.sent: list[Frame] = []
        self.closed: list[WSCloseCode] = []
        self.disconnected = 0

    def send(self, kind: WSMsgType, frame: Frame) -> None:
        assert (kind is WSMsgType.BINARY) == isinstance(frame, bytes)
        self.sent.append(frame)

    def send_close(self, code: WSCloseCode, message: bytes | None = None) -> None:
        self.closed.append(code)

    def disconnect(self, graceful: bool = True) -> None:
        self.disconnected += 1


class WsFrame:
    def __init__(self, kind: WSMsgType, payload: bytes, fin: bool = True) -> None:
        self.msg_type, self.fin, self._payload = kind, fin, payload

    def get_payload_as_bytes(self) -> bytes:
        return self._payload


class Wrapped(Raw):
    """Audio travels inside text: `at <ms>: <samples>`; an open socket is all there is to being ready."""

    raw_audio = False
    ready_when_open = True

    def on_text(self, text: str) -> list[FarHappening]:
        return [Audio(text.encode()), Mark("m")] if text.startswith("audio") else super().on_text(text)

    def audio(self, data: bytes, at_ms: int) -> list[Frame]:
        return [f"at {at_ms}: {data[0]}"]


def connected(dialect: type[Raw] = Raw) -> tuple[FarSocket, Transport, Ear]:
    spec = wire.FarSpec(platform="p", dialect="raw", url="ws://127.0.0.1:9/")
    ear, transport = Ear(), Transport()
    far = FarSocket(spec, dialect(spec), ear)
    far.on_ws_connected(transport)  # type: ignore[arg-type]
    assert transport.underlying_transport.high == 0
    assert transport.sent.pop(0) == "hello"
    return far, transport, ear


def feed(far: FarSocket, transport: Transport, kind: WSMsgType, payload: bytes, fin: bool = True) -> None:
    far.on_ws_frame(transport, WsFrame(kind, payload, fin))  # type: ignore[arg-type]


def frame(number: int) -> bytes:
    return bytes([number]) * 320


def test_audio_goes_out_at_once() -> None:
    far, transport, _ = connected()
    far.send_audio(frame(1))
    far.send_digit("7")
    assert transport.sent == [frame(1), "key 7"]


def test_a_mark_goes_out_as_the_dialect_words_it() -> None:
    far, transport, _ = connected()
    far.send_mark("turn-3")
    far.close()
    far.send_mark("turn-4")
    assert transport.sent == ["mark turn-3", "goodbye"]


def test_where_audio_is_wrapped_the_dialect_is_told_when_it_was() -> None:
    far, transport, _ = connected(Wrapped)
    for number in range(3):
        far.send_audio(frame(number))
    assert transport.sent == ["at 0: 0", "at 20: 1", "at 40: 2"]


def test_wrapped_audio_of_a_slow_socket_leaves_a_gap_in_time_and_is_not_overtaken_by_its_own_number() -> None:
    far, transport, _ = connected(Wrapped)
    far.send_audio(frame(100))
    far.pause_writing()
    for number in range(12):
        far.send_audio(frame(number))
    far.resume_writing()
    assert transport.sent == ["at 0: 100", *(f"at {60 + 20 * n}: {2 + n}" for n in range(10))]
    assert far.backlog_dropped_ms == 40


def test_wrapped_audio_comes_as_audio_in_its_order() -> None:
    far, transport, ear = connected(Wrapped)
    feed(far, transport, WSMsgType.TEXT, b"audio")
    assert ear.heard == [b"audio", Mark("m")]


# --- where the platform has no word for being ready -------------------------------------------------------------------


@asynccontextmanager
async def opened(server: asyncio.Server | Server) -> AsyncIterator[Ear]:
    async with server:
        port = next(iter(server.sockets)).getsockname()[1]
        spec = wire.FarSpec(platform="p", dialect="raw", url=f"ws://127.0.0.1:{port}/")
        ear = Ear()
        far = FarSocket(spec, Wrapped(spec), ear)
        await far.open(5.0)
        yield ear
        far.close()


async def test_an_open_socket_that_answers_a_ping_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "PONG_PATIENCE_S", 60.0)
    async with opened(await serve(ServerConnection.wait_closed, "127.0.0.1", 0)) as ear:
        assert ear.heard == [Ready()]


async def test_one_that_is_closed_at_once_is_known_to_be_before_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "PONG_PATIENCE_S", 60.0)

    async def turn_away(connection: ServerConnection) -> None:
        await connection.close(1008)

    async with opened(await serve(turn_away, "127.0.0.1", 0)) as ear:
        assert ear.heard[0] == "closed with 1008"


async def test_one_that_answers_no_ping_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "PONG_PATIENCE_S", 0.05)

    over = asyncio.Event()

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line for line in head.decode().split("\r\n") if line.lower().startswith("sec-websocket-key"))
        accept = accept_key(key.partition(":")[2].strip())
        lines = ("HTTP/1.1 101 Yes", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await reader.read()  # and never a word
        writer.close()
        await writer.wait_closed()
        over.set()

    server = await asyncio.start_server(upgrade, "127.0.0.1", 0)
    async with opened(server) as ear:
        assert ear.heard == [Ready()]
        server.close()
    async with asyncio.timeout(5):
        await over.wait()


def test_a_slow_socket_keeps_the_newest_200_ms_and_counts_the_rest() -> None:
    far, transport, _ = connected()
    far.pause_writing()
    for number in range(30):
        far.send_audio(frame(number))
    assert transport.sent == []
    far.resume_writing()
    kept = BACKLOG_MS // 20
    assert transport.sent == [frame(number) for number in range(30 - kept, 30)]
    assert far.backlog_dropped_ms == (30 - kept) * 20
    far.send_audio(frame(99))
    assert transport.sent[-1] == frame(99)


def test_the_direct_way_is_there_while_nothing_waits_and_the_socket_is_up() -> None:
    far, transport, _ = connected()
    ways = [far.direct]
    for change in (far.pause_writing, far.resume_writing, far.close):
        change()
        ways.append(far.direct)
    assert [way is not None for way in ways] == [True, False, True, False]
    far, transport, _ = connected()
    assert far.direct is not None
    far.direct(frame(1))
    assert transport.sent == [frame(1)]


def test_no_direct_way_where_the_dialect_wraps_audio() -> None:
    far, _, _ = connected(Wrapped)
    assert far.direct is None


def test_a_socket_that_stalls_again_while_it_catches_up() -> None:
    far, transport, _ = connected()
    far.pause_writing()
    for number in range(5):
        far.send_audio(frame(number))
    first_send = transport.send

    def stall(kind: WSMsgType, frame: Frame) -> None:
        first_send(kind, frame)
        far.pause_writing()

    transport.send = stall  # type: ignore[method-assign]
    far.resume_writing()
    assert transport.sent == [frame(0)]
    far.resume_writing()
    assert transport.sent == [frame(0), frame(1)]
    assert far.backlog_dropped_ms == 0


@pytest.mark.parametrize("kind", [WSMsgType.BINARY, WSMsgType.TEXT])
def test_fragments_are_put_together(kind: WSMsgType) -> None:
    far, transport, ear = connected()
    feed(far, transport, kind, b"cl", fin=False)
    feed(far, transport, WSMsgType.CONTINUATION, b"e", fin=False)
    assert ear.heard == []
    feed(far, transport, WSMsgType.CONTINUATION, b"ar")
    assert ear.heard == [b"clear" if kind is WSMsgType.BINARY else Flush()]


def test_an_endless_message_closes_the_socket() -> None:
    far, transport, _ = connected()
    feed(far, transport, WSMsgType.BINARY, bytes(3_000_000), fin=False)
    feed(far, transport, WSMsgType.CONTINUATION, bytes(3_000_000), fin=False)
    assert transport.closed == [WSCloseCode.MESSAGE_TOO_BIG]
    assert transport.disconnected == 1


def test_wrapped_audio_must_be_shorter_since_it_is_read_in_one_go() -> None:
    far, transport, _ = connected(Wrapped)
    feed(far, transport, WSMsgType.TEXT, bytes(1_500_000), fin=False)
    assert transport.closed == []
    feed(far, transport, WSMsgType.CONTINUATION, bytes(1_500_000), fin=False)
    assert transport.closed == [WSCloseCode.MESSAGE_TOO_BIG]


def test_a_message_of_endlessly_many_fragments_closes_the_socket() -> None:
    far, transport, _ = connected()
    feed(far, transport, WSMsgType.BINARY, b"", fin=False)
    for _ in range(MOST_FRAGMENTS):
        feed(far, transport, WSMsgType.CONTINUATION, b"", fin=False)
    assert transport.closed == [WSCloseCode.MESSAGE_TOO_BIG]


def test_text_that_is_no_utf8_is_trouble() -> None:
    far, transport, ear = connected()
    feed(far, transport, WSMsgType.TEXT, b"\xff\xfe")
    assert [str(heard) for heard in ear.heard] == ["Trouble(detail='a text frame that is not UTF-8')"]


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"\x03\xe8bye", PlatformHungUp("closed")),
        (b"", "closed with 1005"),
        (b"\x03", "closed with 1005"),
        (b"\x03\xf3oops \xff", "closed with 1011"),
    ],
)
def test_a_close_frame_is_told_once(payload: bytes, told: object) -> None:
    far, transport, ear = connected()
    feed(far, transport, WSMsgType.CLOSE, payload)
    far.on_ws_disconnected(transport)  # type: ignore[arg-type]
    far.close()
    assert ear.heard == [told]
    assert transport.closed == [WSCloseCode.OK]
    far.send_audio(frame(1))
    assert transport.sent == []


def test_a_lost_connection_is_told_once_and_close_after_it_does_nothing() -> None:
    far, transport, ear = connected()
    far.on_ws_disconnected(transport)  # type: ignore[arg-type]
    far.on_ws_disconnected(transport)  # type: ignore[arg-type]
    far.close()
    assert ear.heard == ["connection lost"]
    assert transport.sent == []


def test_closing_says_goodbye_once() -> None:
    far, transport, ear = connected()
    far.close()
    far.close()
    far.on_ws_disconnected(transport)  # type: ignore[arg-type]
    assert transport.sent == ["goodbye"]
    assert transport.closed == [WSCloseCode.OK]
    assert ear.heard == []
