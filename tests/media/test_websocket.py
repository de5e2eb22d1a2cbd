"""The far socket's own decisions: backlog, fragments, closing. With a real socket: test_call, test_worker."""

from __future__ import annotations

from typing import Any

import pytest
from picows import WSCloseCode, WSMsgType

from media import wire
from media.far import FarHappening, Flush, Frame, PlatformHungUp
from media.websocket import BACKLOG_MS, FarSocket
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


def connected() -> tuple[FarSocket, Transport, Ear]:
    spec = wire.FarSpec(platform="p", dialect="raw", url="ws://127.0.0.1:9/")
    ear, transport = Ear(), Transport()
    far = FarSocket(spec, Raw(spec), ear)
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
