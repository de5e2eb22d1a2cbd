"""The parent's side of the sip process, with the real one."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from bridge.calls.lines import OnEvent, SipLine
from bridge.calls.words import LineLost
from bridge.children import Care, ChildFailed
from sip import messages as sip

OPTIONS = sip.EndpointOptions(host="127.0.0.1", udp_port=0, tcp_port=0, max_calls=4)
CARE = Care(ping_s=0.1, stop_s=5.0)


class Heard:
    def __init__(self) -> None:
        self.events: list[sip.AnyEvent | LineLost] = []
        self.came = asyncio.Event()

    def __call__(self, event: sip.AnyEvent | LineLost) -> None:
        self.events.append(event)
        self.came.set()

    async def until(self, count: int) -> list[str]:
        async with asyncio.timeout(20):
            while len(self.events) < count:
                self.came.clear()
                await self.came.wait()
        return [type(event).__name__ for event in self.events]


async def started(line: SipLine, on_event: OnEvent) -> sip.Started:
    async with asyncio.timeout(30):
        return await line.start(on_event)


async def test_up_lost_up_again() -> None:
    heard, line = Heard(), SipLine(OPTIONS, (), care=CARE)
    try:
        where = await started(line, heard)
        assert where.udp_port > 0
        assert where.tcp_port > 0
        assert line.started == where
        os.kill(line.child.pid, 9)
        assert await heard.until(4) == ["Started", "LineLost", "Started", "TrunksSet"]
        assert heard.events[1] == LineLost("killed by SIGKILL")
        assert line.started == where  # the port that the first one was given
    finally:
        await line.stop()
    assert not line.send(sip.Hangup(call="c1"))


async def test_a_port_that_is_taken_is_told_by_the_stacks_own_sentence() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        line = SipLine(sip.EndpointOptions(udp_port=port, tcp_port=-1, max_calls=4), (), care=CARE)
        with pytest.raises(ChildFailed, match=str(port)):
            await started(line, Heard())
    assert line.started is None


async def test_a_trunk_that_the_stack_refuses_does_not_keep_it_from_starting_again() -> None:
    bad = sip.TrunkAccount(name="bad", kind="peer", sources=("nonsense",))
    good = sip.TrunkAccount(name="good", kind="peer", sources=("127.0.0.7",))
    heard, line = Heard(), SipLine(OPTIONS, (good,), care=CARE)
    problem = "trunk bad: source 'nonsense' is no address or CIDR range"
    try:
        where = await started(line, heard)
        line.set_trunks((bad, good))
        await heard.until(2)
        os.kill(line.child.pid, 9)
        assert await heard.until(5) == ["Started", "TrunksSet", "LineLost", "Started", "TrunksSet"]
        assert heard.events[3] == where
        missing = {"bad": problem.removeprefix("trunk bad: ")}
        assert heard.events[1] == heard.events[4] == sip.TrunksSet(problems=(problem,), missing=missing)
        os.kill(line.child.pid, 9)
        await heard.until(6)
        line.set_trunks((bad,))  # while there is none
        assert await heard.until(8) == [*(type(one).__name__ for one in heard.events[:6]), "Started", "TrunksSet"]
        assert heard.events[6] == where
    finally:
        await line.stop()


async def test_at_the_first_start_such_a_trunk_is_an_error() -> None:
    bad = sip.TrunkAccount(name="bad", kind="peer", sources=("nonsense",))
    line = SipLine(OPTIONS, (), care=CARE)
    line.set_trunks((bad,))
    with pytest.raises(ChildFailed, match="trunk bad: source 'nonsense'"):
        await started(line, Heard())
