"""The life of the process itself: how it starts, how it ends, and what it does when its parent is slow or gone."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket

import pytest

from sip import messages as m
from sip import process as subject
from sip.process import JsonLines, Parent
from sip.sdp import build_offer
from tests.helpers.sippeer import Dialog, SipPeer, sdp
from tests.helpers.sipprocess import LOOPBACK, SipProcess

OFFER = build_offer(("PCMU",), host="127.0.0.1", port=20000)


async def talking(process: SipProcess, peer: SipPeer) -> Dialog:
    call = peer.invite(sdp=sdp(port=40000, formats="0 101"))
    incoming = await process.expect(m.Incoming)
    process.send(m.Answer(call=incoming.call, sdp=OFFER))
    await call.talk()
    await process.expect(m.Confirmed)
    return call


class TestStart:
    async def test_free_ports_are_told(self) -> None:
        async with SipProcess() as process:
            assert process.started.udp_port > 0
            assert process.started.tcp_port > 0

    async def test_a_transport_that_is_off(self) -> None:
        async with SipProcess(tcp_port=-1) as process:
            assert process.started.tcp_port == -1

    @pytest.mark.parametrize("kind", ["udp", "tcp"])
    async def test_a_port_in_use_is_named(self, kind: str) -> None:
        with socket.socket(type=socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as taken:
            taken.bind(("127.0.0.1", 0))
            if kind == "tcp":
                taken.listen()
            port = taken.getsockname()[1]
            process = SipProcess(**{f"{kind}_port": port})
            await process.launch()
            failed = await process.expect(m.StartFailed)
            assert failed.why.startswith(f"{kind} port {port} on 127.0.0.1: ")
            assert "in use" in failed.why
            assert await process.ended() == 1
            assert [line["level"] for line in process.log if "cannot start" in line["msg"]] == ["error"]
            process.sock.close()

    @pytest.mark.parametrize(
        ("trunk", "why"),
        [
            (m.TrunkAccount(name="t", kind="peer", sources=("10.0.0.0/99",)), "trunk t: source '10.0.0.0/99' is no"),
            (m.TrunkAccount(name="t", kind="register", registrar="no uri", password="s3cret"), "trunk t: Invalid URI"),
        ],
        ids=["source", "registrar"],
    )
    async def test_a_wrong_trunk_is_named(self, trunk: m.TrunkAccount, why: str) -> None:
        process = SipProcess(trunk)
        await process.launch()
        assert (await process.expect(m.StartFailed)).why.startswith(why)
        assert await process.ended() == 1
        assert "s3cret" not in str(process.log)
        process.sock.close()


class TestEnd:
    async def test_stop_hangs_up_and_ends(self) -> None:
        async with SipProcess() as process, await SipPeer.udp(process.udp) as peer:
            call = await talking(process, peer)
            ringing = peer.invite(sdp=sdp(port=40002))
            await process.expect(m.Incoming)
            process.send(m.Stop())
            assert (await ringing.response("INVITE")).status == 503
            ringing.ack(rejected=True)
            late = peer.invite(sdp=sdp(port=40004))
            assert (await late.response("INVITE")).status == 503
            late.ack(rejected=True)
            call.respond(await call.request("BYE"), 200)
            assert {(await process.expect(m.Ended)).by for _ in range(2)} == {"local"}
            assert await process.ended() == 0

    async def test_the_grace_is_all_a_silent_peer_gets(self) -> None:
        async with SipProcess() as process, await SipPeer.udp(process.udp) as peer:
            call = await talking(process, peer)
            process.send(m.Stop(grace_ms=200))
            await call.request("BYE")
            assert await process.ended() == 0

    async def test_a_parent_that_is_gone(self) -> None:
        async with SipProcess() as process, await SipPeer.udp(process.udp) as peer:
            call = await talking(process, peer)
            process.sock.close()
            call.respond(await call.request("BYE"), 200)
            assert await process.ended() == 0
        assert [line["msg"] for line in process.log] == ["the control process is gone: hanging up"]

    async def test_sigterm_is_a_stop_and_sigint_the_parents_affair(self) -> None:
        async with SipProcess() as process, await SipPeer.udp(process.udp) as peer:
            process.child.send_signal(signal.SIGINT)
            call = await talking(process, peer)
            process.child.terminate()
            call.respond(await call.request("BYE"), 200)
            assert (await process.expect(m.Ended)).by == "local"
            assert await process.ended() == 0


class TestLoop:
    async def test_pings_prove_that_the_loop_turns(self) -> None:
        async with SipProcess() as process:
            for number in (1, 2):
                process.send(m.Ping(number=number))
                assert await process.expect(m.Pong) == m.Pong(number=number, calls=0)

    async def test_a_packet_that_is_no_command_does_no_harm(self) -> None:
        async with SipProcess() as process:
            for packet in (b"\xff", b"\x80", b"\x81\xa2is\xa3Foo"):
                process.sock.send(packet)
            process.send(m.Hangup(call="nobody"))
            process.send(m.Ping(number=1))
            assert await process.expect(m.Pong) == m.Pong(number=1, calls=0)
        assert [line["level"] for line in process.log if line["msg"].startswith("not a command")] == ["error"] * 3

    async def test_idling_costs_next_to_nothing(self) -> None:
        """No spinning on a timer that PJSIP counts in whole milliseconds, none on a readable descriptor."""
        async with SipProcess(LOOPBACK) as process:
            before = cpu_s(process.child.pid)
            await asyncio.sleep(1.0)
            assert cpu_s(process.child.pid) - before < 0.1


def cpu_s(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class TestParent:
    """The socket to a parent that reads slowly, or no longer."""

    @pytest.fixture
    def ends(self) -> tuple[socket.socket, socket.socket]:
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    async def test_events_wait_in_order_for_a_slow_parent(self, ends: tuple[socket.socket, socket.socket]) -> None:
        ours, theirs = ends
        with ours, theirs:
            parent = Parent(ours, asyncio.get_running_loop())
            for number in range(3000):
                parent.send(m.Pong(number=number, calls=0))
            theirs.setblocking(False)
            loop = asyncio.get_running_loop()
            got = [m.decode_event(await loop.sock_recv(theirs, 65536)) for _ in range(3000)]
            assert got == [m.Pong(number=number, calls=0) for number in range(3000)]
            assert not parent.is_lost

    async def test_a_parent_that_does_not_read_is_given_up(
        self, ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(subject, "MAX_WAITING", 10)
        ours, theirs = ends
        with ours, theirs:
            parent = Parent(ours, asyncio.get_running_loop())
            for number in range(3000):
                parent.send(m.Pong(number=number, calls=0))
            assert parent.is_lost
            asyncio.get_running_loop().remove_writer(ours)

    async def test_a_parent_that_is_gone(self, ends: tuple[socket.socket, socket.socket]) -> None:
        ours, theirs = ends
        with ours:
            parent = Parent(ours, asyncio.get_running_loop())
            assert parent.receive() is None
            theirs.close()
            parent.send(m.Pong(number=1, calls=0))
            assert parent.is_lost
            assert parent.receive() == b""


def test_log_lines_are_json() -> None:
    record = logging.LogRecord("sip", logging.WARNING, "", 0, "line %d\nbroken", (7,), None)
    record.call = "c1"
    assert json.loads(JsonLines().format(record)) == {"level": "warning", "msg": "line 7\nbroken", "call": "c1"}
    assert "\n" not in JsonLines().format(record)
