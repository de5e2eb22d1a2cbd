"""The real sip process registers at scripted registrars, and is called over its registration."""

from __future__ import annotations

from sip import messages as m
from tests.helpers.registrar import challenge, grant, is_right, registering, target
from tests.helpers.sippeer import SipPeer, sdp
from tests.helpers.sipprocess import OFFER, SipProcess


class TestRegistration:
    async def test_register_be_called_and_leave(self) -> None:
        async with await SipPeer.udp() as peer, SipProcess(registering(peer)) as process:
            dialog, request = await peer.accept("REGISTER")
            challenge(dialog, request)
            request = await dialog.request("REGISTER")
            assert is_right(request, "s3cret1")
            assert request["Expires"] == "300"
            dialog.respond(request, 200, "OK", headers=[("Contact", f"{request['Contact']};expires=60")])
            assert await process.expect(m.Registration) == m.Registration(
                trunk="provider", state="registered", status=200, reason="OK", expires_s=60, target=target(peer)
            )
            call = peer.invite(sdp=sdp(port=40000), user="bridge1")
            incoming = await process.expect(m.Incoming)
            assert incoming.trunk == "provider"
            process.send(m.Refuse(call=incoming.call, status=486))
            assert (await call.response("INVITE")).status == 486
            call.ack(rejected=True)
            await process.expect(m.Ended)

            process.send(m.Stop())
            request = await dialog.request("REGISTER")
            assert request["Expires"] == "0"
            dialog.respond(request, 200, "OK")
            assert await process.expect(m.Registration) == m.Registration(
                trunk="provider", state="unregistered", status=200, reason="OK", expires_s=0, target=target(peer)
            )
            assert await process.ended() == 0

    async def test_a_wrong_password_is_refused_not_unreachable(self) -> None:
        async with await SipPeer.udp() as peer, SipProcess(registering(peer)) as process:
            dialog, request = await peer.accept("REGISTER")
            challenge(dialog, request)
            request = await dialog.request("REGISTER")
            assert not is_right(request, "another")
            dialog.respond(request, 403, "Forbidden")
            told = await process.expect(m.Registration)
            assert (told.state, told.status) == ("refused", 403)
            assert 2.0 <= told.retry_in_s <= 4.0
            assert "s3cret1" not in repr(told)
        assert all("s3cret1" not in str(line) for line in process.log)

    async def test_a_challenge_that_never_ends_is_refused(self) -> None:
        async with await SipPeer.udp() as peer, SipProcess(registering(peer)) as process:
            dialog, request = await peer.accept("REGISTER")
            challenge(dialog, request)
            challenge(dialog, await dialog.request("REGISTER"))
            told = await process.expect(m.Registration)
            assert (told.state, told.status) == ("refused", 401)

    async def test_a_registrar_in_trouble_is_tried_again(self) -> None:
        async with await SipPeer.udp() as peer, SipProcess(registering(peer)) as process:
            dialog, request = await peer.accept("REGISTER")
            dialog.respond(request, 503, "Later")
            told = await process.expect(m.Registration)
            assert (told.state, told.status) == ("unreachable", 503)
            dialog, request = await peer.accept("REGISTER")
            dialog.respond(request, 200, "OK", headers=[("Contact", f"{request['Contact']};expires=60")])
            assert (await process.expect(m.Registration)).state == "registered"

    async def test_a_silent_registrar_is_unreachable(self) -> None:
        async with await SipPeer.udp() as peer, SipProcess(registering(peer), transaction_timeout_ms=1000) as process:
            told = await process.expect(m.Registration)
            assert (told.state, told.status) == ("unreachable", 408)

    async def test_their_time_counts_and_423_is_obeyed(self) -> None:
        async with await SipPeer.udp() as peer, SipProcess(registering(peer, expires_s=30)) as process:
            dialog, request = await peer.accept("REGISTER")
            dialog.respond(request, 423, "Interval Too Brief", headers=[("Min-Expires", "90")])
            request = await dialog.request("REGISTER")
            assert request["Expires"] == "90"
            grant(dialog, request, 2)
            assert (await process.expect(m.Registration)).expires_s == 2
            renewal = await dialog.request("REGISTER")
            assert renewal.cseq > request.cseq
            grant(dialog, renewal, 600)
            assert (await process.expect(m.Registration)).expires_s == 600


