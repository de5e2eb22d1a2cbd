"""Too much of everything at the real sip process: scanners while a partner calls, and all registrations at once."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter

from sip import messages as m
from tests.helpers.registrar import Registrar, registering
from tests.helpers.sippeer import SipPeer, sdp
from tests.helpers.sipprocess import LOOPBACK, SipProcess, answered, remote_hang_up

SCANNER = "127.0.0.66"


def cpu_s(process: SipProcess) -> float:
    with open(f"/proc/{process.child.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def flood(process: SipProcess, count: int) -> None:
    """INVITEs from nobody, some 5000 in a second."""
    async with await SipPeer.udp(process.udp, SCANNER) as scanner:
        invite = scanner.dialog().send("INVITE", sdp=sdp(port=40000))
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.bind((SCANNER, 0))
            for sent in range(count):
                sock.sendto(invite, process.udp)
                if sent % 20 == 0:
                    await asyncio.sleep(0.004)
        assert scanner.inbox == []


async def whole_call(process: SipProcess, peer: SipPeer) -> None:
    """Whatever the gate tells in between."""
    call = peer.invite(sdp=sdp(port=40000))
    while not isinstance(event := await process.event(), m.Incoming):
        pass
    process.send(m.Refuse(call=event.call, status=486))
    assert (await call.response("INVITE")).status == 486
    call.ack(rejected=True)


class TestScanners:
    async def test_they_cost_a_small_part_of_what_a_call_costs(self) -> None:
        async with SipProcess(LOOPBACK) as process, await SipPeer.udp(process.udp) as peer:
            before = cpu_s(process)
            for _ in range(60):
                call, name = await answered(process, peer)
                await call.hang_up()
                assert await process.expect(m.Ended) == remote_hang_up(name)
            calls_s = (cpu_s(process) - before) / 60
            before = cpu_s(process)
            await flood(process, 6000)
            async with asyncio.timeout(10):
                told = 0
                while told < 5000:  # a full socket buffer drops some before us
                    told += (await process.expect(m.Dropped)).count
            dropped_s = (cpu_s(process) - before) / 6000
            assert dropped_s < calls_s / 10

    async def test_partners_are_served_all_the_while(self) -> None:
        async with SipProcess(LOOPBACK) as process, await SipPeer.udp(process.udp) as peer:
            scanning = asyncio.create_task(flood(process, 8000))
            calls = 0
            while not scanning.done():
                await whole_call(process, peer)
                calls += 1
            await scanning
            assert calls >= 5


def most_at_once(moments: list[float], within_s: float) -> int:
    return max(Counter(int(moment / within_s) for moment in moments).values())


class TestRegistrations:
    async def test_fifty_register_are_lost_and_come_back_each_in_its_own_moment(self) -> None:
        users = [f"user{number}" for number in range(50)]
        async with await Registrar.start() as registrar:
            registrar.expires_s = 3
            trunks = [registering(registrar, name=user, username=user, retry_s=1) for user in users]
            async with SipProcess(*trunks, transaction_timeout_ms=1000) as process:
                states: dict[str, str] = {}

                async def until(state: str) -> None:
                    while sum(one == state for one in states.values()) < len(users):
                        told = await process.expect(m.Registration)
                        states[told.trunk] = told.state

                await until("registered")
                assert registrar.registered == set(users)
                assert most_at_once(list(registrar.moments.values()), 0.1) <= 25
                registrar.is_alive = False
                registrar.moments.clear()
                await until("unreachable")
                await asyncio.sleep(2)
                # Renewals and tries of the dead one: spread, and few.
                assert most_at_once(list(registrar.moments.values()), 0.1) <= 25
                assert len(registrar.moments) <= 4 * len(users)
                registrar.is_alive = True
                registrar.registered.clear()
                await until("registered")
                assert registrar.registered == set(users)
                process.send(m.Stop())
                await until("unregistered")
            assert registrar.registered == set()
