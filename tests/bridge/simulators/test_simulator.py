"""Both services end to end over real sockets: creation, media, failures. The clients are not those of the bridge."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from bridge.simulators.audio import tone_utterance
from bridge.simulators.failures import NONE, Failures, parse
from bridge.simulators.part import ECHO, Part
from bridge.simulators.simulator import ServiceName, Simulator

BOTH = pytest.mark.parametrize("service", ["ultravox", "vapi"])

FRAME = bytes(range(256)) + bytes(64)

ULTRAVOX_BODY = {"medium": {"serverWebSocket": {"inputSampleRate": 8000}}}
VAPI_BODY = {
    "assistantId": "a1",
    "transport": {"provider": "vapi.websocket", "audioFormat": {"format": "pcm_s16le", "sampleRate": 8000}},
}


async def create(simulator: Simulator, service: ServiceName, **more: Any) -> httpx.Response:
    headers = {"X-API-Key": "key"} if service == "ultravox" else {"Authorization": "Bearer key"}
    path, body = ("/api/calls", ULTRAVOX_BODY) if service == "ultravox" else ("/call", VAPI_BODY)
    async with httpx.AsyncClient(trust_env=False, headers=headers, timeout=5) as client:
        return await client.post(simulator.url + path, json=body | more)


def media_url(answer: httpx.Response) -> str:
    body = answer.json()
    url = body["joinUrl"] if "joinUrl" in body else body["transport"]["websocketCallUrl"]
    assert isinstance(url, str)
    return url


@asynccontextmanager
async def joined(
    service: ServiceName, *, part: Part = ECHO, failures: Failures = NONE, **more: Any
) -> AsyncIterator[tuple[ClientConnection, Simulator]]:
    async with Simulator(service, part=part, failures=failures) as simulator:
        answer = await create(simulator, service, **more)
        assert answer.status_code == 201, answer.text
        async with websockets.connect(media_url(answer), compression=None) as socket:
            yield socket, simulator


async def next_audio(socket: ClientConnection) -> bytes:
    while True:
        frame = await asyncio.wait_for(socket.recv(), 5)
        if isinstance(frame, bytes):
            return frame


async def rest_of(socket: ClientConnection) -> list[bytes | str]:
    frames: list[bytes | str] = []
    try:
        while True:
            frames.append(await asyncio.wait_for(socket.recv(), 5))
    except websockets.ConnectionClosed:
        return frames


@BOTH
async def test_an_echo_gives_back_each_frame_as_it_is(service: ServiceName) -> None:
    async with joined(service) as (socket, simulator):
        for frame in (FRAME, b"\x01", FRAME * 40):
            await socket.send(frame)
            assert await next_audio(socket) == frame
        await socket.send([FRAME, FRAME])  # one message in two fragments
        assert await next_audio(socket) == FRAME * 2
        await socket.close()
        (call,) = simulator.calls
        assert call.received_bytes == call.sent_bytes == 45 * len(FRAME) - 2 * len(FRAME) + 1


@BOTH
async def test_a_call_is_joined_once_and_its_end_is_known(service: ServiceName) -> None:
    async with Simulator(service, part=ECHO) as simulator:
        url = media_url(await create(simulator, service))
        (call,) = simulator.calls
        async with websockets.connect(url + "?apiVersion=1", compression=None) as socket:
            await socket.send(FRAME)
            await next_audio(socket)
            with pytest.raises(websockets.InvalidStatus, match="409"):
                await websockets.connect(url)
            assert not call.ended
        assert call.end_reason == {"ultravox": "hangup", "vapi": "customer-ended-call"}[service]
        with pytest.raises(websockets.InvalidStatus, match="409"):
            await websockets.connect(url)
        with pytest.raises(websockets.InvalidStatus, match="404"):
            await websockets.connect(url.replace(call.id, "0"))


@BOTH
async def test_a_client_that_vanishes_is_told_from_one_that_hangs_up(service: ServiceName) -> None:
    async with joined(service) as (socket, simulator):
        (call,) = simulator.calls
        socket.transport.abort()
        await socket.wait_closed()
        for _ in range(100):
            if call.ended:
                break
            await asyncio.sleep(0.01)
        assert call.end_reason in ("connection_error", "phone-call-provider-closed-websocket")


@BOTH
async def test_last_words_survive_the_close_that_follows_them_at_once(service: ServiceName) -> None:
    part = Part(greeting=tone_utterance(440, 400, "good bye"), after="hang-up", hangs_up_early=True, listens=False)
    more: dict[str, Any] = {}
    if service == "ultravox":
        more = {"medium": {"serverWebSocket": {"inputSampleRate": 48000, "clientBufferSizeMs": 30000}}}
    async with joined(service, part=part, **more) as (socket, simulator):
        reading = asyncio.create_task(rest_of(socket))
        with contextlib.suppress(websockets.ConnectionClosed):
            # The caller talks on while the platform closes: what comes after the close frame must do no harm.
            while not reading.done():
                await socket.send(FRAME)
                await asyncio.sleep(0)
        frames = await reading
        (call,) = simulator.calls
        wanted = part.greeting.encoded(call.form) if part.greeting else b""
        assert b"".join(frame for frame in frames if isinstance(frame, bytes)).startswith(wanted)
        assert socket.close_code == 1000
        assert call.end_reason in ("agent_hangup", "assistant-ended-call")


@BOTH
@pytest.mark.parametrize("word", ["429:7", "500", "401", "402", "503:30"])
async def test_rest_fails_on_demand(service: ServiceName, word: str) -> None:
    async with Simulator(service, failures=parse([word], first=1)) as simulator:
        answer = await create(simulator, service)
        status, _, retry_after = word.partition(":")
        assert (answer.status_code, answer.headers.get("retry-after", "")) == (int(status), retry_after)
        assert answer.json()
        assert (await create(simulator, service)).status_code == 201
        assert len(simulator.calls) == 1


@BOTH
async def test_rest_may_answer_nonsense_or_never(service: ServiceName) -> None:
    async with Simulator(service, failures=Failures(rest="nonsense")) as simulator:
        answer = await create(simulator, service)
        assert answer.status_code == 201
        with pytest.raises(json.JSONDecodeError):
            answer.json()
        simulator.account.failures = Failures(rest="never")
        waiting = asyncio.create_task(create(simulator, service))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert done == set()
        waiting.cancel()


@BOTH
async def test_the_socket_may_be_refused(service: ServiceName) -> None:
    async with Simulator(service, failures=parse(["refuse:503"])) as simulator:
        url = media_url(await create(simulator, service))
        with pytest.raises(websockets.InvalidStatus, match="503"):
            await websockets.connect(url)


@BOTH
async def test_the_socket_may_close_at_once(service: ServiceName) -> None:
    async with joined(service, failures=parse(["close"])) as (socket, _):
        assert await rest_of(socket) == []
        assert socket.close_code == 1000


@BOTH
async def test_text_may_come_where_audio_is_due(service: ServiceName) -> None:
    async with joined(service, failures=parse(["text"])) as (socket, _):
        await socket.send(FRAME)
        frames = [await socket.recv() for _ in range(6)]
        assert [frame for frame in frames if isinstance(frame, bytes)] == []
        assert isinstance(frames[-1], str)
        assert "audio" in json.loads(frames[-1])


@BOTH
async def test_the_socket_may_be_cut(service: ServiceName) -> None:
    async with joined(service, failures=parse(["drop:50"])) as (socket, _):
        await rest_of(socket)
        assert socket.close_code == 1006
    async with joined(service) as (socket, simulator):
        (call,) = simulator.calls
        await socket.send(FRAME)
        await next_audio(socket)
        assert simulator.cut(call.id)
        await rest_of(socket)
        assert socket.close_code == 1006
        await asyncio.sleep(0)
        assert not simulator.cut(call.id)


@BOTH
async def test_the_socket_may_go_silent(service: ServiceName) -> None:
    async with joined(service, failures=parse(["silent:0"])) as (socket, simulator):
        await asyncio.sleep(0.05)
        for _ in range(3):
            await socket.send(FRAME)
        await socket.ping()
        (call,) = simulator.calls
        for _ in range(100):
            if call.received_bytes == 3 * len(FRAME):
                break
            await asyncio.sleep(0.01)
        assert (call.received_bytes, call.sent_bytes) == (3 * len(FRAME), 0)


@BOTH
async def test_what_was_held_up_comes_in_one_burst(service: ServiceName) -> None:
    async with joined(service, failures=parse(["stall:0:300"])) as (socket, simulator):
        await asyncio.sleep(0.05)
        for _ in range(5):
            await socket.send(FRAME)
        (call,) = simulator.calls
        await (await socket.ping())
        assert call.sent_bytes == 0
        assert [await next_audio(socket) for _ in range(5)] == [FRAME] * 5
        await socket.send(FRAME)
        assert await next_audio(socket) == FRAME


async def test_stopping_ends_the_calls_and_twice_is_once() -> None:
    async with Simulator("vapi") as simulator:
        socket = await websockets.connect(media_url(await create(simulator, "vapi")), compression=None)
        await socket.recv()
        closing = asyncio.create_task(rest_of(socket))
        await simulator.stop()
        await closing
        assert socket.close_code == 1001
        (call,) = simulator.calls
        assert call.ended


async def test_a_port_that_is_taken_leaves_no_other_one_open() -> None:
    async with Simulator("vapi") as simulator:
        rest_port, media_port = (int(url.rpartition(":")[2]) for url in (simulator.url, simulator.account.media_url))
        for port, other in ((rest_port, 0), (0, media_port)):
            with pytest.raises(OSError, match="in use"):
                await Simulator("vapi", port=port, media_port=other).start()


async def test_a_simulator_can_live_on_ipv6() -> None:
    async with Simulator("ultravox", host="::1") as simulator:
        assert simulator.url.startswith("http://[::1]:")
        answer = await create(simulator, "ultravox")
        async with websockets.connect(media_url(answer)) as socket:
            await socket.send(FRAME)
            assert await next_audio(socket) == FRAME
