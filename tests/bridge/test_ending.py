from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

from bridge.ending import end, tell

SLEEPS = "import time; print('up', flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
FULL_PIPE = (
    f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: print('x' * 1_000_000) or sys.exit(7)); {SLEEPS}"
)


@pytest.fixture(autouse=True)
def nobody_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status of a dead child belongs to asyncio's watcher, however close the race."""

    def poll(process: subprocess.Popen[bytes]) -> int | None:
        raise AssertionError("polled")

    monkeypatch.setattr(subprocess.Popen, "poll", poll)


async def started(code: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    return process


@pytest.mark.parametrize(
    ("code", "status"),
    [(SLEEPS, -signal.SIGTERM), (FULL_PIPE, 7), ("print('up'); raise SystemExit(3)", 3)],
    ids=["asked", "has much to say", "gone before"],
)
async def test_a_child_that_ends_when_it_is_asked(code: str, status: int) -> None:
    process = await started(code)
    if status == 3:
        await process.wait()
    await end(process, 20.0)
    assert process.returncode == status
    await end(process, 20.0)
    tell(process, signal.SIGKILL)
    assert process.returncode == status


async def test_a_child_that_does_not_is_killed() -> None:
    process = await started(DEAF)
    await end(process, 0.1)
    assert process.returncode == -signal.SIGKILL
