"""The simulators before third-party judges: clients that work with the real services, in a venv of their own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bridge.simulators.audio import tone_utterance
from bridge.simulators.part import Part
from bridge.simulators.simulator import ServiceName, Simulator

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-interop" / "bin" / "python"
SCRIPTS = Path(__file__).parent / "scripts"


GREETING = "one two three four five six"

PART = Part(
    greeting=tone_utterance(440, 6000, GREETING),
    replies=(tone_utterance(660, 3000, "yes of course"),),
    caller_lines=("stop please",),
)


async def run(script: str, service: ServiceName) -> tuple[Any, Simulator]:
    """What the client saw, and the simulator that it saw it from."""
    assert PYTHON.exists(), "the third-party clients are not installed; `make test` does it"
    async with Simulator(service, part=PART) as simulator:
        process = await asyncio.create_subprocess_exec(
            PYTHON, SCRIPTS / script, simulator.url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            out, errors = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, errors.decode()[-2000:]
        return json.loads(out), simulator


async def test_livekit_talks_to_ultravox() -> None:
    seen, simulator = await run("ultravox_livekit.py", "ultravox")
    (call,) = simulator.calls
    greeting, reply = seen["generations"]
    assert seen["events"] == ["cleared"]
    assert seen["heard"] == ["stop please"]
    # The client asks for a buffer of 30 s: it holds the whole greeting when the caller interrupts.
    assert greeting["audio_ms"] == 6000
    assert GREETING.startswith(greeting["text"])
    assert "" != greeting["text"] != GREETING
    assert reply["audio_ms"] == 3000
    assert "yes of course".startswith(reply["text"])
    assert reply["text"]
    assert call.request["medium"]["serverWebSocket"]["clientBufferSizeMs"] == 30000
    assert [message.role for message in call.messages[:2]] == ["agent", "user"]
    assert call.warnings == []


async def test_pipecat_joins_ultravox() -> None:
    seen, simulator = await run("ultravox_pipecat.py", "ultravox")
    (call,) = simulator.calls
    assert seen["heard"] == ["stop please"]
    assert seen["interruptions"] > 0
    assert seen["text"].startswith("one")
    assert "yes" in seen["text"]
    # Paced close to real time, at its 48 kHz: the greeting was cut, so not all of it was ever sent.
    assert 0 < seen["audio_ms"] < 6000
    assert call.form.rate_hz == 48000
    assert [warning for warning in call.warnings if "unknown" in warning] == []


async def test_the_vendors_sdk_calls_vapi() -> None:
    seen, simulator = await run("vapi_sdk.py", "vapi")
    (call,) = simulator.calls
    types = seen.pop("types")
    audio_ms = seen.pop("audio_ms")
    assert seen == {
        "close_code": 1000,
        "concurrency_blocked": False,
        "status": "ended",
        "ended_reason": "customer-ended-call",
        "refused": 400,
    }
    assert types[0] == "status-update"
    assert types[-1] == "status-update"
    assert types.count("user-interrupted") == 1
    assert {"speech-update", "transcript", "model-output", "conversation-update"} < set(types)
    # Sound without a pause for as long as the client sent, to the frame or so.
    assert audio_ms == pytest.approx(call.received_ms, abs=200)
    assert call.request["assistantOverrides"]["variableValues"] == {"name": "Ada"}
