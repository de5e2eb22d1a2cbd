"""How a child process of asyncio's is ended: asked, waited for, made to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal


def tell(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to a child; nothing happens to one that has ended.

    Not `process.terminate()`, `kill()` or `send_signal()`: subprocess polls before it sends. Of a child that has died
    in this moment that takes the exit status away from asyncio's own watcher, which then says "Unknown child process
    pid" and makes it 255.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


async def end(process: asyncio.subprocess.Process, patience_s: float) -> None:
    """SIGTERM, and SIGKILL when it has not ended by then. Returns when it is gone."""
    tell(process, signal.SIGTERM)
    try:
        # communicate() reads what is left: a full pipe would keep the child from ending.
        await asyncio.wait_for(process.communicate(), patience_s)
    except TimeoutError:
        tell(process, signal.SIGKILL)
        await process.communicate()
