"""The platform as a process, met by another WebSocket library."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

from bridge.bench.marks import mark
from bridge.bench.results import Heard, Stall
from bridge.bench.rig import asked, child, told_port

MULAW = {"transport": {"provider": "vapi.websocket", "audioFormat": {"format": "mulaw"}}}


async def join(port: int) -> ClientConnection:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        url = (await client.post("/call", json=MULAW)).json()["transport"]["websocketCallUrl"]
    socket = await connect(url, compression=None)
    assert msgspec.json.decode(await socket.recv())["status"] == "in-progress"
    return socket


async def test_frames_come_back_later_and_in_order(tmp_path: Path) -> None:
    line = '{"one_way_ms": 30, "jitter_ms": 10}'
    async with child(
        "bridge.bench.delayed_platform", "--line", line, "--processing-ms", "5", log=tmp_path / "log"
    ) as process:
        port = await told_port(process, tmp_path / "log")
        async with await join(port) as socket:
            frames = [mark(0, index) for index in range(10)]
            began = time.monotonic()
            for frame in frames:
                await socket.send(frame)
            assert [await socket.recv() for _ in frames] == frames
        heard = await asked(port, "/bench/heard", list[Heard])
    assert [one.index for one in heard] == list(range(10))
    assert all(began <= one.at_s for one in heard)
    assert min(one.said_s - one.at_s for one in heard) >= 2 * 0.02 + 0.005
    assert (tmp_path / "log").read_text() == ""


async def test_a_stall_holds_everything_back_and_lets_it_out_at_once(tmp_path: Path) -> None:
    async with child("bridge.bench.delayed_platform", log=tmp_path / "log") as process:
        port = await told_port(process, tmp_path / "log")
        async with await join(port) as socket:
            await socket.send(mark(0, 0))
            assert await socket.recv() == mark(0, 0)
            stall = await asked(port, "/bench/stall?ms=300", Stall, "POST")
            for index in range(1, 6):
                await socket.send(mark(0, index))
                await asyncio.sleep(0.01)
            assert [await socket.recv() for _ in range(5)] == [mark(0, index) for index in range(1, 6)]
            assert time.monotonic() >= stall.ended_s
        first, *held = await asked(port, "/bench/heard", list[Heard])
    assert stall.ended_s - stall.began_s == pytest.approx(0.3)
    assert first.said_s < stall.began_s
    assert all(stall.began_s < one.at_s < stall.ended_s <= one.said_s for one in held)


async def test_a_socket_that_closes_with_frames_waiting_leaves_nothing(tmp_path: Path) -> None:
    async with child("bridge.bench.delayed_platform", "--processing-ms", "100", log=tmp_path / "log") as process:
        port = await told_port(process, tmp_path / "log")
        async with await join(port) as socket:
            await socket.send(mark(0, 0))
        async with await join(port) as socket:
            await socket.send(mark(0, 1))
            assert await socket.recv() == mark(0, 1)
    assert (tmp_path / "log").read_text() == ""
