"""SIP over TLS in the real sip process: who is believed, over which connection, and what happens when it is gone."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from bridge.bench.failover.authority import LabCA, Pair
from sip import messages as m
from tests.helpers.registrar import grant, registering, target
from tests.helpers.sippeer import SipPeer, sdp
from tests.helpers.sipprocess import LOOPBACK, OFFER, SipProcess, answered, remote_hang_up
from tests.helpers.sipstream import StreamPeer

NAME = "edge.example"


@pytest.fixture
def ca(tmp_path: Path) -> LabCA:
    return LabCA(tmp_path)


def process(ca: LabCA, *trunks: m.TrunkAccount, ours: Pair | None = None, **options: Any) -> SipProcess:
    files = {"tls_certificate": str(ours.certificate), "tls_key": str(ours.key)} if ours else {}
    return SipProcess(*trunks, **{"tls_port": 0, "tls_ca": str(ca.file), **files, **options})


def to(peer: SipPeer, **settings: object) -> m.TrunkAccount:
    return m.TrunkAccount(**{"name": "t", "kind": "peer", "targets": (target(peer, NAME),), **settings})  # type: ignore[arg-type]


async def probed(process: SipProcess, peer: SipPeer, name: str = NAME) -> m.Probed:
    process.send(m.Probe(trunk="t", target=target(peer, name), number=1, timeout_ms=5500))
    return await process.expect(m.Probed)


class TestCalling:
    async def test_a_call_and_all_that_belongs_to_it_over_one_connection(self, ca: LabCA) -> None:
        async with await StreamPeer.listen(tls=ca.server(ca.certificate(NAME))) as peer, process(ca, to(peer)) as ours:
            for number in range(2):
                ours.send(m.Dial(call=f"out{number}", uri="+4930", sdp=OFFER, trunk="t"))
                call, invite = await peer.accept("INVITE")
                assert invite.uri == f"sip:+4930@{NAME};transport=tls"
                assert f":{ours.started.tls_port};transport=TLS" in invite["Contact"]
                call.respond(invite, 200, sdp=sdp(port=40020))
                await ours.expect(m.Answered)
                await ours.expect(m.Confirmed)
                await call.request("ACK")
                call.them = invite["From"]
                await call.hang_up()
                assert await ours.expect(m.Ended) == remote_hang_up(f"out{number}")
            assert len(peer.connections) == 1
            tls = peer.connections[0].get_extra_info("ssl_object")
            assert tls.version() in ("TLSv1.2", "TLSv1.3")

    async def test_a_sips_uri(self, ca: LabCA) -> None:
        async with await StreamPeer.listen(tls=ca.server(ca.certificate(NAME))) as peer, process(ca, to(peer)) as ours:
            ours.send(m.Dial(call="out", uri=f"sips:1@{NAME}", sdp=OFFER, trunk="t"))
            call, invite = await peer.accept("INVITE")
            assert invite.uri == f"sips:1@{NAME}"
            assert invite["Contact"].startswith("<sips:")
            call.respond(invite, 486)
            assert (await ours.expect(m.Ended)).status == 486

    async def test_an_address_without_a_name_is_checked_as_an_address(self, ca: LabCA) -> None:
        pair = ca.certificate(NAME, address="127.0.0.1")
        async with await StreamPeer.listen(tls=ca.server(pair)) as peer, process(ca, to(peer)) as ours:
            ours.send(m.Probe(trunk="t", target=target(peer), number=1))
            _, request = await peer.accept("OPTIONS")
            assert request["Via"].startswith("SIP/2.0/TLS ")

    async def test_it_is_made_again_after_it_was_lost(self, ca: LabCA) -> None:
        async with await StreamPeer.listen(tls=ca.server(ca.certificate(NAME))) as peer, process(ca, to(peer)) as ours:
            for count in (1, 2):
                ours.send(m.Probe(trunk="t", target=target(peer, NAME), number=count))
                dialog, request = await peer.accept("OPTIONS")
                dialog.respond(request, 200)
                assert (await ours.expect(m.Probed)).status == 200
                assert len(peer.connections) == count
                peer.cut()
                await asyncio.sleep(0.1)

    async def test_our_certificate_is_shown_to_who_asks_for_it(self, ca: LabCA) -> None:
        server = ca.server(ca.certificate(NAME), asks_client=True)
        async with await StreamPeer.listen(tls=server) as peer:
            async with process(ca, to(peer), ours=ca.certificate("bridge.example")) as ours:
                ours.send(m.Probe(trunk="t", target=target(peer, NAME), number=1))
                await peer.accept("OPTIONS")
                subject = peer.connections[-1].get_extra_info("peercert")["subject"]
                assert subject == ((("commonName", "bridge.example"),),)
            async with process(ca, to(peer)) as nobody:
                assert not (await probed(nobody, peer)).answered


class TestWhomWeBelieve:
    @pytest.mark.parametrize(
        ("name", "authority", "expired", "why"),
        [
            ("other.example", "lab", False, "the certificate of edge.example is refused: it is not for edge.example"),
            (NAME, "lab", True, "the certificate of edge.example is refused: it has expired, or is not valid yet"),
            (
                NAME,
                "far",
                False,
                "the certificate of edge.example is refused: it is from an authority that we do not know",
            ),
        ],
    )
    async def test_a_wrong_certificate_ends_every_kind_of_request_with_the_reason(
        self, ca: LabCA, tmp_path: Path, name: str, authority: str, expired: bool, why: str
    ) -> None:
        issuer = LabCA(tmp_path, "far") if authority == "far" else ca
        pair = issuer.certificate(name, expired=expired)
        async with await StreamPeer.listen(tls=issuer.server(pair)) as peer:
            registered = registering(peer, registrar="sip:edge.example", targets=(target(peer, NAME),), retry_s=30)
            async with process(ca, to(peer), registered) as ours:
                told = await ours.expect(m.Registration)
                assert (told.state, told.status, told.reason) == ("unreachable", 503, why)
                probe = await probed(ours, peer)
                assert (probe.status, probe.answered, probe.why) == (503, False, why)
                ours.send(m.Dial(call="out", uri="+4930", sdp=OFFER, trunk="t"))
                ended = await ours.expect(m.Ended)
                assert (ended.status, ended.by, ended.reason) == (503, "error", why)
            assert peer.inbox == []

    async def test_unless_we_are_told_not_to_look(self, ca: LabCA) -> None:
        server = ca.server(ca.certificate("other.example", expired=True))
        async with await StreamPeer.listen(tls=server) as peer, process(ca, to(peer), tls_verify=False) as ours:
            ours.send(m.Probe(trunk="t", target=target(peer, NAME), number=1))
            await peer.accept("OPTIONS")

    async def test_no_tls_there(self, ca: LabCA) -> None:
        async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"SIP/2.0 400 What\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(rude, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            there = m.Target(address="127.0.0.1", port=port, transport="tls", name=NAME)
            async with process(ca, m.TrunkAccount(name="t", kind="peer")) as ours:
                ours.send(m.Probe(trunk="t", target=there, number=1))
                probe = await ours.expect(m.Probed)
                assert (probe.answered, probe.why) == (False, "edge.example does not speak TLS there")

    async def test_a_server_that_says_nothing_to_our_hello(self, ca: LabCA) -> None:
        async with await StreamPeer.listen() as silent, process(ca, to(silent)) as ours:
            there = m.Target(address="127.0.0.1", port=silent.local[1], transport="tls", name=NAME)
            ours.send(m.Probe(trunk="t", target=there, number=1, timeout_ms=700))
            probe = await ours.expect(m.Probed)
            assert (probe.status, probe.answered) == (408, False)


class TestBeingCalled:
    async def test_a_call_over_their_connection(self, ca: LabCA) -> None:
        """Their Contact names no port where anybody listens: what we have to say goes back the same way."""
        trunk = m.TrunkAccount(name="t", kind="peer", sources=("127.0.0.1",))
        async with process(ca, trunk, ours=ca.certificate("bridge.example")) as ours:
            there = ("127.0.0.1", ours.started.tls_port)
            async with await StreamPeer.connect(there, ca.client()) as peer:
                call, name = await answered(ours, peer)
                ours.send(m.Hangup(call=name))
                bye = await call.request("BYE")
                call.respond(bye, 200)
                assert (await ours.expect(m.Ended)).by == "local"

    @pytest.mark.parametrize(("who", "is_served"), [("lab", True), ("far", False), ("", False)])
    async def test_only_who_shows_a_certificate(self, ca: LabCA, tmp_path: Path, who: str, is_served: bool) -> None:
        issuer = LabCA(tmp_path, "far") if who == "far" else ca
        pair = issuer.certificate("partner.example") if who else None
        async with process(ca, LOOPBACK, ours=ca.certificate("bridge.example"), tls_require_client=True) as ours:
            there = ("127.0.0.1", ours.started.tls_port)
            if is_served:
                async with await StreamPeer.connect(there, ca.client(pair)) as peer:
                    assert (await peer.dialog().transact("OPTIONS")).status == 200
                return
            try:
                async with await StreamPeer.connect(there, ca.client(pair)) as peer:
                    peer.dialog().send("OPTIONS")
                    await asyncio.sleep(0.3)
                    assert peer.inbox == []
            except (ssl.SSLError, ConnectionError):
                pass  # with TLS 1.2 it ends before anything can be said

    async def test_old_versions_of_tls_are_not_spoken(self, ca: LabCA) -> None:
        client = ca.client()
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
        async with process(ca, LOOPBACK, ours=ca.certificate("bridge.example")) as ours:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await StreamPeer.connect(("127.0.0.1", ours.started.tls_port), client)


class TestRegistering:
    async def test_calls_come_in_over_the_registration_and_its_loss_is_mended(self, ca: LabCA) -> None:
        async with await StreamPeer.listen(tls=ca.server(ca.certificate(NAME))) as peer:
            trunk = registering(peer, registrar="sip:edge.example", targets=(target(peer, NAME),))
            async with process(ca, trunk) as ours:
                dialog, request = await peer.accept("REGISTER")
                assert request["Contact"] == f"<sip:bridge1@127.0.0.1:{ours.started.tls_port};transport=tls>"
                grant(dialog, request, 3600)
                assert (await ours.expect(m.Registration)).state == "registered"
                call = peer.dialog("bridge1")
                call.target = request["Contact"].strip("<>")
                call.send("INVITE", sdp=sdp(port=40000))
                incoming = await ours.expect(m.Incoming)
                assert (incoming.trunk, incoming.matched_by) == ("provider", "account")
                ours.send(m.Refuse(call=incoming.call, status=486))
                assert (await call.response("INVITE")).status == 486
                call.ack(rejected=True)
                await ours.expect(m.Ended)
                peer.cut()
                dialog, request = await peer.accept("REGISTER")
                grant(dialog, request, 3600)
                assert len(peer.connections) == 2


class TestFiles:
    @pytest.mark.parametrize(
        ("certificate", "key", "authority", "why"),
        [
            ("gone.pem", "good.key", "ca", "/gone.pem can not be read: No such file or directory"),
            ("good.pem", "gone.key", "ca", "/good.pem has a key that can not be read: No such file or directory"),
            ("good.pem", "other.key", "ca", "/good.pem and its key do not belong together"),
            ("good.key", "good.key", "ca", "/good.key holds no certificate"),
            ("good.pem", "good.pem", "ca", "/good.pem has a key file without a key"),
            ("old.pem", "old.key", "ca", "/old.pem has expired on 20"),
            ("good.pem", "good.key", "gone.pem", "/gone.pem can not be read: No such file or directory"),
            ("good.pem", "", "ca", "tls: a certificate needs its key, and a key its certificate"),
        ],
    )
    async def test_what_is_wrong_with_them_is_said_before_anybody_calls(
        self, ca: LabCA, tmp_path: Path, certificate: str, key: str, authority: str, why: str
    ) -> None:
        for name, pair in (
            ("good", ca.certificate("bridge.example")),
            ("other", ca.certificate("other.example")),
            ("old", ca.certificate("bridge.example", expired=True)),
        ):
            pair.certificate.rename(tmp_path / f"{name}.pem")
            pair.key.rename(tmp_path / f"{name}.key")
        ours = SipProcess(
            tls_port=0,
            tls_certificate=str(tmp_path / certificate),
            tls_key=str(tmp_path / key) if key else "",
            tls_ca=str(ca.file if authority == "ca" else tmp_path / authority),
        )
        await ours.launch()
        failed = await ours.expect(m.StartFailed)
        assert failed.why.startswith("tls: ")
        assert why in failed.why
        assert await ours.ended() == 1
        ours.sock.close()

    async def test_without_certificates_we_can_call(self, ca: LabCA) -> None:
        async with SipProcess(tls_port=0) as ours:
            assert ours.started.tls_port > 0
