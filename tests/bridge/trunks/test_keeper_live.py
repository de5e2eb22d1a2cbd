"""The keeper with a real sip process, partners on loopback and a name server: what no stand-in can prove."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.bench.failover.names import NameServer
from bridge.calls.lines import SipLine
from bridge.calls.trunks import Wanted
from bridge.config import TrunkSection
from bridge.records import TrunkEvent
from bridge.trunks.keeper import TrunkKeeper
from bridge.trunks.lookup import Names
from sip import messages as sip
from tests.helpers.farside import FarSide
from tests.helpers.workerbench import until

MX = Wanted(number="+525512345678", country="MX")


@asynccontextmanager
async def keeping(
    *trunks: TrunkSection, names: NameServer | None = None
) -> AsyncIterator[tuple[TrunkKeeper, list[TrunkEvent]]]:
    events: list[TrunkEvent] = []
    line = SipLine(sip.EndpointOptions(udp_port=0, tcp_port=-1, max_calls=4), ())
    keeper = TrunkKeeper(trunks, line, Names((names.address,) if names else ()), events.append)
    line.set_trunks(keeper.accounts({}))
    keeper.start()
    await line.start(keeper.on_sip)
    try:
        yield keeper, events
    finally:
        await keeper.stop()
        await line.stop()


def best(keeper: TrunkKeeper) -> str:
    ways = keeper.choices(MX).ways
    return ways[0].trunk if ways else ""


def told(events: list[TrunkEvent], trunk: str) -> list[str]:
    return [event.kind for event in events if event.trunk == trunk]


async def test_a_partner_goes_deaf_and_comes_back() -> None:
    async with FarSide("127.0.0.7") as one, FarSide("127.0.0.8") as two:
        trunks = (
            TrunkSection(name="one", host=one.address, probe_every_s=0.5),
            TrunkSection(name="two", host=two.address, probe_every_s=0.5, role="backup"),
        )
        async with asyncio.timeout(60), keeping(*trunks) as (keeper, events):
            await until(lambda: all(state.targets[0].status == 200 for state in keeper.states()))
            assert best(keeper) == "one"
            one.is_deaf = True
            await until(lambda: best(keeper) == "two", timeout_s=5.0)
            one.is_deaf = False
            await until(lambda: best(keeper) == "one", timeout_s=20.0)
            assert told(events, "one") == ["target-down", "down", "target-up", "half-open"]
            assert told(events, "two") == []


async def test_a_name_leads_elsewhere_and_its_server_dies() -> None:
    async with FarSide("127.0.0.7") as one, FarSide("127.0.0.8") as two, NameServer() as names:
        names.put("_sip._udp.p.example", "SRV", f"10 0 {one.port} a.example.", ttl_s=1)
        names.put("a.example", "A", one.host, ttl_s=1)
        names.put("b.example", "A", two.host, ttl_s=1)
        trunk = TrunkSection(name="named", host="p.example", probe_every_s=0.3)
        async with asyncio.timeout(60), keeping(trunk, names=names) as (keeper, events):
            await until(lambda: one.heard["OPTIONS"] >= 2)
            names.put("_sip._udp.p.example", "SRV", f"10 0 {two.port} b.example.", ttl_s=1)
            await until(lambda: two.heard["OPTIONS"] >= 2)
            assert told(events, "named") == ["target-changed"]
            names.is_dead = True
            await until(lambda: "lookup-failed" in told(events, "named"), timeout_s=15.0)
            heard = two.heard["OPTIONS"]
            await until(lambda: two.heard["OPTIONS"] > heard + 1)
            assert best(keeper) == "named"


async def test_one_address_of_two_dies_and_the_trunk_lives() -> None:
    async with FarSide("127.0.0.7") as one, FarSide("127.0.0.8") as two, NameServer() as names:
        names.put("_sip._udp.p.example", "SRV", f"10 0 {one.port} a.example.", f"20 0 {two.port} b.example.")
        names.put("a.example", "A", one.host)
        names.put("b.example", "A", two.host)
        trunk = TrunkSection(name="named", host="p.example", probe_every_s=0.3)
        async with asyncio.timeout(60), keeping(trunk, names=names) as (keeper, events):
            await until(lambda: keeper.choices(MX).ways and one.heard["OPTIONS"] and two.heard["OPTIONS"])
            assert [way.target and way.target.address for way in keeper.choices(MX).ways] == [one.host, two.host]
            one.is_deaf = True
            await until(lambda: "target-down" in told(events, "named"))
            [way] = keeper.choices(MX).ways
            assert way.target is not None
            assert way.target.address == two.host
            assert told(events, "named") == ["target-down"]


async def test_a_sip_process_that_is_killed_is_told_all_again() -> None:
    async with FarSide("127.0.0.7") as one:
        trunk = TrunkSection(name="one", host=one.address, probe_every_s=0.3)
        line = SipLine(sip.EndpointOptions(udp_port=0, tcp_port=-1, max_calls=4), ())
        keeper = TrunkKeeper([trunk], line, Names())
        line.set_trunks(keeper.accounts({}))
        keeper.start()
        started = await line.start(keeper.on_sip)
        try:
            async with asyncio.timeout(60):
                await until(lambda: one.heard["OPTIONS"])
                os.kill(line.child.pid, signal.SIGKILL)
                await until(lambda: line.started is None)
                await until(lambda: line.started is not None, timeout_s=15.0)
                assert line.started == started
                heard = one.heard["OPTIONS"]
                await until(lambda: one.heard["OPTIONS"] > heard)
                assert best(keeper) == "one"
        finally:
            await keeper.stop()
            await line.stop()