class TestTargets:
    """A registrar by name, which the control process has looked up."""

    async def test_a_name_without_an_address_waits_for_one(self) -> None:
        async with await SipPeer.udp() as peer, SipProcess(registering(peer, registrar="sip:sip.example")) as process:
            told = await process.expect(m.Registration)
            assert (told.state, told.reason) == ("unreachable", "no address of sip.example is known")
            process.send(m.Dial(call="out", uri="+4930", sdp=OFFER, trunk="provider"))
            assert (await process.expect(m.Ended)).reason == "no address of sip.example is known"
            process.send(m.SetTargets(trunk="provider", targets=(target(peer),)))
            dialog, request = await peer.accept("REGISTER")
            assert request.uri == "sip:sip.example"
            grant(dialog, request)
            assert (await process.expect(m.Registration)).target == target(peer)

    async def test_the_next_target_takes_over_at_the_refresh(self) -> None:
        async with await SipPeer.udp() as first, await SipPeer.udp() as second:
            trunk = registering(first, registrar="sip:sip.example", targets=(target(first), target(second)))
            async with SipProcess(trunk) as process:
                grant(*await first.accept("REGISTER"), 2)
                assert (await process.expect(m.Registration)).target == target(first)
                await first.accept("REGISTER")  # and no answer
                told = await process.expect(m.Registration)
                assert (told.state, told.status, told.target) == ("unreachable", 408, target(first))
                grant(*await second.accept("REGISTER"), 60)
                told = await process.expect(m.Registration)
                assert (told.state, told.target) == ("registered", target(second))

    async def test_it_moves_when_its_target_is_none_any_more(self) -> None:
        async with await SipPeer.udp() as first, await SipPeer.udp(host="127.0.0.4") as second:
            trunk = registering(first, registrar="sip:sip.example", targets=(target(first),))
            async with SipProcess(trunk) as process:
                grant(*await first.accept("REGISTER"))
                await process.expect(m.Registration)
                process.send(m.SetTargets(trunk="provider", targets=(target(second),)))
                grant(*await second.accept("REGISTER"))
                assert (await process.expect(m.Registration)).target == target(second)
                for peer in (second, first):  # a call that was on its way comes from the old one
                    peer.remote = process.udp
                    call = peer.invite(sdp=sdp(port=40000), user="bridge1")
                    incoming = await process.expect(m.Incoming)
                    assert (incoming.trunk, incoming.matched_by) == ("provider", "account")
                    process.send(m.Refuse(call=incoming.call, status=486))
                    await call.response("INVITE")
                    call.ack(rejected=True)
                    await process.expect(m.Ended)

    async def test_a_call_takes_the_target_it_is_told_to(self) -> None:
        async with await SipPeer.udp() as first, await SipPeer.udp() as second:
            trunk = m.TrunkAccount(
                name="t",
                kind="peer",
                domain="sip.example",
                targets=(target(first), target(second)),
                public_host="127.7.7.7",
            )
            async with SipProcess(trunk) as process:
                for number, (peer, chosen) in enumerate(((first, None), (second, target(second)))):
                    name = f"out{number}"
                    process.send(
                        m.Dial(
                            call=name,
                            uri="+4930",
                            sdp=OFFER,
                            trunk="t",
                            target=chosen,
                            from_uri='"A" <sip:1@x.example>',
                        )
                    )
                    call, invite = await peer.accept("INVITE")
                    assert invite.uri == "sip:+4930@sip.example"
                    assert invite["From"].startswith('"A" <sip:1@x.example>')
                    assert "127.7.7.7" in invite["Via"]
                    assert "@127.7.7.7:" in invite["Contact"]
                    assert "hop" not in str(invite).lower()
                    call.respond(invite, 200, sdp=sdp(port=40020), headers=[("Contact", "<sip:them@phone.example>")])
                    ack = await call.request("ACK")
                    assert ack.uri == "sip:them@phone.example"  # a name leads to whom the dialog is with
                    call.them = invite["From"]
                    call.send("OPTIONS")  # nothing of ours has been used up by the first request
                    process.send(m.Hangup(call=name))
                    bye = await call.request("BYE")
                    assert bye.uri == "sip:them@phone.example"
                    call.respond(bye, 200)
