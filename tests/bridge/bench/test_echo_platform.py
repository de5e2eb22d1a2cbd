"""The platform as a process, met by another WebSocket library."""

from __future__ import annotations

import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bridge.bench.marks import SILENCE, linear, mark
from bridge.bench.results import Heard
from bridge.bench.rig import child, told_port

QUIET_S16 = b"\x00" * 320


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    log = tmp_path / "platform.log"
    async with child("bridge.bench.echo_platform", log=log) as process:
        port = await told_port(process, log)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as found:
            yield found
    assert log.read_text() == ""


async def create_ultravox(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.post(path, json={"medium": {"serverWebSocket": {"inputSampleRate": 8000}}})
    assert answer.status_code == 201
    return str(answer.json()["joinUrl"])


async def create_vapi(client: httpx.AsyncClient, audio_format: dict[str, Any]) -> str:
    answer = await client.post("/call", json={"transport": {"provider": "vapi.websocket", **audio_format}})
    assert answer.status_code == 201
    return str(answer.json()["transport"]["websocketCallUrl"])


async def heard(client: httpx.AsyncClient) -> list[Heard]:
    return msgspec.json.decode((await client.get("/bench/heard")).content, type=list[Heard])


def s16le(mulaw: bytes) -> bytes:
    return struct.pack(f"<{len(mulaw)}h", *map(linear, mulaw))


async def test_ultravox_echoes_and_notes_marks(client: httpx.AsyncClient) -> None:
    url = await create_ultravox(client, "/api/agents/bench/calls")
    frames = [QUIET_S16, s16le(mark(17, 4)), QUIET_S16, s16le(mark(17, 5))]
    before = time.monotonic()
    async with connect(url, compression=None) as socket:
        hello = [await socket.recv(), await socket.recv()]
        for frame in frames:
            await socket.send(frame)
        echoed = [await socket.recv() for _ in frames]
    after = time.monotonic()
    assert [msgspec.json.decode(text)["type"] for text in hello] == ["call_started", "state"]
    assert echoed == frames
    notes = await heard(client)
    assert [(note.call, note.index) for note in notes] == [(17, 4), (17, 5)]
    assert before <= notes[0].at_s <= notes[1].at_s <= after
    assert await heard(client) == []


@pytest.mark.parametrize(
    ("audio_format", "frames"),
    [
        ({"audioFormat": {"format": "mulaw", "sampleRate": 8000}}, [SILENCE, mark(3, 1)]),
        ({"audioFormat": {"format": "pcm_s16le", "sampleRate": 8000}}, [QUIET_S16, s16le(mark(3, 1))]),
        ({}, [QUIET_S16, s16le(mark(3, 1))]),
    ],
    ids=["mulaw", "pcm", "default"],
)
async def test_vapi_echoes_in_the_format_asked_for(
    client: httpx.AsyncClient, audio_format: dict[str, Any], frames: list[bytes]
) -> None:
    async with connect(await create_vapi(client, audio_format), compression=None) as socket:
        hello = msgspec.json.decode(await socket.recv())
        for frame in frames:
            await socket.send(frame)
        assert [await socket.recv() for _ in frames] == frames
    assert hello == {"type": "status-update", "status": "in-progress"}
    assert [(note.call, note.index) for note in await heard(client)] == [(3, 1)]


async def test_a_call_can_be_joined_once(client: httpx.AsyncClient) -> None:
    url = await create_ultravox(client, "/api/calls")
    async with connect(url, compression=None):
        with pytest.raises(InvalidStatus, match="404"):
            await connect(url, compression=None)
