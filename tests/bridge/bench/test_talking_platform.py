from __future__ import annotations

import time
from pathlib import Path

import httpx
import msgspec
import numpy as np
from websockets.asyncio.client import connect

from bridge.bench.marks import linear, mark
from bridge.bench.results import Clear
from bridge.bench.rig import asked, child, told_port
from bridge.bench.talking_platform import AHEAD_S, RATE_HZ, tone
from media.codecs import CODECS


async def test_it_speaks_ahead_and_interrupts_itself(tmp_path: Path) -> None:
    before = time.monotonic()
    async with child("bridge.bench.talking_platform", "--every-ms", "400", log=tmp_path / "log") as process:
        port = await told_port(process, tmp_path / "log")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            url = (await client.post("/api/agents/bench/calls", json={})).json()["joinUrl"]
        async with connect(url, compression=None) as socket:
            hello = [msgspec.json.decode(await socket.recv())["type"] for _ in range(2)]
            marked = np.array([linear(code) for code in mark(7, 3)], np.int16)
            await socket.send(marked.tobytes())
            spoken = [await socket.recv() for _ in range(AHEAD_S)]
            interruption = await socket.recv()
            again = await socket.recv()
        clears = await asked(port, "/bench/clears", list[Clear])
    assert hello == ["call_started", "state"]
    assert spoken == [tone(1.0)] * AHEAD_S
    assert msgspec.json.decode(interruption) == {"type": "playback_clear_buffer"}
    assert again == tone(1.0)
    assert [clear.call for clear in clears[:1]] == [7]
    assert before < clears[0].at_s < time.monotonic()
    assert (tmp_path / "log").read_text() == ""


def test_no_frame_of_the_tone_is_silent() -> None:
    codes = CODECS["PCMU"].encode(np.frombuffer(tone(1.0), np.int16))
    assert len(codes) == RATE_HZ
    frames = [codes[at : at + 160] for at in range(0, RATE_HZ, 160)]
    assert not any(frame == b"\xff" * 160 for frame in frames)
