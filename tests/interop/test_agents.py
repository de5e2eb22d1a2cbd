"""Agents of others, behind Twilio Media Streams: a whole worker of ours calls them with our own adapter and dialect."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.config import PlatformSection
from bridge.platforms import DIALECTS, CallFacts
from bridge.platforms.twilio import Twilio
from media import wire
from media.codecs import CODECS
from tests.helpers.audio import loudest_hz, tone
from tests.helpers.workerbench import Bench, bench, until

PYTHON = Path(__file__).parents[2] / ".venv-interop" / "bin" / "python"
SCRIPTS = Path(__file__).parent / "scripts"
PCMU = CODECS["PCMU"]


@contextlib.asynccontextmanager
async def agent(script: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Where it listens, and the process, whose last line is what it saw."""
    assert PYTHON.exists(), "the third-party clients are not installed; `make test` does it"
    process = await asyncio.create_subprocess_exec(
        PYTHON, SCRIPTS / script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        port = int(await asyncio.wait_for(process.stdout.readline(), 60))
        yield f"ws://127.0.0.1:{port}/media", process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def seen_by(process: asyncio.subprocess.Process) -> Any:
    out, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, errors.decode()[-2000:]
    return json.loads(out)


def heard_ms(audio: bytes, hz: float) -> int:
    """How long this tone was heard, to 20 ms."""
    frames = (PCMU.decode(audio[at : at + 160]) for at in range(0, len(audio) - 159, 160))
    return sum(20 for frame in frames if np.max(np.abs(frame)) > 2000 and abs(loudest_hz(frame) - hz) <= 50)


async def marks_answered(on: Bench, count: int) -> None:
    for _ in range(200):
        await on.control.send(wire.ReportCall(call="c1"))
        if (await on.control.next(wire.CallReported)).report.far.marks == count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"fewer than {count} marks")


async def test_pipecat_answers_a_call() -> None:
    async with agent("twilio_pipecat.py") as (url, process), bench(dialects=DIALECTS) as on:
        section = PlatformSection(name="pipecat", kind="twilio", url=url)
        made = await Twilio(section, "").create(CallFacts(call="c1", caller="+34910000001", dialled="100"))
        caller = await on.connected(made.spec)
        song = PCMU.encode(tone(300, 0.6, peak=16000))
        await caller.speak([song[at : at + 160] for at in range(0, len(song), 160)])
        await until(lambda: heard_ms(caller.audio(), 440) >= 400)
        await on.control.send(wire.Digit(call="c1", digit="5"))
        await on.control.moment("flush")
        await until(lambda: heard_ms(caller.audio(), 660) >= 380)
        await marks_answered(on, 2)
        report = await on.control.close()
        seen = await seen_by(process)
    assert seen["kind"] == "twilio"
    assert seen["call"] == {
        "stream_id": made.spec.options["streamSid"],
        "call_id": made.reference,
        "from": "+34910000001",
        "to": "100",
        "body": made.spec.options["customParameters"],
    }
    assert seen["loud_ms"] == pytest.approx(600, abs=80)
    assert seen["digits"] == ["5"]
    # The greeting was still playing: its mark comes back with the clear, the reply's when it was heard.
    assert seen["events"] == ["dtmf", "mark", "mark", "stop"]
    assert seen["marks"] == ["greeting", "reply"]
    assert seen["close_code"] == 1000
    assert heard_ms(caller.audio(), 440) < 1900
    assert (report.far.trouble, report.far.marks) == (0, 2)
    assert report.far.flushed_ms > 0
