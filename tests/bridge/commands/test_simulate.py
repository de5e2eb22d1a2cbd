"""`puente simulate` as a process: it says ready, serves, and leaves when it is told to."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from bridge import __main__ as door

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def simulate(*words: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The running process and the line that says ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "simulate", *words),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield process, (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize(
    ("service", "number", "path"), [("ultravox", signal.SIGTERM, "/api/calls"), ("vapi", signal.SIGINT, "/call")]
)
async def test_it_says_ready_serves_and_leaves(service: str, number: signal.Signals, path: str) -> None:
    async with simulate(service, "--behaviour", "echo", "--fail", "429:5", "--quiet") as (process, ready):
        word, url = ready.split()
        assert word == "ready"
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.post(url + path, json={})).status_code == 401
        process.send_signal(number)
        out, errors = await asyncio.wait_for(process.communicate(), 20)
        assert (process.returncode, out, errors) == (0, b"", b"")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--fail", "dance"], "'dance'"),
        (["--behaviour", "prompt", "--prompt-file", "/nowhere/x.wav"], "/nowhere/x.wav"),
        (["--speech-dir", "/nowhere"], "/nowhere/greeting.wav"),
        (["--api-key-file", "/nowhere/key"], "/nowhere/key"),
        (["--host", "192.0.2.1"], ""),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert door.main(["simulate", "ultravox", *words]) == 1
    out = capsys.readouterr().err
    assert out.startswith("puente simulate: ")
    assert complaint in out
    assert out.count("\n") == 1
