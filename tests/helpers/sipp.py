"""Runs a SIPp scenario of tests/data/sipp against the bridge. A call that does not go as written fails the test.

SIPp (http://sipp.sourceforge.net) is in Debian as `sip-tester`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

from tests.helpers.rig import HOST, free_ports

SCENARIOS = Path(__file__).parent.parent / "data" / "sipp"
TIMEOUT_S = 30

Transport = Literal["u1", "t1", "tn"]
"One UDP socket; one TCP connection for all calls, or one for each."


async def sipp(
    scenario: str,
    target: tuple[str, int],
    folder: Path,
    *options: str,
    number: str = "1",
    calls: int = 1,
    per_second: int = 10,
    transport: Transport = "u1",
    within_s: int = TIMEOUT_S,
) -> None:
    """RTP is echoed by SIPp itself. Logs are in `folder`; what they say last is in the error of a failed run."""
    errors, messages = folder / f"{scenario}-errors.log", folder / f"{scenario}-messages.log"
    process = await asyncio.create_subprocess_exec(
        "sipp",
        f"{target[0]}:{target[1]}",
        *("-sf", str(SCENARIOS / f"{scenario}.xml"), "-s", number, "-t", transport, "-i", HOST),
        *("-m", str(calls), "-r", str(per_second), "-l", str(calls)),
        *("-mi", HOST, "-mp", str(free_ports(4)[0]), "-rtp_echo"),
        *("-timeout", f"{within_s}s", "-timeout_error", "-nostdin", "-recv_timeout", "8000"),
        *("-trace_err", "-error_file", str(errors), "-trace_msg", "-message_file", str(messages)),
        *options,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
    )
    try:
        async with asyncio.timeout(within_s + 10):
            screen, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError(f"sipp hangs; see {messages}") from None
    assert process.returncode == 0, (
        f"{scenario}: sipp ended with {process.returncode}\n{_tail(errors, 2000)}\n"
        f"{_tail(messages, 4000)}\n{screen[-1500:].decode(errors='replace')}"
    )


def _tail(path: Path, characters: int) -> str:
    return path.read_text(errors="replace")[-characters:] if path.exists() else ""
