"""What is left of a call that is over: its figures, and nothing that weighs anything."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from media import wire
from media.call import Call
from tests.helpers.workerbench import Bench, bench, until


def standing(on: Bench) -> list[weakref.ref[Call]]:
    return [weakref.ref(call) for call in on.worker._calls.values()]


@pytest.mark.parametrize("codec", ["PCMU", "G722", "opus"])
@pytest.mark.parametrize("end", ["close", "platform hangs up", "two platforms", "never connected"])
async def test_a_call_is_gone_when_it_is_closed(codec: str, end: str) -> None:
    """Without the garbage collector, which a worker lets sleep: with it a leak would be a question of hours."""
    async with bench() as on:
        target = await on.control.open()
        [call] = standing(on)
        if end != "never connected":
            caller = on.caller(target, {"PCMU": 0, "G722": 9, "opus": 96}[codec])
            for _ in range(2 if end == "two platforms" else 1):
                await on.control.send(wire.ConnectFar(call="c1", far=on.platform.spec()))
                await on.control.next(wire.FarReady)
            await on.control.send(wire.StartNear(call="c1", near=caller.near(codec)))
            await until(lambda: len(caller.heard) > 5)
            await caller.speak([caller.heard[0].payload] * 5)
        if end == "platform hangs up":
            assert on.platform.socket is not None
            await on.platform.socket.close()
            await on.control.next(wire.FarEnded)
        gc.collect()
        gc.disable()
        try:
            report = await on.control.close()
            await asyncio.sleep(0.1)  # the alarm's last ring, and the close of the socket
            assert call() is None, gc.get_referrers(call())
        finally:
            gc.enable()
        assert report.near.received == (0 if end == "never connected" else 5)
