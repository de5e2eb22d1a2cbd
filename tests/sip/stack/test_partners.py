"""Many trunks in the real sip process: probed, reloaded while calls stand, told apart, held to their limits."""

from __future__ import annotations

import asyncio
import socket

import pytest

from sip import messages as m
from tests.helpers.registrar import Registrar, registering, target
from tests.helpers.sippeer import SipPeer, sdp
from tests.helpers.sipprocess import LOOPBACK, OFFER, SipProcess, answered, remote_hang_up

NOWHERE = m.Target(address="127.0.0.1", port=9)


def peer_trunk(name: str = "t", **settings: object) -> m.TrunkAccount:
    return m.TrunkAccount(**{"name": name, "kind": "peer", **settings})  # type: ignore[arg-type]


async def called(process: SipProcess, peer: SipPeer, user: str = "100") -> m.Incoming:
    """A call that is refused at once: what we heard of it."""
    peer.remote = process.udp
    call = peer.invite(sdp=sdp(port=40000), user=user)
    incoming = await process.expect(m.Incoming)
    process.send(m.Refuse(call=incoming.call, status=486))
    assert (await call.response("INVITE")).status == 486
    call.ack(rejected=True)
    await process.expect(m.Ended)
    return incoming


class TestProbe:
    @pytest.mark.parametrize("status", [200, 404, 405, 401, 503])
    async def test_any_answer_is_a_sign_of_life(self, status: int) -> None:
        async with (
            await SipPeer.udp() as peer,
            SipProcess(peer_trunk(domain="sip.example", public_host="127.7.7.7")) as process,
        ):
            process.send(m.Probe(trunk="t", target=target(peer, "edge.example"), number=7))
            dialog, request = await peer.accept("OPTIONS")
            assert request.uri == "sip:sip.example"
            assert "127.7.7.7" in request["Via"]
            dialog.respond(request, status, "So Be It")
            probed = await process.expect(m.Probed)
            assert (probed.trunk, probed.target, probed.number) == ("t", target(peer, "edge.example"), 7)
            assert (probed.status, probed.answered, probed.why) == (status, True, "So Be It")
            assert 0 < probed.took_ms < 6000

    async def test_silence_ends_with_our_own_timer(self) -> None:
        async with await SipPeer.udp() as silent, SipProcess(peer_trunk()) as process:
            process.send(m.Probe(trunk="t", target=target(silent), number=1, timeout_ms=300))
            probed = await process.expect(m.Probed)
            assert (probed.status, probed.answered) == (408, False)
            assert 290 < probed.took_ms < 3000

    async def test_a_closed_port_over_tcp_and_its_return(self) -> None:
        async with SipProcess(peer_trunk()) as process:
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                port = taken.getsockname()[1]
            there = m.Target(address="127.0.0.1", port=port, transport="tcp")
            process.send(m.Probe(trunk="t", target=there, number=1))
            probed = await process.expect(m.Probed)
            assert (probed.status, probed.answered) == (503, False)
            assert "refused" in probed.why
            heard: asyncio.Queue[bytes] = asyncio.Queue()

            async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                request = await reader.readuntil(b"\r\n\r\n")
                heard.put_nowait(request)
                writer.write(b"SIP/2.0 200 OK\r\n" + request.partition(b"\r\n")[2])
                writers.append(writer)

            writers: list[asyncio.StreamWriter] = []
            async with await asyncio.start_server(hear, "127.0.0.1", port):
                process.send(m.Probe(trunk="t", target=there, number=2))
                probed = await process.expect(m.Probed)
                assert (probed.number, probed.status, probed.answered) == (2, 200, True)
                assert (await heard.get()).startswith(b"OPTIONS sip:127.0.0.1:%d;transport=tcp SIP/2.0\r\n" % port)
                for writer in writers:
                    writer.close()

    async def test_a_connection_that_has_gone_deaf_is_not_waited_for_twice(self) -> None:
        """Packets vanish and TCP does not know: the next probe makes a connection of its own."""
        connections: list[asyncio.StreamWriter] = []

        async def deaf_at_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            request = await reader.readuntil(b"\r\n\r\n")
            if len(connections) > 1:
                writer.write(b"SIP/2.0 200 OK\r\n" + request.partition(b"\r\n")[2])

        async with (
            await asyncio.start_server(deaf_at_first, "127.0.0.1", 0) as server,
            SipProcess(peer_trunk()) as process,
        ):
            there = m.Target(address="127.0.0.1", port=server.sockets[0].getsockname()[1], transport="tcp")
            for number, status in enumerate((408, 200)):
                process.send(m.Probe(trunk="t", target=there, number=number, timeout_ms=300))
                assert (await process.expect(m.Probed)).status == status
            assert len(connections) == 2
            for writer in connections:
                writer.close()

    async def test_what_can_not_be_sent_is_told(self) -> None:
        async with SipProcess(peer_trunk()) as process:
            process.send(m.Probe(trunk="moon", target=NOWHERE, number=1))
            assert (await process.expect(m.Probed)).why == "no trunk is called moon"
            process.send(m.Probe(trunk="t", target=m.Target(address="x.example", port=1), number=2))
            assert not (await process.expect(m.Probed)).answered
            process.send(m.Probe(trunk="t", target=m.Target(address="127.0.0.1", port=1, transport="tls"), number=3))
            assert not (await process.expect(m.Probed)).answered

    async def test_hundreds_at_once(self) -> None:
        class Echo(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                transport.sendto(b"SIP/2.0 200 OK\r\n" + data.partition(b"\r\n")[2], addr)

        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
        alive = m.Target(address="127.0.0.1", port=transport.get_extra_info("sockname")[1])
        async with await SipPeer.udp() as silent, SipProcess(peer_trunk()) as process:
            for number in range(200):
                process.send(m.Probe(trunk="t", target=alive, number=number, timeout_ms=5000))
                process.send(m.Probe(trunk="t", target=target(silent), number=1000 + number, timeout_ms=1000))
                await asyncio.sleep(0.002)
            probed = [await process.expect(m.Probed) for _ in range(400)]
            assert {one.number for one in probed if one.answered} == set(range(200))
            assert {one.number for one in probed if one.status == 408} == set(range(1000, 1200))
        transport.close()


class TestReload:
    async def test_trunks_come_and_go_and_calls_stay(self) -> None:
        async with (
            SipProcess(peer_trunk("old", sources=("127.0.0.5",))) as process,
            await SipPeer.udp(process.udp, host="127.0.0.5") as old,
            await SipPeer.udp(process.udp, host="127.0.0.6") as new,
        ):
            call, name = await answered(process, old)
            ringing = old.invite(sdp=sdp(port=40002))
            second = await process.expect(m.Incoming)
            process.send(m.SetTrunks(trunks=(peer_trunk("new", sources=("127.0.0.6",)),)))
            assert await process.expect(m.TrunksSet) == m.TrunksSet()
            assert (await called(process, new)).trunk == "new"
            old.invite(sdp=sdp(port=40004))  # nobody's any more
            assert (await call.transact("OPTIONS")).status == 200
            ringing.cancel()
            assert (await ringing.cancelled()).status == 200
            assert (await ringing.response("INVITE")).status == 487
            ringing.ack(rejected=True)
            assert (await process.expect(m.Ended)).call == second.call
            await call.hang_up()
            assert await process.expect(m.Ended) == remote_hang_up(name)
            dropped = await process.expect(m.Dropped)
            assert (dropped.source, dropped.method) == (old.address, "INVITE")
            process.send(m.SetTrunks(trunks=(peer_trunk("old", sources=("127.0.0.5",)),)))
            await process.expect(m.TrunksSet)
            assert (await called(process, old)).trunk == "old"

    async def test_a_call_of_ours_outlives_its_trunk(self) -> None:
        async with (
            await SipPeer.udp(host="127.0.0.5") as peer,
            SipProcess(peer_trunk(targets=(target(peer),))) as process,
        ):
            process.send(m.Dial(call="out", uri="+4930", sdp=OFFER, trunk="t"))
            call, invite = await peer.accept("INVITE")
            process.send(m.SetTrunks(trunks=()))
            await process.expect(m.TrunksSet)
            call.respond(invite, 200, sdp=sdp(port=40020))
            await process.expect(m.Answered)
            await process.expect(m.Confirmed)
            await asyncio.sleep(1.2)  # the sweep of those that are gone
            process.send(m.Hangup(call="out"))
            call.respond(await call.request("BYE"), 200)
            assert (await process.expect(m.Ended)).by == "local"
            process.send(m.Dial(call="again", uri="+4930", sdp=OFFER, trunk="t"))
            assert (await process.expect(m.Ended)).reason == "no trunk is called t"

    async def test_registrations_begin_go_on_and_end(self) -> None:
        async with await Registrar.start() as registrar:
            one, two = (registering(registrar, name=user, username=user) for user in ("one", "two"))
            async with SipProcess(one) as process:
                assert (await process.expect(m.Registration)).trunk == "one"
                process.send(m.SetTrunks(trunks=(one, two)))
                await process.expect(m.TrunksSet)
                assert (await process.expect(m.Registration)).trunk == "two"
                assert registrar.heard == {"one": 1, "two": 1}
                again = registering(registrar, name="one", username="one", password="other", sources=("127.0.0.9",))
                process.send(m.SetTrunks(trunks=(again, two)))
                await process.expect(m.TrunksSet)
                assert (await process.expect(m.Registration)).state == "registered"
                assert registrar.heard == {"one": 2, "two": 1}
                moved = registering(registrar, name="one", username="three")
                process.send(m.SetTrunks(trunks=(moved,)))
                await process.expect(m.TrunksSet)
                told = [await process.expect(m.Registration) for _ in range(3)]
                assert sorted((event.trunk, event.state) for event in told) == [
                    ("one", "registered"),
                    ("one", "unregistered"),
                    ("two", "unregistered"),
                ]
                assert registrar.registered == {"three"}

    async def test_a_trunk_that_can_not_be_set_up_is_named_and_the_others_are(self) -> None:
        async with SipProcess(LOOPBACK) as process, await SipPeer.udp(process.udp) as peer:
            bad = peer_trunk("loop", sources=("nonsense",))
            tls = peer_trunk("tls", targets=(m.Target(address="127.0.0.1", port=5061, transport="tls"),))
            good = peer_trunk("good", sources=("127.0.0.7",))
            process.send(m.SetTrunks(trunks=(bad, tls, good)))
            assert (await process.expect(m.TrunksSet)).problems == (
                "trunk loop: source 'nonsense' is no address or CIDR range; it stays as it was",
                "trunk tls: tls is off",
            )
            assert (await called(process, peer)).trunk == "loop"
            async with await SipPeer.udp(process.udp, host="127.0.0.7") as other:
                assert (await called(process, other)).trunk == "good"

    async def test_a_thousand_trunks_come_and_change_all_at_once(self) -> None:
        """As many as settings may have, in more than one packet; twice as many with those that they replace."""
        names = [f"{'a-name-as-long-as-people-make-them-' * 3}{number}" for number in range(1000)]
        async with SipProcess(LOOPBACK) as process:
            for calls_per_s in (1.0, 2.0, 3.0):
                many = tuple(peer_trunk(name, sources=("127.0.0.8",), calls_per_s=calls_per_s) for name in names)
                assert len(m.encode(m.SetTrunks(trunks=many))) > m.MAX_MESSAGE_BYTES
                process.send(m.SetTrunks(trunks=many))
                assert await process.expect(m.TrunksSet) == m.TrunksSet()

    async def test_more_trunks_than_there_is_room_for(self) -> None:
        async with SipProcess(LOOPBACK) as process, await SipPeer.udp(process.udp) as peer:
            call = peer.invite(sdp=sdp(port=40000))
            process.send(m.Answer(call=(await process.expect(m.Incoming)).call, sdp=OFFER))
            await call.talk()
            await process.expect(m.Confirmed)
            many = tuple(peer_trunk(f"t{number}", sources=("127.0.0.8",)) for number in range(2047))
            process.send(m.SetTrunks(trunks=many))
            why = "more than 2047 trunks, those included whose calls stand"
            told = await process.expect(m.TrunksSet)
            assert told == m.TrunksSet(problems=(f"trunk t2046: {why}",), missing={"t2046": why})
            await call.hang_up()
            await process.expect(m.Ended)
            assert await process.expect(m.TrunksSet) == m.TrunksSet()  # LOOPBACK's account is swept away


class TestMatch:
    async def test_by_address_and_by_account(self) -> None:
        async with await Registrar.start() as registrar:
            trunks = (
                registering(registrar, name="one", username="one"),
                registering(registrar, name="two", username="two", contact_user="line2"),
                peer_trunk("wide", sources=("127.0.0.0/8",)),
                peer_trunk("narrow", sources=("127.0.0.5",)),
            )
            async with SipProcess(*trunks) as process, await SipPeer.udp(host="127.0.0.5") as other:
                for _ in range(2):
                    assert (await process.expect(m.Registration)).state == "registered"
                found = [
                    ((incoming := await called(process, peer, user)).trunk, incoming.matched_by)
                    for peer, user in (
                        (registrar, "line2"),
                        (registrar, "one"),
                        (registrar, "4711"),
                        (other, "line2"),
                        (other, "4711"),
                    )
                ]
                assert found == [
                    ("two", "account"),
                    ("one", "account"),
                    ("one", "address"),
                    ("narrow", "address"),
                    ("narrow", "address"),
                ]

    async def test_calls_in_a_second_above_a_trunks_limit_are_refused(self) -> None:
        limited = peer_trunk("limited", sources=("127.0.0.5",), calls_per_s=3.0)
        async with SipProcess(limited, LOOPBACK) as process, await SipPeer.udp(process.udp, host="127.0.0.5") as peer:
            calls = [peer.invite(sdp=sdp(port=40000)) for _ in range(10)]
            # Retransmissions are the same calls, and take nothing.
            peer.send(calls[0].send("INVITE", sdp=sdp(port=40000), cseq=calls[0].cseq, branch=calls[0].branch))
            incoming = [await process.expect(m.Incoming) for _ in range(3)]
            for one in incoming:
                process.send(m.Refuse(call=one.call, status=486))
            answers = await asyncio.gather(*(call.response("INVITE") for call in calls))
            assert sorted(answer.status for answer in answers) == [486] * 3 + [503] * 7
            assert {answer["Retry-After"] for answer in answers if answer.status == 503} == {"1"}
            for call in calls:
                call.ack(rejected=True)
            for _ in range(3):
                await process.expect(m.Ended)
            async with await SipPeer.udp(process.udp) as other:
                assert (await called(process, other)).trunk == "loop"  # nobody else is limited
            told = await process.expect(m.Dropped)
            assert (told.source, told.method, told.count) == (peer.address, "INVITE", 7)
            assert told.why == "more calls in a second than the trunk may bring: 503"
            assert await process.expect(m.AboveRate) == m.AboveRate(trunk="limited", count=7)
            assert (await called(process, peer)).trunk == "limited"  # a second later


async def test_a_partner_knows_us_by_the_name_its_trunk_gives() -> None:
    async with SipProcess(peer_trunk(sources=("127.0.0.5",), public_host="192.0.2.77"), LOOPBACK) as process:
        for host, expected in (("127.0.0.5", "192.0.2.77"), ("127.0.0.1", "127.0.0.1")):
            async with await SipPeer.udp(process.udp, host=host) as peer:
                call, name = await answered(process, peer)
                assert call.target == f"sip:puente@{expected}:{process.started.udp_port}"
                call.target = f"sip:puente@127.0.0.1:{process.started.udp_port}"
                await call.hang_up()
                assert await process.expect(m.Ended) == remote_hang_up(name)


async def test_more_sources_than_the_gate_can_hold_change_nothing() -> None:
    many = tuple(f"10.{number // 250}.{number % 250}.1" for number in range(16_500))
    async with SipProcess(LOOPBACK) as process, await SipPeer.udp(process.udp) as peer:
        process.send(m.SetTrunks(trunks=(LOOPBACK, peer_trunk(sources=many))))
        problems = (await process.expect(m.TrunksSet)).problems
        assert problems == ("too many source addresses of trunks: who may call stays as it was",)
        assert (await called(process, peer)).trunk == "loop"


async def test_a_newline_keeps_the_way_open() -> None:
    heard: list[bytes] = []

    class Raw(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            heard.append(data)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Raw, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    there = m.Target(address="127.0.0.1", port=port)
    async with SipProcess(peer_trunk(targets=(there,), keep_alive_s=1)) as process:
        await asyncio.sleep(1.3)
        process.send(m.SetTrunks(trunks=()))
        await process.expect(m.TrunksSet)
        count = len(heard)
        assert set(heard) == {b"\r\n\r\n"}
        assert count == 2
        await asyncio.sleep(1.2)
        assert len(heard) == count
    transport.close()
